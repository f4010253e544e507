package probe

import (
	"bytes"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// works is what a probe reports of a call that moved the right bytes.
const works = "works"

// The sizes of vmsplice's transfers where any would do, in bytes.
const (
	some = 100
	more = 1000
)

// pipeProbes are about vmsplice and the pipe's other end.
func pipeProbes() []Probe {
	const nonblock = unix.SPLICE_F_NONBLOCK
	return []Probe{
		{ID: "P1", About: "vmsplice 128 KiB to a 64 KiB pipe", run: func(b *bench) string {
			_, w := b.pipe(0)
			return mayBlock(b, w, b.memory(128<<10), 0)
		}},
		{ID: "P2", About: "17 × vmsplice of a byte, NONBLOCK", run: slots},
		{ID: "P3", About: "64 KiB from an odd address, NONBLOCK", run: func(b *bench) string {
			_, w := b.pipe(0)
			return result(vmsplice(w, b.memory(128 << 10)[1:][:64<<10], nonblock))
		}},
		{ID: "P4", About: "a named FIFO, NONBLOCK", run: namedFIFO},
		{ID: "P5", About: "a full O_NONBLOCK pipe, flags 0", run: func(b *bench) string {
			_, w := b.pipe(unix.O_NONBLOCK)
			b.fillPipe(w)
			return mayBlock(b, w, b.memory(page), 0)
		}},
		{ID: "P6", About: "an empty O_NONBLOCK pipe, NONBLOCK", run: func(b *bench) string {
			r, w := b.pipe(unix.O_NONBLOCK)
			return moves(b, r, w, nonblock)
		}},
		{ID: "P7", About: "vmsplice NONBLOCK after a splice into it", OnFile: true, run: afterSpliceIn},
		{ID: "P7r", About: "the same at the read end", run: afterSpliceOut},
		{ID: "P8", About: "an empty iov on a regular file", OnFile: true, run: func(b *bench) string {
			return result(unix.Vmsplice(b.file(page), []unix.Iovec{{}}, 0))
		}},
		{ID: "P9", About: "wchar after vmsplice of 1000 bytes", run: countedWrite},
		{ID: "P10", About: "SPLICE_F_GIFT", run: func(b *bench) string {
			r, w := b.pipe(0)
			return moves(b, r, w, unix.SPLICE_F_GIFT)
		}},
		{ID: "P11", About: "an unknown flag", run: func(b *bench) string {
			_, w := b.pipe(0)
			return result(vmsplice(w, b.memory(some), 0x10)) // SPLICE_F_ALL is 0x0f
		}},
		{ID: "P12", About: "rchar, syscr after vmsplice off a pipe", run: countedRead},
		{ID: "P12e", About: "read end of an empty O_NONBLOCK pipe", run: func(b *bench) string {
			r, _ := b.pipe(unix.O_NONBLOCK)
			return mayBlock(b, r, b.memory(page), 0)
		}},
	}
}

// mayBlock is the outcome of a vmsplice that may not return.
func mayBlock(b *bench, pipe int, buf []byte, flags int) string {
	if b.err != nil {
		return ""
	}
	return start(unix.SYS_VMSPLICE, func() (int, error) { return vmsplice(pipe, buf, flags) }).outcome(b)
}

// moves puts some bytes into the pipe and reads them.
func moves(b *bench, r, w, flags int) string {
	buf := b.memory(page)[:some]
	n, err := vmsplice(w, buf, flags)
	if failed := whole(some, n, err); failed != "" {
		return failed
	}
	return sameAs(buf, b.read(r, some))
}

// takes gets some bytes out of the pipe, which holds bytes of oldByte.
func takes(b *bench, r, flags int) string {
	buf := b.memory(page)[:some]
	fill(buf, newByte)
	n, err := vmsplice(r, buf, flags)
	if failed := whole(some, n, err); failed != "" {
		return failed
	}
	return sameAs(bytes.Repeat([]byte{oldByte}, some), buf)
}

func sameAs(want, got []byte) string {
	if !bytes.Equal(want, got) {
		return "other bytes"
	}
	return works
}

// slots: a pipe has 16, and each spliced page takes one, however little of it;
// written bytes share a page.
func slots(b *bench) string {
	const calls = 17
	_, w := b.pipe(0)
	buf := b.memory(page)
	for i := 1; i <= calls; i++ {
		if n, err := vmsplice(w, buf[:1], unix.SPLICE_F_NONBLOCK); n != 1 {
			return fmt.Sprintf("%d,%s", i-1, result(n, err))
		}
	}
	return works
}

func namedFIFO(b *bench) string {
	name := filepath.Join(b.dir, "fifo")
	b.fail("mkfifo", unix.Mkfifo(name, 0o600))
	fifo, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	b.fail("open the FIFO", err)
	reader, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	b.fail("open the FIFO's read end", err)
	if seen := moves(b, reader, fifo, unix.SPLICE_F_NONBLOCK); seen != works {
		return seen
	}
	b.write(fifo, some)
	return takes(b, reader, unix.SPLICE_F_NONBLOCK)
}

func (b *bench) write(fd, size int) {
	if b.err == nil {
		_, err := unix.Write(fd, bytes.Repeat([]byte{oldByte}, size))
		b.fail("write", err)
	}
}

// afterSpliceIn: splice clears FMODE_NOWAIT of the open file for good
// (__do_splice), which a wrapper of pwritev2 must not stumble over.
func afterSpliceIn(b *bench) string {
	f := b.file(page)
	r, w := b.pipe(0)
	n, err := spliceFile(w, f, page)
	if failed := whole(page, n, err); failed != "" {
		return failed
	}
	b.read(r, page)
	return moves(b, r, w, unix.SPLICE_F_NONBLOCK)
}

func afterSpliceOut(b *bench) string {
	r, w := b.pipe(0)
	b.write(w, 2*page)
	null, err := unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	b.fail("open /dev/null", err)
	n, err := unix.Splice(r, nil, null, nil, page, 0)
	if failed := whole(page, int(n), err); failed != "" {
		return failed
	}
	return takes(b, r, unix.SPLICE_F_NONBLOCK)
}
