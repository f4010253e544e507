package copypath

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of include/uapi/linux/io_uring.h.
const (
	opRead   = 22
	opSend   = 26
	opSplice = 30
	opSendZC = 47

	// sqeLink: the next one begins when this one has ended well.
	sqeLink = 1 << 2

	// cqeNotif marks the second completion of a SEND_ZC: the kernel holds its
	// memory no longer.
	cqeNotif = 1 << 3

	// setupCQSize is the one flag of the rings: they are as they come, which is
	// how most programs have them.
	setupCQSize = 1 << 3

	enterGetEvents = 1 << 0
	featSingleMmap = 1 << 0
	offsetSQEs     = 0x10000000
)

// ringParams is struct io_uring_params.
type ringParams struct {
	sqEntries, cqEntries, flags, threadCPU, threadIdle, features, wqFD uint32

	resv [3]uint32
	sq   struct{ head, tail, mask, entries, flags, dropped, array, resv1, _, _ uint32 }
	cq   struct{ head, tail, mask, entries, overflow, cqes, flags, resv1, _, _ uint32 }
}

// sqe is struct io_uring_sqe.
type sqe struct {
	op, flags uint8
	ioprio    uint16
	fd        int32
	off, addr uint64 // of a splice: where it goes, where it comes from
	n         uint32
	opFlags   uint32
	userData  uint64
	buf, pers uint16
	spliceIn  int32
	_         [2]uint64
}

// cqe is struct io_uring_cqe.
type cqe struct {
	userData uint64
	res      int32
	flags    uint32
}

// noOffset is that of a pipe or socket.
const noOffset = ^uint64(0)

// ringEntries is room for more than a chunk takes, ringCompletions for the
// notifications of all that a full socket buffer holds, by chunks of 4 KiB: what
// doesn't fit the kernel has to allocate memory for (io_cqring_event_overflow).
const (
	ringEntries     = 8
	ringCompletions = 2048
)

// ring is an io_uring by raw system calls, for one thread.
type ring struct {
	fd             int
	sqTail         *uint32
	sqMask, cqMask uint32
	sqes           []sqe
	cqHead, cqTail *uint32
	cqes           []cqe

	pushed  uint32 // not submitted yet
	results [ringEntries]int32
}

// openRing gives the cell a ring, until Close.
func (c *Cell) openRing() error {
	p := ringParams{flags: setupCQSize, cqEntries: ringCompletions}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, ringEntries, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return fmt.Errorf("io_uring_setup: %w", errno)
	}
	c.fds = append(c.fds, int(fd))
	if p.features&featSingleMmap == 0 {
		return fmt.Errorf("io_uring of a kernel before 5.4: its rings aren't mapped as one")
	}
	size := max(uintptr(p.sq.array)+4*uintptr(p.sqEntries), uintptr(p.cq.cqes)+unsafe.Sizeof(cqe{})*uintptr(p.cqEntries))
	rings, err := c.mapRing(int(fd), 0, int(size))
	if err != nil {
		return err
	}
	entries, err := c.mapRing(int(fd), offsetSQEs, int(unsafe.Sizeof(sqe{}))*int(p.sqEntries))
	if err != nil {
		return err
	}
	word := func(off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&rings[off])) }
	c.ring = &ring{
		fd: int(fd), sqTail: word(p.sq.tail), sqMask: *word(p.sq.mask),
		sqes:   unsafe.Slice((*sqe)(unsafe.Pointer(&entries[0])), p.sqEntries),
		cqHead: word(p.cq.head), cqTail: word(p.cq.tail), cqMask: *word(p.cq.mask),
		cqes: unsafe.Slice((*cqe)(unsafe.Pointer(&rings[p.cq.cqes])), p.cqEntries),
	}
	// A slot of the queue always names the entry of its own number.
	for i, array := uint32(0), unsafe.Slice(word(p.sq.array), p.sqEntries); i < p.sqEntries; i++ {
		array[i] = i
	}
	return nil
}

func (c *Cell) mapRing(fd int, offset int64, size int) ([]byte, error) {
	b, err := unix.Mmap(fd, offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("map the io_uring: %w", err)
	}
	c.maps = append(c.maps, b)
	return b, nil
}

// push puts an operation behind those that the next run submits. There must
// not be more than ringEntries.
func (r *ring) push(e sqe) {
	e.userData = uint64(r.pushed)
	r.sqes[(*r.sqTail+r.pushed)&r.sqMask] = e
	r.pushed++
}

// run submits what was pushed by one system call, and returns when all of it
// has ended, with what each came to in results.
func (r *ring) run() Status {
	submit, due := r.pushed, r.pushed
	r.pushed = 0
	atomic.StoreUint32(r.sqTail, *r.sqTail+submit)
	for due > 0 {
		n, _, e := unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(submit), uintptr(due), enterGetEvents, 0, 0)
		if e != 0 && e != unix.EINTR {
			return Status{Op: "io_uring_enter", Errno: e}
		}
		if e == 0 {
			submit -= uint32(n)
		}
		due -= r.reap()
	}
	return ok
}

// reap takes what has ended so far, without a system call, and returns how many
// operations that were. Notifications of earlier ones are taken and count for
// nothing: they come when the receiver has acknowledged.
func (r *ring) reap() (ended uint32) {
	head := *r.cqHead
	for ; head != atomic.LoadUint32(r.cqTail); head++ {
		e := &r.cqes[head&r.cqMask]
		if e.flags&cqeNotif == 0 {
			r.results[e.userData] = e.res
			ended++
		}
	}
	atomic.StoreUint32(r.cqHead, head)
	return ended
}

// result returns the bytes that the i-th operation of the last run moved.
func (r *ring) result(op string, i int) (int64, Status) {
	return outcome(op, int64(r.results[i]))
}

// whole is the Status of an operation that is to move n bytes at once.
func (r *ring) whole(op string, i int, n int64) Status {
	got, st := r.result(op, i)
	if !st.failed() && got != n {
		return Status{Op: op, Short: true}
	}
	return st
}
