package copypath

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// fileUringTCP submits a chunk's two operations linked, by one system call
// that also waits for both. On tmpfs a worker thread does the reading as well:
// its files have no FMODE_NOWAIT (shmem_file_open, io_file_supports_nowait).
func fileUringTCP() Family {
	return Family{
		Name:  "file-uring-tcp",
		About: "a file in the page cache (tmpfs, which io_uring can't read without a worker thread) to a TCP socket over loopback by io_uring",
		Sinks: socketSinks(),
		Methods: []Method{
			{Name: "splice", About: "IORING_OP_SPLICE from the file into a pipe, linked to one to the socket; the kernel does both in a worker thread", send: uringSplice},
			{Name: "read-send", About: "IORING_OP_READ into user memory, linked to IORING_OP_SEND", send: uringReadSend},
		},
		connect: connectUringTCP,
		tune:    tuneTCP,
		receive: receiveSocket,
	}
}

// connectUringTCP also makes the thread, and with it the workers that the
// kernel makes for it, a batch task. When a worker wakes the thread, whether it
// is preempted or goes to sleep first depends on what either ran before, and
// moved chunks of 4 KiB by 1 %; a batch task doesn't preempt
// (check_preempt_wakeup_fair). One transfer in ten of splice still costs 4 %
// more at 64 KiB (measured): this family wants the median of three repetitions.
func connectUringTCP(c *Cell) error {
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_BATCH}, 0); err != nil {
		return fmt.Errorf("make the thread a batch task: %w", err)
	}
	if err := connectTCP(c); err != nil {
		return err
	}
	return c.openRing()
}

func uringReadSend(c *Cell, off, n int64) Status {
	c.ring.push(sqe{op: opRead, flags: sqeLink, fd: int32(c.src.File), off: uint64(off), addr: uint64(addr(c.buf)), n: uint32(n)})
	c.ring.push(sqe{op: opSend, fd: int32(c.tx), addr: uint64(addr(c.buf)), n: uint32(n), opFlags: unix.MSG_WAITALL})
	return c.runPair("uring read", "uring send", n)
}

func uringSplice(c *Cell, off, n int64) Status {
	c.ring.push(sqe{op: opSplice, flags: sqeLink, spliceIn: int32(c.src.File), addr: uint64(off), fd: int32(c.pipe[1]), off: noOffset, n: uint32(n)})
	c.ring.push(sqe{op: opSplice, spliceIn: int32(c.pipe[0]), addr: noOffset, fd: int32(c.tx), off: noOffset, n: uint32(n)})
	return c.runPair("uring splice from the file", "uring splice to the socket", n)
}

// runPair runs two linked operations. The file is whole in the page cache, and
// the pipe holds two chunks: neither has a reason to move less than all.
func (c *Cell) runPair(first, second string, n int64) Status {
	if st := c.ring.run(); st.failed() {
		return st
	}
	if st := c.ring.whole(first, 0, n); st.failed() {
		return st
	}
	return c.ring.whole(second, 1, n)
}
