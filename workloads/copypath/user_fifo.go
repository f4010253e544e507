package copypath

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

func userFIFO() Family {
	f := userPipe()
	f.Name = "user-fifo"
	f.About = "user memory, touched and page-aligned, to a named pipe (tmpfs), and read(2) from it"
	f.connect = connectFIFO
	return f
}

// connectFIFO makes a named pipe, opens both ends and takes the name away
// again.
func connectFIFO(c *Cell) (err error) {
	name := filepath.Join(c.src.Dir, "fifo")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		return fmt.Errorf("make a named pipe at %s: %w", name, err)
	}
	defer func() {
		if e := unix.Unlink(name); err == nil && e != nil {
			err = fmt.Errorf("remove the named pipe: %w", e)
		}
	}()
	// The reading end first, and not waiting for a writer; the writing end
	// finds a reader then.
	if c.rx, err = c.openFIFO(name, unix.O_RDONLY|unix.O_NONBLOCK); err != nil {
		return err
	}
	if c.tx, err = c.openFIFO(name, unix.O_WRONLY); err != nil {
		return err
	}
	if err := unix.SetNonblock(c.rx, false); err != nil {
		return fmt.Errorf("make the named pipe's reading end block: %w", err)
	}
	return c.sizePipe(c.tx)
}

func (c *Cell) openFIFO(name string, mode int) (int, error) {
	fd, err := unix.Open(name, mode|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open the named pipe: %w", err)
	}
	c.fds = append(c.fds, fd)
	return fd, nil
}
