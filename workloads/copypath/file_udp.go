package copypath

import (
	"fmt"

	"golang.org/x/sys/unix"

	"splicelab/workloads/wire"
)

// maxDatagram is the largest chunk of the datagram families, in bytes. A
// datagram holds 65,507, and a splice of 16 pages less than that where it
// doesn't begin on a page.
const maxDatagram = 32 << 10

const datagramTooLarge = "a chunk is one datagram, which holds at most 65,507 bytes: larger ones give EMSGSIZE on every kernel"

// fileUDP is lock-step only: nothing slows a sender of datagrams down, and what
// a free-running receiver has no room for is lost.
func fileUDP() Family {
	return Family{
		Name:      "file-udp",
		About:     "a file in the page cache (tmpfs) to a UDP socket over loopback, a datagram a chunk",
		Sinks:     []string{wire.SinkRead, wire.SinkDiscard},
		Schedules: alone(),
		MaxChunk:  maxDatagram,
		NotTaken:  datagramTooLarge,
		Methods:   fileMethods(),
		connect:   connectUDP,
		receive:   receiveDatagram,
	}
}

func connectUDP(c *Cell) error {
	var err error
	if c.rx, err = c.datagramSocket(); err != nil {
		return err
	}
	if err := unix.Bind(c.rx, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	bound, err := unix.Getsockname(c.rx)
	if err != nil {
		return fmt.Errorf("getsockname: %w", err)
	}
	if c.tx, err = c.datagramSocket(); err != nil {
		return err
	}
	if err := unix.Connect(c.tx, bound); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// datagramSocket returns a UDP socket with the lab's buffer sizes.
func (c *Cell) datagramSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	c.fds = append(c.fds, fd)
	return fd, c.setBuffers(fd)
}

// receiveDatagram takes one datagram, which is to hold all n bytes and to be
// there already: one that was dropped must not block the cell.
func receiveDatagram(c *Cell, _, n, keep int64) Status {
	// Without room for any of it nothing is copied out, and MSG_TRUNC returns
	// its length all the same (udp_recvmsg).
	room := c.in[:n]
	if keep == 0 {
		room = c.in[:0]
	}
	const flags = unix.MSG_TRUNC | unix.MSG_DONTWAIT
	got, st := outcome("recv", syscall6(unix.SYS_RECVFROM, uintptr(c.rx), addr(room), uintptr(len(room)), flags, 0, 0))
	if !st.failed() && got != n {
		return Status{Op: "recv a datagram of another length", Errno: unix.EBADMSG}
	}
	return st
}
