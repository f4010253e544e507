package copypath

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// fanOut is to how many sockets user-tee-tcp sends each byte.
const fanOut = 4

// userTeeTCP is lock-step only: a stream would need a process a socket.
func userTeeTCP() Family {
	return Family{
		Name:      "user-tee-tcp",
		About:     "user memory, touched and page-aligned, to four TCP sockets over loopback; a byte counts once for each socket",
		Sinks:     socketSinks(),
		Schedules: alone(),
		Fan:       fanOut,
		Methods: []Method{
			{Name: "tee", About: "vmsplice(2) into a pipe once, tee(2) into a second pipe for each socket but the last, splice(2) to the socket", send: sendTee, check: checkFan},
			{Name: "send", About: "send(2) to each of the sockets", send: sendToAll, check: checkFan},
		},
		connect: connectFan,
		tune:    tuneFan,
		receive: receiveFan,
	}
}

func connectFan(c *Cell) error {
	var err error
	if c.copy, err = c.newPipe(); err != nil {
		return err
	}
	for range fanOut {
		if err := connectTCP(c); err != nil {
			return err
		}
		in, err := c.memory(c.chunk)
		if err != nil {
			return err
		}
		c.fan = append(c.fan, ends{c.tx, c.rx, in})
	}
	return nil
}

func tuneFan(c *Cell, schedule string) error {
	for _, e := range c.fan {
		if err := setNoDelay(e.tx, schedule); err != nil {
			return err
		}
	}
	return nil
}

func sendTee(c *Cell, off, n int64) Status {
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
		last := len(c.fan) - 1
		for i := range c.fan[:last] {
			// The second pipe is as large and empty: tee takes all or fails.
			copied, st := sysTee(c.pipe[0], c.copy[1], filled)
			if st.failed() {
				return st
			}
			if copied != filled {
				return Status{Op: "tee took a part", Errno: unix.EBADMSG}
			}
			if st := drain(c.copy[0], c.fan[i].tx, filled, flags); st.failed() {
				return st
			}
		}
		if st := drain(c.pipe[0], c.fan[last].tx, filled, flags); st.failed() {
			return st
		}
	}
	return ok
}

func sendToAll(c *Cell, off, n int64) Status {
	for i := range c.fan {
		if st := moveAll(c.fan[i].tx, c.user[off:off+n], sysSend); st.failed() {
			return st
		}
	}
	return ok
}

func receiveFan(c *Cell, _, n, keep int64) Status {
	for i := range c.fan {
		if st := receiveFrom(c.fan[i].rx, c.fan[i].in[:n], keep); st.failed() {
			return st
		}
	}
	return ok
}

// checkFan compares what each receiver got, and wipes it: the next transfer
// can't be taken for this one.
func checkFan(c *Cell, off, n int64) error {
	for i, e := range c.fan {
		got := e.in[c.chunk-n : c.chunk]
		if err := c.src.compare(got, off+c.chunk-n); err != nil {
			return fmt.Errorf("receiver %d: %w", i, err)
		}
		clear(got)
	}
	return nil
}
