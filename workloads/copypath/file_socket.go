package copypath

import "golang.org/x/sys/unix"

// fileMethods are the ways from a file into a stream socket. file-tcp and
// file-unix share them.
func fileMethods() []Method {
	return []Method{
		{Name: "sendfile", About: "sendfile(2) from the file to the socket", send: sendSendfile},
		{Name: "splice", About: "splice(2) from the file into a pipe, and from the pipe to the socket", send: sendSplice},
		{Name: "read-send", About: "pread(2) into user memory, then send(2)", send: sendReadSend},
		{Name: "mmap-send", About: "send(2) from a shared mapping of the file, mapped and touched beforehand", send: sendMmapSend},
	}
}

func sendSendfile(c *Cell, off, n int64) Status {
	for end := off + n; off < end; {
		// The kernel advances off by what was sent.
		if _, st := sysSendfile(c.tx, c.src.File, &off, end-off); st.failed() {
			return st
		}
	}
	return ok
}

func sendSplice(c *Cell, off, n int64) Status { return spliceFile(c, c.src.File, off, n) }

// spliceFile splices n bytes from off of a file through the cell's pipe.
func spliceFile(c *Cell, file int, off, n int64) Status {
	for end := off + n; off < end; {
		filled, st := sysSplice(file, &off, c.pipe[1], end-off, 0)
		if st.failed() {
			return st
		}
		// More of this chunk follows: the socket need not push yet.
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

func sendReadSend(c *Cell, off, n int64) Status { return readSend(c, c.src.File, off, n) }

// readSend reads n bytes from off of a file into the cell's memory and sends them
// from there.
func readSend(c *Cell, file int, off, n int64) Status {
	for end := off + n; off < end; {
		got, st := sysPread(file, c.buf[:end-off], off)
		if st.failed() {
			return st
		}
		if st := moved("send", move(unix.SYS_SENDTO, uintptr(c.tx), addr(c.buf), uintptr(got), 0)); st.failed() {
			return st
		}
		off += got
	}
	return ok
}

func sendMmapSend(c *Cell, off, n int64) Status {
	return moved("send", move(unix.SYS_SENDTO, uintptr(c.tx), at(c.src.Mapped, off), uintptr(n), 0))
}

// receiveSocket reads the last keep of n bytes and throws the others away:
// MSG_TRUNC copies nothing out (tcp_recvmsg_locked), which is the nearest a
// loopback comes to a network card.
func receiveSocket(c *Cell, _, n, keep int64) Status { return receiveFrom(c.rx, c.in[:n], keep) }

func receiveFrom(fd int, in []byte, keep int64) Status {
	n := int64(len(in))
	if n > keep {
		st := moved("recv MSG_TRUNC", move(unix.SYS_RECVFROM, uintptr(fd), addr(in), uintptr(n-keep), unix.MSG_TRUNC))
		if st.failed() || keep == 0 {
			return st
		}
	}
	return moved("recv", move(unix.SYS_RECVFROM, uintptr(fd), at(in, n-keep), uintptr(keep), 0))
}
