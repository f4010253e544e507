package copypath

func filePipe() Family {
	return Family{
		Name:  "file-pipe",
		About: "a file in the page cache (tmpfs) to a pipe, and read(2) from it",
		Sinks: []string{""},
		Methods: []Method{
			{Name: "splice", About: "splice(2) from the file into the pipe", send: spliceToPipe},
			{Name: "sendfile", About: "sendfile(2) from the file into the pipe", send: sendSendfile},
			{Name: "read-write", About: "pread(2) into user memory, then write(2) into the pipe", send: readToPipe},
		},
		connect: connectPipe,
		receive: receivePipe,
	}
}

func spliceToPipe(c *Cell, off, n int64) Status {
	for end := off + n; off < end; {
		if _, st := sysSplice(c.src.File, &off, c.tx, end-off, 0); st.failed() {
			return st
		}
	}
	return ok
}

func readToPipe(c *Cell, off, n int64) Status {
	for end := off + n; off < end; {
		got, st := sysPread(c.src.File, c.buf[:end-off], off)
		if st.failed() {
			return st
		}
		if st := moveAll(c.tx, c.buf[:got], sysWrite); st.failed() {
			return st
		}
		off += got
	}
	return ok
}
