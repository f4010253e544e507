package copypath

func userPipe() Family {
	return Family{
		Name:  "user-pipe",
		About: "user memory, touched and page-aligned, to a pipe, and read(2) from it",
		Sinks: []string{""},
		Methods: []Method{
			{Name: "vmsplice", About: "vmsplice(2) of the memory into the pipe", send: sendVmsplice},
			{Name: "write", About: "write(2) of the memory into the pipe", send: sendWrite},
		},
		connect: connectPipe,
		receive: receivePipe,
	}
}

func connectPipe(c *Cell) error {
	c.rx, c.tx = c.pipe[0], c.pipe[1]
	return nil
}

func sendVmsplice(c *Cell, off, n int64) Status {
	return moveAll(c.tx, c.user[off:off+n], sysVmsplice)
}

func sendWrite(c *Cell, off, n int64) Status {
	return moveAll(c.tx, c.user[off:off+n], sysWrite)
}

func receivePipe(c *Cell, _, n, _ int64) Status {
	return moveAll(c.rx, c.in[:n], sysRead)
}
