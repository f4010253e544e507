package copypath

import (
	"fmt"

	"golang.org/x/sys/unix"

	"splicelab/workloads/wire"
)

// SocketBuffer is what SO_SNDBUFFORCE and SO_RCVBUFFORCE are given, in bytes, for
// chunks of up to half of it. Larger ones get room for two, so that lock-step
// never blocks.
const SocketBuffer = 4 << 20

func fileTCP() Family {
	return Family{
		Name:    "file-tcp",
		About:   "a file in the page cache (tmpfs) to a TCP socket over loopback",
		Sinks:   socketSinks(),
		Duplex:  true,
		Methods: fileMethods(),
		connect: connectTCP,
		tune:    tuneTCP,
		receive: receiveSocket,
	}
}

// connectTCP opens one connection over loopback.
func connectTCP(c *Cell) error {
	listener, err := c.listen([4]byte{127, 0, 0, 1})
	if err != nil {
		return err
	}
	return c.dial(listener)
}

// listen opens the listening socket. The buffers are set on it, because the
// window scale is decided in the handshake.
func (c *Cell) listen(ip [4]byte) (int, error) {
	listener, err := c.socket(unix.AF_INET)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(listener, &unix.SockaddrInet4{Addr: ip}); err != nil {
		return -1, fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(listener, 1); err != nil {
		return -1, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}

// dial opens the connection and takes it at the other end.
func (c *Cell) dial(listener int) error {
	bound, err := unix.Getsockname(listener)
	if err != nil {
		return fmt.Errorf("getsockname: %w", err)
	}
	if c.tx, err = c.socket(unix.AF_INET); err != nil {
		return err
	}
	if err := unix.Connect(c.tx, bound); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if c.rx, _, err = unix.Accept4(listener, unix.SOCK_CLOEXEC); err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	c.fds = append(c.fds, c.rx)
	return nil
}

// socket returns a stream socket with the lab's buffer sizes.
func (c *Cell) socket(domain int) (int, error) {
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	c.fds = append(c.fds, fd)
	return fd, c.setBuffers(fd)
}

func (c *Cell) setBuffers(fd int) error {
	size := max(SocketBuffer, 2*int(c.chunk))
	for _, opt := range []int{unix.SO_SNDBUFFORCE, unix.SO_RCVBUFFORCE} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt, size); err != nil {
			return fmt.Errorf("set a socket buffer of %d bytes: %w", size, err)
		}
	}
	return nil
}

// tuneTCP sets TCP_NODELAY: on in lock-step and ping-pong, where a held-back
// segment would wait for an acknowledgement that nobody sends, and off in a
// stream, as programs leave it (facts.md, section 7, trap 10).
func tuneTCP(c *Cell, schedule string) error { return setNoDelay(c.tx, schedule) }

func setNoDelay(fd int, schedule string) error {
	v := 1
	if schedule == wire.ScheduleStream {
		v = 0
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, v); err != nil {
		return fmt.Errorf("set TCP_NODELAY to %d: %w", v, err)
	}
	return nil
}
