package probe

import (
	"golang.org/x/sys/unix"
)

// page is the size of a page, in bytes.
const page = 4096

// step is what sendfile moves at a time, in bytes: its pipe has 16 slots
// (splice_direct_to_actor).
const step = 64 << 10

// pageProbes are those that change the source under way.
func pageProbes() []Probe {
	return []Probe{
		{ID: "T1", About: "sendfile file→TCP; pwrite; recv", OnFile: true, run: func(b *bench) string {
			return sendfileThenWrite(b, func() (int, int) { return b.tcp(0) })
		}},
		{ID: "T1u", About: "the same to AF_UNIX", OnFile: true, run: func(b *bench) string {
			return sendfileThenWrite(b, b.unixStream)
		}},
		{ID: "T2", About: "splice file→pipe; pwrite; read", OnFile: true, run: spliceThenWrite},
		{ID: "T3", About: "vmsplice; change the buffer; read", run: vmspliceThenStore},
		{ID: "T4", About: "vmsplice, splice→TCP; change; recv", run: vmspliceToSocket},
		{ID: "T5", About: "splice, tee; pwrite; read both pipes", OnFile: true, run: teeThenWrite},
		{ID: "T6", About: "sendfile; store by a shared mapping; recv", OnFile: true, run: sendfileThenStore},
		{ID: "T7", About: "splice file→pipe; ftruncate; read", OnFile: true, run: spliceThenTruncate},
		{ID: "T8", About: "sendfile blocks; pwrite last byte; recv", OnFile: true, run: writeWhileBlocked},
		{ID: "T9", About: "sendfile to UDP: 64 KiB, then 32 KiB", OnFile: true, run: datagrams},
	}
}

func sendfile(to, from, size int) (int, error) {
	var offset int64
	return unix.Sendfile(to, from, &offset, size)
}

func spliceFile(pipe, from, size int) (int, error) {
	var offset int64
	n, err := unix.Splice(from, &offset, pipe, nil, size, 0)
	return int(n), err
}

func vmsplice(pipe int, buf []byte, flags int) (int, error) {
	iov := unix.Iovec{Base: &buf[0], Len: uint64(len(buf))}
	return unix.Vmsplice(pipe, []unix.Iovec{iov}, flags)
}

func sendfileThenWrite(b *bench, connect func() (tx, rx int)) string {
	f := b.file(payload)
	return throughSocket(b, f, f, connect)
}

// throughSocket sends the file and changes it by another descriptor.
func throughSocket(b *bench, from, by int, connect func() (tx, rx int)) string {
	tx, rx := connect()
	n, err := sendfile(tx, from, payload)
	if failed := whole(payload, n, err); failed != "" {
		return failed
	}
	b.change(by, payload)
	return sight(b.read(rx, payload))
}

func spliceThenWrite(b *bench) string {
	f := b.file(payload)
	return throughPipe(b, f, f)
}

// throughPipe splices the file and changes it by another descriptor.
func throughPipe(b *bench, from, by int) string {
	r, w := b.pipe(0)
	n, err := spliceFile(w, from, payload)
	if failed := whole(payload, n, err); failed != "" {
		return failed
	}
	b.change(by, payload)
	return sight(b.read(r, payload))
}

func vmspliceThenStore(b *bench) string {
	r, w := b.pipe(0)
	buf := b.memory(payload)
	n, err := vmsplice(w, buf, 0)
	if failed := whole(payload, n, err); failed != "" {
		return failed
	}
	fill(buf, newByte)
	return sight(b.read(r, payload))
}

func vmspliceToSocket(b *bench) string {
	r, w := b.pipe(0)
	tx, rx := b.tcp(0)
	buf := b.memory(payload)
	n, err := vmsplice(w, buf, 0)
	if failed := whole(payload, n, err); failed != "" {
		return failed
	}
	sent, err := unix.Splice(r, nil, tx, nil, payload, 0)
	if failed := whole(payload, int(sent), err); failed != "" {
		return failed
	}
	fill(buf, newByte)
	return sight(b.read(rx, payload))
}

func teeThenWrite(b *bench) string {
	f := b.file(payload)
	r, w := b.pipe(0)
	r2, w2 := b.pipe(0)
	n, err := spliceFile(w, f, payload)
	if failed := whole(payload, n, err); failed != "" {
		return failed
	}
	copied, err := unix.Tee(r, w2, payload, 0)
	if failed := whole(payload, int(copied), err); failed != "" {
		return failed
	}
	b.change(f, payload)
	return sight(b.read(r, payload)) + "," + sight(b.read(r2, payload))
}

func sendfileThenStore(b *bench) string {
	f := b.file(payload)
	mapping := b.shared(f, payload)
	tx, rx := b.tcp(0)
	n, err := sendfile(tx, f, payload)
	if failed := whole(payload, n, err); failed != "" {
		return failed
	}
	fill(mapping, newByte)
	return sight(b.read(rx, payload))
}

// spliceThenTruncate cuts the file within the page that is in the pipe: what is
// behind the new end is zeroed in the page cache.
func spliceThenTruncate(b *bench) string {
	const left = 100 // bytes
	f := b.file(page)
	r, w := b.pipe(0)
	n, err := spliceFile(w, f, page)
	if failed := whole(page, n, err); failed != "" {
		return failed
	}
	b.fail("ftruncate", unix.Ftruncate(f, left))
	if seen := sight(b.read(r, page)[left:]); seen != "old" {
		return seen
	}
	return "data"
}

// writeWhileBlocked tells one copy from two: a kernel that fills sendfile's
// pipe by copying has taken the whole step before it sends anything.
func writeWhileBlocked(b *bench) string {
	f := b.file(step)
	tx, rx := b.tcp(1)
	if b.err != nil {
		return ""
	}
	sending := start(unix.SYS_SENDFILE, func() (int, error) { return sendfile(tx, f, step) })
	if seen := sending.outcome(b); seen != blocks {
		return seen
	}
	b.overwrite(f, []byte{newByte}, step-1)
	return sight(b.read(rx, step)[step-1:])
}

// datagrams: a step of 64 KiB is more than a datagram holds, and less is one
// datagram. Offset 0: elsewhere a step ends with its last page.
func datagrams(b *bench) string {
	f := b.file(step)
	tx, _ := b.udp()
	n, err := sendfile(tx, f, step)
	seen := result(n, err) + ","
	// What the failed step left in the socket is no part of the second.
	tx, rx := b.udp()
	if n, err = sendfile(tx, f, step/2); err != nil || b.err != nil {
		return seen + result(n, err)
	}
	n, _, err = unix.Recvfrom(rx, make([]byte, step), 0)
	if failed := whole(step/2, n, err); failed != "" {
		return seen + failed
	}
	return seen + "one"
}
