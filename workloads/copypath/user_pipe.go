package copypath

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func userPipe() Family {
	return Family{
		Name:  "user-pipe",
		About: "user memory, touched and page-aligned, to a pipe, and read(2) from it",
		Sinks: []string{""},
		Methods: []Method{
			{Name: "vmsplice", About: "vmsplice(2) of the memory into the pipe", send: sendVmsplice},
			{Name: "write", About: "write(2) of the memory into the pipe", send: sendWrite},
		},
		connect: connectPipe,
		receive: receivePipe,
	}
}

func connectPipe(c *Cell) error {
	c.rx, c.tx = c.pipe[0], c.pipe[1]
	return nil
}

// The three below are as short as they are because a chunk of 4 KiB costs a
// pipe 2,300 instructions in all: 23 are a percent.

//go:nosplit
func sendVmsplice(c *Cell, off, n int64) Status {
	iov := [2]uintptr{at(c.user, off), uintptr(n)} // struct iovec
	r := syscall6(unix.SYS_VMSPLICE, uintptr(c.tx), uintptr(unsafe.Pointer(&iov)), 1, 0, 0, 0)
	if r == n {
		return Status{}
	}
	return restOfVmsplice(c, off, n, r)
}

// restOfVmsplice goes on after a call that returned r.
func restOfVmsplice(c *Cell, off, n, r int64) Status {
	done, st := outcome("vmsplice", r)
	if st.failed() {
		return st
	}
	return sendVmsplice(c, off+done, n-done)
}

//go:nosplit
func sendWrite(c *Cell, off, n int64) Status {
	return moved("write", move(unix.SYS_WRITE, uintptr(c.tx), at(c.user, off), uintptr(n), 0))
}

//go:nosplit
func receivePipe(c *Cell, _, n, _ int64) Status {
	return moved("read", move(unix.SYS_READ, uintptr(c.rx), addr(c.in), uintptr(n), 0))
}
