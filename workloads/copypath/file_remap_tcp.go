package copypath

import (
	"errors"

	"golang.org/x/sys/unix"
)

// fileRemapTCP is file-tcp/mmap-send with the mapping in the timed region, where
// a program has it that maps what it is asked for.
func fileRemapTCP() Family {
	f := fileTCP()
	f.Name = "file-remap-tcp"
	f.About = "a file in the page cache (tmpfs), mapped anew, to a TCP socket over loopback; page faults and unmapping are in the figures"
	f.Once, f.Duplex, f.Schedules = fewChunks, false, alone()
	f.Methods = []Method{
		{Name: "mmap-send", About: "mmap(2) of all that a transfer sends, send(2) of each chunk from it, munmap(2)", send: sendRemapped},
		{Name: "mmap-chunk-send", About: "mmap(2) of the chunk, send(2), munmap(2)", send: sendMappedChunk},
		{Name: "mmap-populate-send", About: "mmap(2) of the chunk with MAP_POPULATE, send(2), munmap(2)", send: func(c *Cell, off, n int64) Status {
			skip := off & int64(unix.Getpagesize()-1)
			return sendMapped(c.tx, c.src.File, off-skip, skip, n, unix.MAP_POPULATE)
		}},
	}
	f.tune = func(c *Cell, schedule string) error {
		return errors.Join(tuneTCP(c, schedule), c.unmapFresh().Err())
	}
	return f
}

// sendRemapped maps the file with the first chunk and unmaps it with the last
// one.
func sendRemapped(c *Cell, off, n int64) Status {
	if off == 0 {
		if st := c.mapFresh(); st.failed() {
			return st
		}
	}
	if st := moved("send", move(unix.SYS_SENDTO, uintptr(c.tx), uintptr(c.fresh+off), uintptr(n), 0)); st.failed() {
		return st
	}
	if off+n == c.round {
		return c.unmapFresh()
	}
	return ok
}

func (c *Cell) mapFresh() Status {
	if st := c.unmapFresh(); st.failed() {
		return st
	}
	p, st := sysMmap(c.src.File, 0, c.round, 0)
	if !st.failed() {
		c.fresh = p
	}
	return st
}

// unmapFresh does nothing where nothing is mapped.
func (c *Cell) unmapFresh() Status {
	if c.fresh == 0 {
		return ok
	}
	p := c.fresh
	c.fresh = 0
	return sysMunmap(p, c.round)
}

func sendMappedChunk(c *Cell, off, n int64) Status {
	// A mapping begins where a page does.
	skip := off & int64(unix.Getpagesize()-1)
	return sendMapped(c.tx, c.src.File, off-skip, skip, n, 0)
}

// sendMapped maps a file from off, sends the n bytes that lie skip bytes further,
// and unmaps it.
func sendMapped(to, file int, off, skip, n int64, flags uintptr) Status {
	p, st := sysMmap(file, off, skip+n, flags)
	if st.failed() {
		return st
	}
	st = moved("send", move(unix.SYS_SENDTO, uintptr(to), uintptr(p+skip), uintptr(n), 0))
	if gone := sysMunmap(p, skip+n); !st.failed() {
		return gone
	}
	return st
}

// sysMmap maps a file shared and read-only.
func sysMmap(file int, off, n int64, flags uintptr) (int64, Status) {
	p := syscall6(unix.SYS_MMAP, 0, uintptr(n), unix.PROT_READ, unix.MAP_SHARED|flags, uintptr(file), uintptr(off))
	if p < 0 {
		return 0, Status{Op: "mmap", Errno: unix.Errno(-p)}
	}
	return p, ok
}

func sysMunmap(p, n int64) Status {
	if r := syscall6(unix.SYS_MUNMAP, uintptr(p), uintptr(n), 0, 0, 0, 0); r < 0 {
		return Status{Op: "munmap", Errno: unix.Errno(-r)}
	}
	return ok
}
