package copypath

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// smallFiles is how many files a cell goes through, or as many as the source has
// chunks where that is less. headerBytes is about what a server of static files
// sends before one.
const (
	smallFiles  = 1024
	headerBytes = 256
)

// smallTCP is what a server of static files does for each request. A chunk is a
// file: the headers cost instructions and are no bytes delivered.
func smallTCP() Family {
	return Family{
		Name: "small-tcp",
		About: fmt.Sprintf("files of one chunk each, %d of them in one folder in the page cache (tmpfs), to a TCP socket over loopback: "+
			"open(2), fstat(2), a header of %d bytes, the file, close(2), all in the figures; a byte is one of a file", smallFiles, headerBytes),
		Sinks:  socketSinks(),
		Duplex: true,
		Methods: []Method{
			{Name: "sendfile", About: "send(2) of the header with MSG_MORE, sendfile(2)", send: answerSendfile, check: checkAnswer},
			{Name: "splice", About: "send(2) of the header with MSG_MORE, splice(2) from the file into a pipe, and from the pipe to the socket", send: answerSplice, check: checkAnswer},
			{Name: "read-send", About: "send(2) of the header with MSG_MORE, pread(2) into user memory, send(2)", send: answerReadSend, check: checkAnswer},
			{Name: "read-send-once", About: "pread(2) into user memory behind the header, one send(2) of both", send: answerOnce, check: checkAnswer},
			{Name: "mmap-send", About: "send(2) of the header with MSG_MORE, mmap(2), send(2), munmap(2)", send: answerMmapSend, check: checkAnswer},
		},
		Once:    smallFiles,
		header:  headerBytes,
		connect: connectSmall,
		tune:    tuneTCP,
		receive: receiveAnswer,
	}
}

// documents are a cell's files, and what is sent before each.
type documents struct {
	dir     string
	chunk   int64
	paths   []byte // of pathBytes each, and a NUL behind each
	headers []byte // of headerBytes each
}

// pathBytes is the room for a path: that of a test's folder is the longest.
const pathBytes = 256

func connectSmall(c *Cell) error {
	docs, err := newDocuments(c.src, c.chunk, c.round/c.chunk)
	if err != nil {
		return err
	}
	c.docs = docs
	return connectTCP(c)
}

// newDocuments cuts the source's beginning into n files of a chunk each.
func newDocuments(src *Source, chunk, n int64) (*documents, error) {
	dir, err := os.MkdirTemp(src.Dir, "www")
	if err != nil {
		return nil, fmt.Errorf("make a folder of small files: %w", err)
	}
	d := &documents{dir: dir, chunk: chunk, paths: make([]byte, n*pathBytes), headers: make([]byte, 0, n*headerBytes)}
	for i := range n {
		name := filepath.Join(dir, fmt.Sprintf("%04d.html", i))
		if len(name) >= pathBytes {
			return nil, errors.Join(fmt.Errorf("%s: longer than %d bytes", name, pathBytes-1), d.remove())
		}
		copy(d.paths[i*pathBytes:], name)
		d.headers = append(d.headers, header(i, chunk)...)
		if err := os.WriteFile(name, src.User[i*chunk:(i+1)*chunk], 0o600); err != nil {
			return nil, errors.Join(fmt.Errorf("write a small file: %w", err), d.remove())
		}
	}
	return d, nil
}

// header is what goes before a file, and is of no other.
func header(i, length int64) []byte {
	text := fmt.Sprintf("HTTP/1.1 200 OK\r\nServer: splicelab\r\nContent-Type: text/html\r\nContent-Length: %d\r\nETag: \"%04d\"\r\nX-Air: ", length, i)
	const end = "\r\n\r\n"
	return append(append([]byte(text), bytes.Repeat([]byte{'.'}, headerBytes-len(text)-len(end))...), end...)
}

func (d *documents) remove() error { return os.RemoveAll(d.dir) }

// path and header are those of the file whose bytes lie at off of the source.
func (d *documents) path(off int64) uintptr { return at(d.paths, off/d.chunk*pathBytes) }

func (d *documents) header(off int64) []byte {
	i := off / d.chunk * headerBytes
	return d.headers[i : i+headerBytes]
}

// openFile opens the file at off of the source and asks for its length. The
// caller closes it.
func (c *Cell) openFile(off int64) (file int, length int64, st Status) {
	fd := syscall6(unix.SYS_OPEN, c.docs.path(off), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0, 0)
	if fd < 0 {
		return -1, 0, Status{Op: "open", Errno: unix.Errno(-fd)}
	}
	var about unix.Stat_t
	if r := syscall6(unix.SYS_FSTAT, uintptr(fd), uintptr(unsafe.Pointer(&about)), 0, 0, 0, 0); r < 0 {
		return int(fd), 0, Status{Op: "fstat", Errno: unix.Errno(-r)}
	}
	if about.Size != c.chunk { // there is room for no more, and less would be another path
		return int(fd), 0, Status{Op: "fstat: the file isn't of one chunk", Errno: unix.EBADMSG}
	}
	return int(fd), about.Size, ok
}

// answer opens the file at off of the source and sends its header. The caller
// closes it.
func (c *Cell) answer(off int64) (file int, length int64, st Status) {
	file, length, st = c.openFile(off)
	if st.failed() {
		return file, length, st
	}
	return file, length, moved("send MSG_MORE", move(unix.SYS_SENDTO, uintptr(c.tx), addr(c.docs.header(off)), headerBytes, unix.MSG_MORE))
}

// closed closes a file after a step that ended with st.
func closed(file int, st Status) Status {
	if file < 0 {
		return st
	}
	if r := syscall6(unix.SYS_CLOSE, uintptr(file), 0, 0, 0, 0, 0); r < 0 && !st.failed() {
		return Status{Op: "close", Errno: unix.Errno(-r)}
	}
	return st
}

func answerSendfile(c *Cell, off, _ int64) Status {
	file, length, st := c.answer(off)
	for from := int64(0); from < length && !st.failed(); {
		_, st = sysSendfile(c.tx, file, &from, length-from)
	}
	return closed(file, st)
}

func answerSplice(c *Cell, off, _ int64) Status {
	file, length, st := c.answer(off)
	if !st.failed() {
		st = spliceFile(c, file, 0, length)
	}
	return closed(file, st)
}

func answerReadSend(c *Cell, off, _ int64) Status {
	file, length, st := c.answer(off)
	if !st.failed() {
		st = readSend(c, file, 0, length)
	}
	return closed(file, st)
}

func answerOnce(c *Cell, off, _ int64) Status {
	file, length, st := c.openFile(off)
	for at := int64(0); at < length && !st.failed(); {
		var got int64
		got, st = sysPread(file, c.buf[at:length], at)
		at += got
	}
	if !st.failed() {
		copy(headOf(c.buf), c.docs.header(off))
		st = moved("send", move(unix.SYS_SENDTO, uintptr(c.tx), addr(c.buf)-headerBytes, uintptr(headerBytes+length), 0))
	}
	return closed(file, st)
}

func answerMmapSend(c *Cell, off, _ int64) Status {
	file, length, st := c.answer(off)
	if !st.failed() {
		st = sendMapped(c.tx, file, 0, 0, length, 0)
	}
	return closed(file, st)
}

// headOf is the room for a header before what chunkMemory returned.
func headOf(b []byte) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), -headerBytes)), headerBytes)
}

// receiveAnswer receives the header with the file, as a client does.
func receiveAnswer(c *Cell, _, n, keep int64) Status {
	if keep == n {
		return moved("recv", move(unix.SYS_RECVFROM, uintptr(c.rx), addr(c.in)-headerBytes, uintptr(headerBytes+n), 0))
	}
	st := moved("recv MSG_TRUNC", move(unix.SYS_RECVFROM, uintptr(c.rx), addr(c.in), uintptr(headerBytes+n-keep), unix.MSG_TRUNC))
	if st.failed() || keep == 0 {
		return st
	}
	return moved("recv", move(unix.SYS_RECVFROM, uintptr(c.rx), at(c.in, n-keep), uintptr(keep), 0))
}

// checkAnswer compares what arrived last, with its header where all of it was
// received.
func checkAnswer(c *Cell, off, n int64) error {
	if n == c.chunk {
		if got, want := headOf(c.in), c.docs.header(off); !bytes.Equal(got, want) {
			return fmt.Errorf("%w: the header before the source's byte %d arrived as %q, was %q", ErrIntegrity, off, got, want)
		}
	}
	return c.src.compare(c.in[c.chunk-n:], off+c.chunk-n)
}
