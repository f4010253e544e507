package copypath

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Status is how a timed step ended. It is a value without pointers to the heap
// so that a step allocates nothing, not even for an error.
type Status struct {
	Op    string // the system call; empty: all went well
	Errno unix.Errno
	Short bool // the call moved too few bytes
}

// ok is the Status of a step that did what it should.
var ok = Status{}

// Err returns the status as an error, nil when all went well.
func (s Status) Err() error {
	switch {
	case s.Op == "":
		return nil
	case s.Short:
		return fmt.Errorf("%s: moved too few bytes", s.Op)
	default:
		return fmt.Errorf("%s: %w", s.Op, s.Errno)
	}
}

// outcome turns the two results of a system call into bytes moved and a
// Status.
func outcome(op string, r uintptr, e unix.Errno) (int64, Status) {
	switch {
	case e == unix.EINTR:
		return 0, ok // tried again by the caller's loop
	case e != 0:
		return 0, Status{Op: op, Errno: e}
	case r == 0:
		return 0, Status{Op: op, Short: true}
	default:
		return int64(r), ok
	}
}

func sysSendfile(out, in int, off *int64, n int64) (int64, Status) {
	r, _, e := unix.RawSyscall6(unix.SYS_SENDFILE, uintptr(out), uintptr(in), uintptr(unsafe.Pointer(off)), uintptr(n), 0, 0)
	return outcome("sendfile", r, e)
}

// sysSplice takes a nil offset for a pipe or socket.
func sysSplice(in int, off *int64, out int, n int64, flags uintptr) (int64, Status) {
	r, _, e := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(in), uintptr(unsafe.Pointer(off)), uintptr(out), 0, uintptr(n), flags)
	return outcome("splice", r, e)
}

// sysSpliceOut is sysSplice from a pipe to a file at off, which the kernel
// advances.
func sysSpliceOut(pipe, out int, off *int64, n int64) (int64, Status) {
	r, _, e := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(pipe), 0, uintptr(out), uintptr(unsafe.Pointer(off)), uintptr(n), 0)
	return outcome("splice", r, e)
}

// sysCopyFileRange copies to the same offset as it copies from.
func sysCopyFileRange(in, out int, off *int64, n int64) (int64, Status) {
	to := *off
	r, _, e := unix.RawSyscall6(unix.SYS_COPY_FILE_RANGE, uintptr(in), uintptr(unsafe.Pointer(off)), uintptr(out), uintptr(unsafe.Pointer(&to)), uintptr(n), 0)
	return outcome("copy_file_range", r, e)
}

func sysPread(fd int, b []byte, off int64) (int64, Status) {
	r, _, e := unix.RawSyscall6(unix.SYS_PREAD64, uintptr(fd), addr(b), uintptr(len(b)), uintptr(off), 0, 0)
	return outcome("pread", r, e)
}

func sysPwrite(fd int, b []byte, off int64) (int64, Status) {
	r, _, e := unix.RawSyscall6(unix.SYS_PWRITE64, uintptr(fd), addr(b), uintptr(len(b)), uintptr(off), 0, 0)
	return outcome("pwrite", r, e)
}

// sysSeek sets the position that sendfile writes a file at. It returns no
// count of bytes, and 0 is a position like any other.
func sysSeek(fd int, off int64) Status {
	if _, _, e := unix.RawSyscall(unix.SYS_LSEEK, uintptr(fd), uintptr(off), unix.SEEK_SET); e != 0 {
		return Status{Op: "lseek", Errno: e}
	}
	return ok
}

func sysRead(fd int, b []byte) (int64, Status) {
	r, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(fd), addr(b), uintptr(len(b)))
	return outcome("read", r, e)
}

func sysWrite(fd int, b []byte) (int64, Status) {
	r, _, e := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), addr(b), uintptr(len(b)))
	return outcome("write", r, e)
}

func sysSend(fd int, b []byte) (int64, Status) {
	r, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), addr(b), uintptr(len(b)), 0, 0, 0)
	return outcome("send", r, e)
}

func sysSendZerocopy(fd int, b []byte) (int64, Status) {
	r, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), addr(b), uintptr(len(b)), unix.MSG_ZEROCOPY, 0, 0)
	return outcome("send MSG_ZEROCOPY", r, e)
}

// sysTee duplicates what a pipe holds into another one.
func sysTee(in, out int, n int64) (int64, Status) {
	r, _, e := unix.RawSyscall6(unix.SYS_TEE, uintptr(in), uintptr(out), uintptr(n), 0, 0, 0)
	return outcome("tee", r, e)
}

func sysRecv(fd int, b []byte) (int64, Status) {
	r, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), addr(b), uintptr(len(b)), 0, 0, 0)
	return outcome("recv", r, e)
}

// sysDiscard receives and copies nothing out (tcp_recvmsg_locked).
func sysDiscard(fd int, b []byte) (int64, Status) {
	r, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), addr(b), uintptr(len(b)), unix.MSG_TRUNC, 0, 0)
	return outcome("recv MSG_TRUNC", r, e)
}

func sysVmsplice(fd int, b []byte) (int64, Status) {
	iov := unix.Iovec{Base: &b[0], Len: uint64(len(b))}
	r, _, e := unix.RawSyscall6(unix.SYS_VMSPLICE, uintptr(fd), uintptr(unsafe.Pointer(&iov)), 1, 0, 0, 0)
	return outcome("vmsplice", r, e)
}

// moveAll makes a system call on the rest of b until nothing is left of it.
func moveAll(fd int, b []byte, call func(fd int, b []byte) (int64, Status)) Status {
	for len(b) > 0 {
		n, st := call(fd, b)
		if st != ok {
			return st
		}
		b = b[n:]
	}
	return ok
}

// addr returns where b lies. The buffers are mmapped or outlive the call, so
// the garbage collector has no say in it.
func addr(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
