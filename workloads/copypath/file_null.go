package copypath

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// fileNull is what a path costs before its sink does anything: what a test of
// throughput measures that writes to /dev/null.
func fileNull() Family {
	return Family{
		Name:      "file-null",
		About:     "a file in the page cache (tmpfs) to /dev/null, which takes no byte over",
		Sinks:     []string{""},
		Schedules: alone(),
		Methods: []Method{
			{Name: "sendfile", About: "sendfile(2) from the file to /dev/null", send: sendSendfile, check: unchecked},
			{Name: "splice", About: "splice(2) from the file into a pipe, and from the pipe to /dev/null", send: sendSplice, check: unchecked},
			{Name: "read", About: "pread(2) into user memory, for reference", send: readNull},
		},
		connect: connectNull,
	}
}

func connectNull(c *Cell) (err error) {
	if c.tx, err = unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open /dev/null: %w", err)
	}
	c.fds = append(c.fds, c.tx)
	return nil
}

func readNull(c *Cell, off, n int64) Status {
	for b := c.in[:n]; len(b) > 0; {
		got, st := sysPread(c.src.File, b, off)
		if st.failed() {
			return st
		}
		b, off = b[got:], off+got
	}
	return ok
}
