package copypath

func userPipeFile() Family {
	return Family{
		Name:      "user-pipe-file",
		About:     "user memory through a pipe to a file (tmpfs), over what it has",
		Sinks:     []string{""},
		Schedules: alone(),
		Methods: []Method{
			{Name: "vmsplice", About: "vmsplice(2) of the memory into a pipe, and splice(2) from it to the file", send: vmspliceFile},
			{Name: "write-splice", About: "write(2) of the memory into a pipe, and splice(2) from it to the file", send: writeSpliceFile},
			{Name: "write", About: "pwrite(2) of the memory to the file, without a pipe", send: writeUserFile},
		},
		connect: connectFile,
	}
}

func vmspliceFile(c *Cell, off, n int64) Status { return pipeToFile(c, off, n, sysVmsplice) }

func writeSpliceFile(c *Cell, off, n int64) Status { return pipeToFile(c, off, n, sysWrite) }

// pipeToFile fills the pipe by a system call and drains it into the sink's
// file.
func pipeToFile(c *Cell, off, n int64, fill func(fd int, b []byte) (int64, Status)) Status {
	for end := off + n; off < end; {
		filled, st := fill(c.pipe[1], c.user[off:end])
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

func writeUserFile(c *Cell, off, n int64) Status { return writeFile(c, c.user[off:off+n], off) }
