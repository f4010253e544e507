package copypath

// userAlg is file-alg from user memory.
func userAlg() Family {
	f := fileAlg()
	f.Name = "user-alg"
	f.About = "user memory, touched and page-aligned, to an AF_ALG socket that hashes each chunk by SHA-256, and its digest back"
	f.Methods = []Method{
		{Name: "send", About: "send(2) of the memory", send: sendUser, check: checkDigest},
		{Name: "vmsplice", About: "vmsplice(2) of the memory into a pipe, and splice(2) from the pipe to the socket", send: sendVmspliceSplice, check: checkDigest},
	}
	return f
}
