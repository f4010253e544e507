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

// failed is what the timed loops ask after every call: one comparison, where
// that of two whole values is a dozen instructions.
func (s Status) failed() bool { return s.Op != "" }

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

// syscall6 makes a system call and returns what the kernel does: bytes moved, or
// an error number below zero. x/sys's RawSyscall6 goes through four functions
// and takes 60 instructions more, twice or three times a chunk: 5 % of the
// smallest ones' (measured, lab/run's TestRealTwin).
//
//go:noescape
func syscall6(trap, a1, a2, a3, a4, a5, a6 uintptr) int64

// move makes system call op on fd, with the n bytes at p and flags, until all of
// them are moved; n is not 0. It returns what its last call did, as syscall6: a
// loop in Go around that takes 50 instructions more a call, 2 % of what the
// smallest chunk costs a pipe.
//
//go:noescape
func move(op, fd, p, n, flags uintptr) int64

// moved turns what move returned into a Status.
func moved(op string, r int64) Status {
	if r > 0 {
		return Status{}
	}
	return failure(op, r)
}

// outcome turns what syscall6 returned into bytes moved and a Status.
func outcome(op string, r int64) (int64, Status) {
	if r > 0 {
		return r, Status{}
	}
	return 0, failure(op, r)
}

//go:noinline
func failure(op string, r int64) Status {
	switch errno := unix.Errno(-r); errno {
	case unix.EINTR:
		return ok // tried again by the caller's loop
	case 0:
		return Status{Op: op, Short: true}
	default:
		return Status{Op: op, Errno: errno}
	}
}

func sysSendfile(out, in int, off *int64, n int64) (int64, Status) {
	return outcome("sendfile", syscall6(unix.SYS_SENDFILE, uintptr(out), uintptr(in), uintptr(unsafe.Pointer(off)), uintptr(n), 0, 0))
}

// sysSplice takes a nil offset for a pipe or socket.
func sysSplice(in int, off *int64, out int, n int64, flags uintptr) (int64, Status) {
	return outcome("splice", syscall6(unix.SYS_SPLICE, uintptr(in), uintptr(unsafe.Pointer(off)), uintptr(out), 0, uintptr(n), flags))
}

// sysSpliceOut is sysSplice from a pipe to a file at off, which the kernel
// advances.
func sysSpliceOut(pipe, out int, off *int64, n int64) (int64, Status) {
	return outcome("splice", syscall6(unix.SYS_SPLICE, uintptr(pipe), 0, uintptr(out), uintptr(unsafe.Pointer(off)), uintptr(n), 0))
}

// sysCopyFileRange copies to the same offset as it copies from.
func sysCopyFileRange(in, out int, off *int64, n int64) (int64, Status) {
	to := *off
	return outcome("copy_file_range", syscall6(unix.SYS_COPY_FILE_RANGE, uintptr(in), uintptr(unsafe.Pointer(off)), uintptr(out), uintptr(unsafe.Pointer(&to)), uintptr(n), 0))
}

func sysPread(fd int, b []byte, off int64) (int64, Status) {
	return outcome("pread", syscall6(unix.SYS_PREAD64, uintptr(fd), addr(b), uintptr(len(b)), uintptr(off), 0, 0))
}

func sysPwrite(fd int, b []byte, off int64) (int64, Status) {
	return outcome("pwrite", syscall6(unix.SYS_PWRITE64, uintptr(fd), addr(b), uintptr(len(b)), uintptr(off), 0, 0))
}

// sysSeek sets the position that sendfile writes a file at. It returns no
// count of bytes, and 0 is a position like any other.
func sysSeek(fd int, off int64) Status {
	if r := syscall6(unix.SYS_LSEEK, uintptr(fd), uintptr(off), unix.SEEK_SET, 0, 0, 0); r < 0 {
		return Status{Op: "lseek", Errno: unix.Errno(-r)}
	}
	return ok
}

func sysWrite(fd int, b []byte) (int64, Status) {
	return outcome("write", syscall6(unix.SYS_WRITE, uintptr(fd), addr(b), uintptr(len(b)), 0, 0, 0))
}

func sysSend(fd int, b []byte) (int64, Status) {
	return outcome("send", syscall6(unix.SYS_SENDTO, uintptr(fd), addr(b), uintptr(len(b)), 0, 0, 0))
}

func sysSendZerocopy(fd int, b []byte) (int64, Status) {
	return outcome("send MSG_ZEROCOPY", syscall6(unix.SYS_SENDTO, uintptr(fd), addr(b), uintptr(len(b)), unix.MSG_ZEROCOPY, 0, 0))
}

// sysTee duplicates what a pipe holds into another one.
func sysTee(in, out int, n int64) (int64, Status) {
	return outcome("tee", syscall6(unix.SYS_TEE, uintptr(in), uintptr(out), uintptr(n), 0, 0, 0))
}

func sysRecv(fd int, b []byte) (int64, Status) {
	return outcome("recv", syscall6(unix.SYS_RECVFROM, uintptr(fd), addr(b), uintptr(len(b)), 0, 0, 0))
}

func sysVmsplice(fd int, b []byte) (int64, Status) {
	iov := unix.Iovec{Base: &b[0], Len: uint64(len(b))}
	return outcome("vmsplice", syscall6(unix.SYS_VMSPLICE, uintptr(fd), uintptr(unsafe.Pointer(&iov)), 1, 0, 0, 0))
}

// moveAll makes a system call on the rest of b until nothing is left of it.
func moveAll(fd int, b []byte, call func(fd int, b []byte) (int64, Status)) Status {
	for len(b) > 0 {
		n, st := call(fd, b)
		if st.failed() {
			return st
		}
		b = b[n:]
	}
	return ok
}

// addr returns where b lies. The buffers are mmapped or outlive the call, so
// the garbage collector has no say in it.
func addr(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// at returns where the byte at off of b lies, without asking whether it does.
func at(b []byte, off int64) uintptr { return addr(b) + uintptr(off) }
