package copypath

import "golang.org/x/sys/unix"

// tcpPipeTCP is a proxy. Its bytes must come from somewhere: a feeder sends
// them from user memory, as user-tcp/send does, so that user-tcp/send is what
// both ends cost without the proxy, and the sender's side is the hop alone.
//
// It is lock-step only: a stream would need three processes.
func tcpPipeTCP() Family {
	return Family{
		Name:      "tcp-pipe-tcp",
		About:     "a proxy: what a TCP socket receives, fed from user memory, to another TCP socket, both over loopback; the sender's side is the hop alone",
		Sinks:     socketSinks(),
		Schedules: alone(),
		Methods: []Method{
			{Name: "splice", About: "splice(2) from the socket into a pipe, and from the pipe to the other socket", send: relaySplice},
			{Name: "read-write", About: "recv(2) from the socket into user memory, then send(2)", send: relayReadWrite},
		},
		connect: connectProxy,
		tune:    tuneProxy,
		feed:    feedProxy,
		receive: receiveSocket,
	}
}

// connectProxy opens the proxy's two connections: feeder to from, and tx to rx.
func connectProxy(c *Cell) error {
	if err := connectTCP(c); err != nil {
		return err
	}
	c.feeder, c.from = c.tx, c.rx
	return connectTCP(c)
}

func tuneProxy(c *Cell, schedule string) error {
	if err := tuneTCP(c, schedule); err != nil {
		return err
	}
	return setNoDelay(c.feeder, schedule)
}

func feedProxy(c *Cell, off, n int64) Status {
	return moveAll(c.feeder, c.user[off:off+n], sysSend)
}

func relaySplice(c *Cell, _, n int64) Status {
	for n > 0 {
		filled, st := sysSplice(c.from, nil, c.pipe[1], n, 0)
		if st.failed() {
			return st
		}
		n -= filled
		// More of this chunk is there: the socket need not push yet.
		var flags uintptr
		if n > 0 {
			flags = unix.SPLICE_F_MORE
		}
		if st := drain(c.pipe[0], c.tx, filled, flags); st.failed() {
			return st
		}
	}
	return ok
}

func relayReadWrite(c *Cell, _, n int64) Status {
	for n > 0 {
		got, st := sysRecv(c.from, c.buf[:n])
		if st.failed() {
			return st
		}
		if st := moveAll(c.tx, c.buf[:got], sysSend); st.failed() {
			return st
		}
		n -= got
	}
	return ok
}
