package copypath

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func fileFile() Family {
	return Family{
		Name:      "file-file",
		About:     "a file in the page cache (tmpfs) to another one on the same file system, over what it has",
		Sinks:     []string{""},
		Schedules: alone(),
		Methods: []Method{
			{Name: "sendfile", About: "lseek(2) of the sink, then sendfile(2) from file to file", send: copySendfile},
			{Name: "copy_file_range", About: "copy_file_range(2) from file to file", send: copyRange},
			{Name: "splice", About: "splice(2) from the file into a pipe, and from the pipe to the other file", send: copySplice},
			{Name: "read-write", About: "pread(2) into user memory, then pwrite(2)", send: copyReadWrite},
		},
		connect: connectFile,
	}
}

// connectFile makes the sink: a file without a name beside the source, in
// which a chunk lies where it lies in the source.
func connectFile(c *Cell) (err error) {
	if c.out, err = unix.Open(c.src.Dir, unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600); err != nil {
		return fmt.Errorf("make the sink's file in %s: %w", c.src.Dir, err)
	}
	c.fds = append(c.fds, c.out)
	if !c.family.Writes {
		return nil
	}
	// What the cell before took is free again when the journal says so, and the
	// source's blocks can be shared when they are allocated.
	if err := unix.Syncfs(c.out); err != nil {
		return fmt.Errorf("write the file system back: %w", err)
	}
	return nil
}

func copySendfile(c *Cell, off, n int64) Status {
	// sendfile has no offset for the sink.
	if st := sysSeek(c.out, off); st.failed() {
		return st
	}
	for end := off + n; off < end; {
		if _, st := sysSendfile(c.out, c.src.File, &off, end-off); st.failed() {
			return st
		}
	}
	return ok
}

func copyRange(c *Cell, off, n int64) Status {
	for end := off + n; off < end; {
		if _, st := sysCopyFileRange(c.src.File, c.out, &off, end-off); st.failed() {
			return st
		}
	}
	return ok
}

func copySplice(c *Cell, off, n int64) Status {
	for end := off + n; off < end; {
		to := off
		filled, st := sysSplice(c.src.File, &off, c.pipe[1], end-off, 0)
		if st.failed() {
			return st
		}
		if st := drainToFile(c, to, filled); st.failed() {
			return st
		}
	}
	return ok
}

// drainToFile splices n bytes out of the pipe to the sink's file at off.
func drainToFile(c *Cell, off, n int64) Status {
	for end := off + n; off < end; {
		if _, st := sysSpliceOut(c.pipe[0], c.out, &off, end-off); st.failed() {
			return st
		}
	}
	return ok
}

func copyReadWrite(c *Cell, off, n int64) Status {
	for end := off + n; off < end; {
		got, st := sysPread(c.src.File, c.buf[:end-off], off)
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

// writeFile writes b to the sink's file at off.
func writeFile(c *Cell, b []byte, off int64) Status {
	for len(b) > 0 {
		n, st := sysPwrite(c.out, b, off)
		if st.failed() {
			return st
		}
		b, off = b[n:], off+n
	}
	return ok
}
