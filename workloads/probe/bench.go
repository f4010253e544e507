package probe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// The bytes that a source holds before and after it is changed. Neither is
// zero, which is what a hole or an untouched page reads as.
const (
	oldByte = 'o'
	newByte = 'n'
)

// payload is the size of most transfers, in bytes: it fits into every buffer,
// so that nothing blocks.
const payload = 16 << 10

// bench makes what a probe works on. Its methods do nothing after the first
// failure, which is kept in err. Nothing is closed: the process ends with the
// probe.
type bench struct {
	dir string
	err error
}

func (b *bench) fail(op string, err error) {
	if b.err == nil && err != nil {
		b.err = fmt.Errorf("%s: %w", op, err)
	}
}

// memory is a page-aligned buffer of oldByte, written to by this process: one
// that was never touched is the shared zero page, one that was touched before a
// fork is copied on write.
func (b *bench) memory(size int) []byte {
	m, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		b.fail("mmap", err)
		return make([]byte, size)
	}
	fill(m, oldByte)
	return m
}

func fill(m []byte, with byte) {
	for i := range m {
		m[i] = with
	}
}

// file is a new file of oldByte, open for reading and writing.
func (b *bench) file(size int) int {
	fd, err := unix.Open(filepath.Join(b.dir, "source"), unix.O_RDWR|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC, 0o600)
	b.fail("create the source file", err)
	b.overwrite(fd, bytes.Repeat([]byte{oldByte}, size), 0)
	return fd
}

// change overwrites the first bytes of a file in place.
func (b *bench) change(fd, size int) { b.overwrite(fd, bytes.Repeat([]byte{newByte}, size), 0) }

func (b *bench) overwrite(fd int, with []byte, at int64) {
	if b.err != nil {
		return
	}
	n, err := unix.Pwrite(fd, with, at)
	if err == nil && n != len(with) {
		err = io.ErrShortWrite
	}
	b.fail("pwrite", err)
}

// shared maps a file, every page of it present.
func (b *bench) shared(fd, size int) []byte {
	m, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		b.fail("mmap the file", err)
		return make([]byte, size)
	}
	return m
}

// pipe is a new pipe: once splice was on one, it is another for good
// (FMODE_NOWAIT, __do_splice).
func (b *bench) pipe(flags int) (r, w int) {
	var p [2]int
	b.fail("pipe", unix.Pipe2(p[:], flags|unix.O_CLOEXEC))
	return p[0], p[1]
}

// fillPipe writes to a non-blocking pipe until nothing more fits.
func (b *bench) fillPipe(w int) {
	page := make([]byte, 4096)
	for b.err == nil {
		if _, err := unix.Write(w, page); errors.Is(err, unix.EAGAIN) {
			return
		} else if err != nil {
			b.fail("fill the pipe", err)
		}
	}
}

// tcp is a connection over loopback. buffer is what SO_SNDBUF and SO_RCVBUF are
// set to, in bytes; 0 leaves them, 1 gives the kernel's minimum.
func (b *bench) tcp(buffer int) (tx, rx int) {
	listener, at := b.bound(unix.SOCK_STREAM)
	tx = b.socket(unix.SOCK_STREAM)
	if buffer > 0 {
		b.fail("SO_RCVBUF", unix.SetsockoptInt(listener, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer))
		b.fail("SO_SNDBUF", unix.SetsockoptInt(tx, unix.SOL_SOCKET, unix.SO_SNDBUF, buffer))
	}
	if b.err != nil {
		return -1, -1
	}
	b.fail("listen", unix.Listen(listener, 1))
	b.fail("connect", unix.Connect(tx, at))
	b.fail("TCP_NODELAY", unix.SetsockoptInt(tx, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	if b.err != nil {
		return -1, -1
	}
	rx, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	b.fail("accept", err)
	return tx, rx
}

// udp is a pair of datagram sockets over loopback.
func (b *bench) udp() (tx, rx int) {
	rx, at := b.bound(unix.SOCK_DGRAM)
	tx = b.socket(unix.SOCK_DGRAM)
	if b.err == nil {
		b.fail("connect", unix.Connect(tx, at))
	}
	return tx, rx
}

func (b *bench) unixStream() (tx, rx int) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	b.fail("socketpair", err)
	return pair[0], pair[1]
}

func (b *bench) socket(kind int) int {
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	b.fail("socket", err)
	return fd
}

// bound is a socket with a port of its own.
func (b *bench) bound(kind int) (int, unix.Sockaddr) {
	fd := b.socket(kind)
	if b.err != nil {
		return -1, nil
	}
	b.fail("bind", unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	at, err := unix.Getsockname(fd)
	b.fail("getsockname", err)
	return fd, at
}

// read reads exactly size bytes.
func (b *bench) read(fd, size int) []byte {
	buf := make([]byte, size)
	for got := 0; got < size && b.err == nil; {
		n, err := unix.Read(fd, buf[got:])
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		b.fail("read", err)
		got += max(n, 0)
	}
	return buf
}

// sight says which content bytes are.
func sight(content []byte) string {
	names := map[byte]string{oldByte: "old", newByte: "new", 0: "zeroes"}
	if len(content) == 0 || slices.ContainsFunc(content, func(c byte) bool { return c != content[0] }) {
		return "mixed"
	}
	if name, ok := names[content[0]]; ok {
		return name
	}
	return "garbage"
}

// result is a system call's as an observation: the number it returned, or the
// error's name.
func result(n int, err error) string {
	var e unix.Errno
	switch {
	case errors.Is(err, unix.EOPNOTSUPP):
		return "EOPNOTSUPP" // its other name, ENOTSUP, is what ErrnoName gives
	case errors.As(err, &e):
		return unix.ErrnoName(e)
	}
	return fmt.Sprint(n)
}

// whole says what a transfer came to that had to move size bytes: empty when it
// did.
func whole(size, n int, err error) string {
	if err != nil {
		return result(n, err)
	}
	if n != size {
		return fmt.Sprintf("short: %d of %d", n, size)
	}
	return ""
}
