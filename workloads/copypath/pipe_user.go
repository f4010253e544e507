package copypath

// pipeUser is about the pipe's reading end; on every kernel the pipe is filled
// by write(2).
func pipeUser() Family {
	return Family{
		Name:  "pipe-user",
		About: "a pipe, filled by write(2), to user memory",
		Sinks: []string{""},
		Methods: []Method{
			{Name: "vmsplice", About: "vmsplice(2) on the pipe's reading end, which copies out", send: sendWrite, receive: receiveVmsplice},
			{Name: "read", About: "read(2)", send: sendWrite, receive: receivePipe},
		},
		connect: connectPipe,
	}
}

func receiveVmsplice(c *Cell, _, n, _ int64) Status {
	return moveAll(c.rx, c.in[:n], sysVmsplice)
}
