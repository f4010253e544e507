package copypath

import (
	"crypto/sha256"
	"fmt"

	"golang.org/x/sys/unix"
)

// fileAlg is the kernel as a hash. A chunk is a message, and what is received
// of it is its digest: no byte of it arrives, so that it is copied less often
// than on the way to another socket.
func fileAlg() Family {
	return Family{
		Name:      "file-alg",
		About:     "a file in the page cache (tmpfs) to an AF_ALG socket that hashes each chunk by SHA-256, and its digest back",
		Sinks:     []string{""},
		Schedules: alone(),
		Methods: []Method{
			{Name: "sendfile", About: "sendfile(2) from the file to the socket", send: sendSendfile, check: checkDigest},
			{Name: "splice", About: "splice(2) from the file into a pipe, and from the pipe to the socket", send: sendSplice, check: checkDigest},
			{Name: "read-send", About: "pread(2) into user memory, then send(2)", send: sendReadSend, check: checkDigest},
		},
		connect: connectAlg,
		receive: receiveDigest,
	}
}

func connectAlg(c *Cell) error {
	alg, err := unix.Socket(unix.AF_ALG, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("AF_ALG socket: %w", err)
	}
	c.fds = append(c.fds, alg)
	if err := unix.Bind(alg, &unix.SockaddrALG{Type: "hash", Name: "sha256"}); err != nil {
		return fmt.Errorf("bind the AF_ALG socket to sha256: %w", err)
	}
	// Without an address: unix.Accept fails on the one that AF_ALG has.
	op, _, errno := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(alg), 0, 0, unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return fmt.Errorf("accept on the AF_ALG socket: %w", errno)
	}
	c.tx, c.rx = int(op), int(op)
	c.fds = append(c.fds, c.tx)
	return nil
}

// receiveDigest leaves the chunk's digest at the end of c.in. The kernel has
// made it when the last byte was sent without MSG_MORE (hash_sendmsg).
func receiveDigest(c *Cell, _, n, _ int64) Status {
	got, st := sysRecv(c.rx, c.in[n-sha256.Size:n])
	if !st.failed() && got != sha256.Size {
		st = Status{Op: "recv", Short: true}
	}
	return st
}

// checkDigest compares the digest of the whole chunk at off.
func checkDigest(c *Cell, off, _ int64) error {
	got, want := c.in[c.chunk-sha256.Size:], sha256.Sum256(c.src.User[off:off+c.chunk])
	if string(got) != string(want[:]) {
		return fmt.Errorf("%w: the digest of %d bytes at %d of the source is %x, want %x", ErrIntegrity, c.chunk, off, got, want)
	}
	return nil
}
