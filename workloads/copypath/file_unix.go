package copypath

import (
	"fmt"

	"golang.org/x/sys/unix"

	"splicelab/workloads/wire"
)

// fileUnix has no discard sink: AF_UNIX streams copy out even with MSG_TRUNC
// (unix_stream_read_generic).
func fileUnix() Family {
	return Family{
		Name:    "file-unix",
		About:   "a file in the page cache (tmpfs) to an AF_UNIX stream socket",
		Sinks:   []string{wire.SinkRead},
		Duplex:  true,
		Methods: fileMethods(),
		connect: connectUnix,
		receive: receiveSocket,
	}
}

func connectUnix(c *Cell) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socketpair: %w", err)
	}
	c.tx, c.rx = pair[0], pair[1]
	c.fds = append(c.fds, pair[0], pair[1])
	if err := c.setBuffers(c.tx); err != nil {
		return err
	}
	return c.setBuffers(c.rx)
}
