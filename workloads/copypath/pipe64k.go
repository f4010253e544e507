package copypath

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"splicelab/workloads/wire"
)

// userPipe64k is user-pipe as most programs have it: they leave a pipe at its
// 16 pages. A larger chunk goes in as many parts, which in lock-step the sender
// itself takes out again, all but the last; in a stream either side sleeps till
// the other has made room.
func userPipe64k() Family {
	return Family{
		Name:        "user-pipe64k",
		About:       "user-pipe with a pipe of its default size, 64 KiB: larger chunks go in parts",
		Sinks:       []string{""},
		DefaultPipe: true,
		Methods: []Method{
			{Name: "vmsplice", About: "vmsplice(2) of the memory into the pipe, as often as it takes", send: vmsplicePart},
			{Name: "write", About: "write(2) of the memory into the pipe; in lock-step it doesn't block", send: writePart},
		},
		connect: connectPipe,
		tune:    tunePart,
		receive: receivePart,
	}
}

// filePipe64kTCP is file-tcp/splice with such a pipe.
func filePipe64kTCP() Family {
	f := fileTCP()
	f.Name, f.About = "file-pipe64k-tcp", "file-tcp through a pipe of its default size, 64 KiB: larger chunks go in parts"
	f.Duplex, f.DefaultPipe = false, true
	f.Methods = []Method{{Name: "splice", About: "splice(2) from the file into the pipe, and from the pipe to the socket, as often as it takes", send: sendSplice}}
	return f
}

// tunePart has one thread fill the pipe and drain it in turn in lock-step: a
// write must not wait for room then. vmsplice returns when it has filled the
// pipe, whatever the flags (iter_to_pipe).
func tunePart(c *Cell, schedule string) error {
	c.parts = schedule == wire.ScheduleLockstep
	if err := unix.SetNonblock(c.tx, c.parts); err != nil {
		return fmt.Errorf("make the pipe's writing end block, or not: %w", err)
	}
	return nil
}

func vmsplicePart(c *Cell, off, n int64) Status { return sendParts(c, off, n, vmsplice) }

func writePart(c *Cell, off, n int64) Status { return sendParts(c, off, n, write) }

func vmsplice(c *Cell, off, n int64) int64 {
	iov := [2]uintptr{at(c.user, off), uintptr(n)} // struct iovec
	return syscall6(unix.SYS_VMSPLICE, uintptr(c.tx), uintptr(unsafe.Pointer(&iov)), 1, 0, 0, 0)
}

func write(c *Cell, off, n int64) int64 {
	return syscall6(unix.SYS_WRITE, uintptr(c.tx), at(c.user, off), uintptr(n), 0, 0, 0)
}

// sendParts fills the pipe by a system call until all is in. In lock-step it
// makes room by taking out what is in it.
func sendParts(c *Cell, off, n int64, fill func(c *Cell, off, n int64) int64) Status {
	for c.taken = 0; ; {
		filled, st := outcome("fill the pipe", fill(c, off, n))
		if st.failed() {
			return st
		}
		off, n = off+filled, n-filled
		if n == 0 {
			return ok
		}
		if c.parts {
			if st := takePart(c, filled); st.failed() {
				return st
			}
		}
	}
}

// takePart reads n bytes to behind those that were taken of this chunk.
func takePart(c *Cell, n int64) Status {
	st := moved("read", move(unix.SYS_READ, uintptr(c.rx), at(c.in, c.taken), uintptr(n), 0))
	c.taken += n
	return st
}

// receivePart takes what sendParts left of the chunk: all of it, where another
// process sent.
func receivePart(c *Cell, _, n, _ int64) Status {
	st := takePart(c, n-c.taken)
	c.taken = 0
	return st
}
