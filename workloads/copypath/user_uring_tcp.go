package copypath

import "golang.org/x/sys/unix"

func userUringTCP() Family {
	return Family{
		Name:  "user-uring-tcp",
		About: "user memory, touched and page-aligned, to a TCP socket over loopback by io_uring",
		Sinks: socketSinks(),
		Methods: []Method{
			{Name: "send", About: "IORING_OP_SEND", send: uringSend},
			{Name: "send-zc", About: "IORING_OP_SEND_ZC; its notification is taken whenever it comes", send: uringSendZC},
		},
		connect: connectUringTCP,
		tune:    tuneTCP,
		receive: receiveSocket,
	}
}

func uringSend(c *Cell, off, n int64) Status { return c.uringSendAll(opSend, off, n) }

// uringSendZC doesn't wait for the notification: it comes with the receiver's
// acknowledgement, and the receiver is this same thread.
func uringSendZC(c *Cell, off, n int64) Status { return c.uringSendAll(opSendZC, off, n) }

func (c *Cell) uringSendAll(op uint8, off, n int64) Status {
	for end := off + n; off < end; {
		c.ring.push(sqe{op: op, fd: int32(c.tx), addr: uint64(addr(c.user[off:])), n: uint32(end - off), opFlags: unix.MSG_WAITALL})
		if st := c.ring.run(); st.failed() {
			return st
		}
		sent, st := c.ring.result("uring send", 0)
		if st.failed() {
			return st
		}
		off += sent
	}
	return ok
}
