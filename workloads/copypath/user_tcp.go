package copypath

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

func userTCP() Family {
	return Family{
		Name:   "user-tcp",
		About:  "user memory, touched and page-aligned, to a TCP socket over loopback",
		Sinks:  socketSinks(),
		Duplex: true,
		Methods: []Method{
			{Name: "send", About: "send(2) of the memory", send: sendUser},
			{Name: "zerocopy", About: "send(2) with MSG_ZEROCOPY; what is completed is reaped before each call, without waiting", send: sendZerocopy},
			{Name: "vmsplice", About: "vmsplice(2) of the memory into a pipe, and splice(2) from the pipe to the socket", send: sendVmspliceSplice},
		},
		connect: connectZerocopy,
		tune:    tuneTCP,
		receive: receiveSocket,
	}
}

// connectZerocopy allows MSG_ZEROCOPY. A socket that may use it is as any other
// until it does (tcp_sendmsg_locked).
func connectZerocopy(c *Cell) error {
	if err := connectTCP(c); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(c.tx, unix.SOL_SOCKET, unix.SO_ZEROCOPY, 1); err != nil {
		return fmt.Errorf("set SO_ZEROCOPY: %w", err)
	}
	return nil
}

// sendZerocopy reaps and sends. Memory is free to be written to again only when
// its send is completed, which in lock-step is when the receiver has
// acknowledged it: the chunk before is reaped, and the last of a transfer by the
// next one. Nothing waits for it, because the source never changes.
func sendZerocopy(c *Cell, off, n int64) Status {
	if st := reap(c.tx); st.failed() {
		return st
	}
	return moveAll(c.tx, c.user[off:off+n], sysSendZerocopy)
}

// completion is what the error queue gives for a range of sends: a control
// message with a struct sock_extended_err (include/uapi/linux/errqueue.h),
// and room for the address that follows it.
type completion struct {
	header unix.Cmsghdr
	err    sockExtendedErr
	_      [unix.SizeofSockaddrInet6]byte
}

type sockExtendedErr struct {
	errno                uint32
	origin, typ, code, _ uint8
	info, data           uint32
}

// soEEOriginZerocopy is SO_EE_ORIGIN_ZEROCOPY (include/uapi/linux/errqueue.h).
const soEEOriginZerocopy = 5

// reap takes one message off the error queue, if there is one. The kernel joins
// completions that follow each other (__msg_zerocopy_callback), so that one
// call a send keeps the queue short.
func reap(fd int) Status {
	var done completion
	msg := unix.Msghdr{Control: (*byte)(unsafe.Pointer(&done)), Controllen: uint64(unsafe.Sizeof(done))}
	_, _, e := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	switch {
	case e == unix.EAGAIN || e == unix.EINTR:
		return ok
	case e != 0:
		return Status{Op: "recvmsg MSG_ERRQUEUE", Errno: e}
	case done.err.origin != soEEOriginZerocopy || done.err.errno != 0:
		return Status{Op: "recvmsg MSG_ERRQUEUE: no completion", Errno: unix.EBADMSG}
	}
	return ok
}

// sendVmspliceSplice passes the memory's pages through the pipe.
func sendVmspliceSplice(c *Cell, off, n int64) Status {
	for end := off + n; off < end; {
		filled, st := sysVmsplice(c.pipe[1], c.user[off:end])
		if st.failed() {
			return st
		}
		off += filled
		var flags uintptr
		if off < end {
			flags = unix.SPLICE_F_MORE
		}
		if st := drain(c.pipe[0], c.tx, filled, flags); st.failed() {
			return st
		}
	}
	return ok
}

// drain splices n bytes out of a pipe.
func drain(pipe, to int, n int64, flags uintptr) Status {
	for n > 0 {
		moved, st := sysSplice(pipe, nil, to, n, flags)
		if st.failed() {
			return st
		}
		n -= moved
	}
	return ok
}
