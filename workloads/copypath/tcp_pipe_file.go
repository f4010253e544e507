package copypath

// tcpPipeFile is an upload. The sender feeds the socket, by send(2) on every
// kernel; the receiver's side is what the family is about.
func tcpPipeFile() Family {
	return Family{
		Name:      "tcp-pipe-file",
		About:     "a TCP socket over loopback, fed from user memory by send(2), to a file (tmpfs), over what it has",
		Sinks:     []string{""},
		Schedules: alone(),
		Methods: []Method{
			{Name: "splice", About: "splice(2) from the socket into a pipe, and from the pipe to the file", send: sendUser, receive: receiveSpliceFile},
			{Name: "recv-write", About: "recv(2) into user memory, then pwrite(2)", send: sendUser, receive: receiveWriteFile},
		},
		connect: connectTCPFile,
		tune:    tuneTCP,
	}
}

func connectTCPFile(c *Cell) error {
	if err := connectTCP(c); err != nil {
		return err
	}
	return connectFile(c)
}

func sendUser(c *Cell, off, n int64) Status {
	return moveAll(c.tx, c.user[off:off+n], sysSend)
}

func receiveSpliceFile(c *Cell, off, n, _ int64) Status {
	for end := off + n; off < end; {
		filled, st := sysSplice(c.rx, nil, c.pipe[1], end-off, 0)
		if st.failed() {
			return st
		}
		if st := drainToFile(c, off, filled); st.failed() {
			return st
		}
		off += filled
	}
	return ok
}

func receiveWriteFile(c *Cell, off, n, _ int64) Status {
	for end := off + n; off < end; {
		got, st := sysRecv(c.rx, c.buf[:end-off])
		if st.failed() {
			return st
		}
		if st := writeFile(c, c.buf[:got], off); st.failed() {
			return st
		}
		off += got
	}
	return ok
}
