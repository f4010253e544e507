package copypath

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"splicelab/workloads/wire"
)

// ErrIntegrity: what arrived isn't what was sent.
var ErrIntegrity = errors.New("integrity")

// tailBytes is how much of the end of a measured transfer is compared.
const tailBytes = 4096

// Cell is one method of a family at one chunk size, connected: one connection,
// warmed by a whole transfer, then measured by every schedule and sink.
type Cell struct {
	family Family
	method Method
	chunk  int64
	src    *Source

	receive receiver // nil: nobody receives
	round   int64    // bytes after which a transfer starts the source over

	tx, rx int    // where the sender writes, where the receiver reads
	out    int    // the sink's file; -1 where the sink is none
	pipe   [2]int // splice's pipe: read end, write end
	ring   *ring  // io_uring's; nil where there is none
	user   []byte // the source in user memory
	buf    []byte // the sender's user memory, for read-send
	in     []byte // the receiver's
	feeder int    // where a proxy's bytes are written
	from   int    // where it takes them from
	copy   [2]int // tee's second pipe
	fan    []ends // of user-tee-tcp
	sent   int64  // bytes, where a check counts them
	docs   *documents
	fresh  int64    // where the file is mapped anew; 0: nowhere
	fds    []int    // to be closed
	maps   [][]byte // to be unmapped
	parts  bool     // of a pipe's part the sender takes all but the last out
	taken  int64    // bytes of the chunk that it took
}

// ends are those of one of several connections, and the receiver's memory.
type ends struct {
	tx, rx int
	in     []byte
}

// Open connects a cell. The caller closes it.
func Open(f Family, m Method, chunk int64, src *Source) (*Cell, error) {
	c := &Cell{family: f, method: m, chunk: chunk, src: src, user: src.User, receive: f.receiver(m), round: f.round(chunk), out: -1, pipe: [2]int{-1, -1}}
	if err := c.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s, chunk %d: %w", f.Path(m), chunk, err), c.Close())
	}
	return c, nil
}

func (c *Cell) open() error {
	var err error
	if c.buf, err = c.chunkMemory(); err != nil {
		return err
	}
	if c.in, err = c.chunkMemory(); err != nil {
		return err
	}
	if c.pipe, err = c.newPipe(); err != nil {
		return err
	}
	return c.family.connect(c)
}

// Close ends the connection and gives the memory back.
func (c *Cell) Close() error {
	var errs []error
	for _, fd := range c.fds {
		errs = append(errs, unix.Close(fd))
	}
	for _, b := range c.maps {
		errs = append(errs, unix.Munmap(b))
	}
	if c.docs != nil {
		errs = append(errs, c.docs.remove())
	}
	errs = append(errs, c.unmapFresh().Err())
	c.fds, c.maps, c.ring, c.user, c.buf, c.in, c.docs = nil, nil, nil, nil, nil, nil, nil
	return errors.Join(errs...)
}

// memory returns n bytes of touched, page-aligned memory, until Close.
func (c *Cell) memory(n int64) ([]byte, error) {
	b, err := anonymous(n)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", n, err)
	}
	c.maps = append(c.maps, b)
	return b, nil
}

// chunkMemory returns memory for a chunk. The family's header has room before
// it.
func (c *Cell) chunkMemory() ([]byte, error) {
	b, err := c.memory(c.family.header + c.chunk)
	if err != nil {
		return nil, err
	}
	return b[c.family.header:], nil
}

// newPipe returns a pipe of max(64 KiB, 2 × chunk), or of the default size.
func (c *Cell) newPipe() ([2]int, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return p, fmt.Errorf("pipe: %w", err)
	}
	c.fds = append(c.fds, p[0], p[1])
	return p, c.sizePipe(p[1])
}

func (c *Cell) sizePipe(fd int) error {
	if c.family.DefaultPipe {
		return nil
	}
	size := max(64<<10, 2*c.chunk)
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, int(size)); err != nil {
		return fmt.Errorf("set the pipe's size to %d bytes: %w", size, err)
	}
	return nil
}

// span returns where the chunk at position pos of a transfer lies in the
// source, which a long transfer goes through more than once.
func (c *Cell) span(pos int64) int64 { return pos % c.round }

// keep returns how many bytes of the chunk at pos the receiver needs: none of
// a chunk that is thrown away, but the transfer's last ones are compared.
func (c *Cell) keep(sink string, pos, n int64) int64 {
	switch {
	case sink != wire.SinkDiscard:
		return c.chunk
	case pos+c.chunk < n:
		return 0
	default:
		return min(c.chunk, tailBytes)
	}
}

// Prepare makes the cell ready for a transfer of n bytes by a schedule. What
// the one before it left where this one's last bytes are to arrive is wiped, so
// that Check can't take it for these.
func (c *Cell) Prepare(schedule string, n int64) error {
	if c.family.tune != nil {
		if err := c.family.tune(c, schedule); err != nil {
			return err
		}
	}
	tail := c.tail()
	clear(tail)
	if c.out < 0 {
		return nil
	}
	at := c.span(n-c.chunk) + c.chunk - int64(len(tail))
	if _, err := unix.Pwrite(c.out, tail, at); err != nil {
		return fmt.Errorf("wipe the sink's end: %w", err)
	}
	if !c.family.Writes {
		return nil
	}
	// A page that must be written back first is no part of sharing its blocks.
	const whole = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	if err := unix.SyncFileRange(c.out, at, int64(len(tail)), whole); err != nil {
		return fmt.Errorf("write the sink's end back: %w", err)
	}
	return nil
}

// Method is the name of the cell's method.
func (c *Cell) Method() string { return c.method.Name }

// Chunk is the length of one call, in bytes.
func (c *Cell) Chunk() int64 { return c.chunk }

// TransferBytes is how much one transfer moves.
func (c *Cell) TransferBytes() int64 { return c.family.TransferBytes(c.chunk) }

// HeaderCopied is how many bytes of headers the CPU copies, into the socket and
// out of it, while n bytes are moved: headers are no part of these.
func (c *Cell) HeaderCopied(n int64, sink string) int64 {
	copies := int64(2)
	if sink == wire.SinkDiscard {
		copies = 1
	}
	return copies * c.family.header * (n / c.chunk)
}

// Fed reports whether a feeder is one of the cell's sides.
func (c *Cell) Fed() bool { return c.family.feed != nil }

// Receives reports whether somebody takes the bytes from the sink: else all
// that a transfer costs is the sender's.
func (c *Cell) Receives() bool { return c.receive != nil }

// ReceiverFD is what a second process needs to receive in this one's place.
func (c *Cell) ReceiverFD() int { return c.rx }

// WarmBytes is how much the transfer before the measured ones moves: the source
// once, so that every byte of it is compared.
func (c *Cell) WarmBytes() int64 { return min(c.round, c.TransferBytes()) }

// Warm moves n bytes, whole chunks, in lock-step, receives them by reading and
// compares every one. It is not timed.
func (c *Cell) Warm(n int64) error {
	if err := c.Prepare(wire.ScheduleLockstep, n); err != nil {
		return err
	}
	for pos := int64(0); pos < n; pos += c.chunk {
		off := c.span(pos)
		if c.family.feed != nil {
			if st := c.family.feed(c, off, c.chunk); st.failed() {
				return st.Err()
			}
		}
		if st := c.method.send(c, off, c.chunk); st.failed() {
			return st.Err()
		}
		if c.receive != nil {
			if st := c.receive(c, off, c.chunk, c.chunk); st.failed() {
				return st.Err()
			}
		}
		if err := c.check(off, c.chunk); err != nil {
			return err
		}
	}
	return nil
}

// Sides is what each side of a lock-step transfer cost, in instructions by the
// time-stamp counter: softirqs and all else that ran meanwhile included. The
// feeder is who brings a proxy its bytes.
type Sides struct{ Feeder, Sender, Receiver int64 }

// Lockstep moves n bytes chunk by chunk: one thread sends a chunk, then
// receives it. It is the timed region of the headline.
func (c *Cell) Lockstep(n int64, sink string) (Sides, Status) {
	s, st := c.chunks(0, n-c.chunk, c.keep(sink, 0, n))
	if st.failed() {
		return s, st
	}
	last, st := c.chunks(n-c.chunk, n, c.keep(sink, n-c.chunk, n))
	return Sides{s.Feeder + last.Feeder, s.Sender + last.Sender, s.Receiver + last.Receiver}, st
}

// chunks moves the chunks from position pos to end, of which the receiver needs
// keep bytes each. What the loop itself does is part of every figure, so that it
// does little; a feeder makes the loop another one.
func (c *Cell) chunks(pos, end, keep int64) (Sides, Status) {
	send, receive, chunk, round := c.method.send, c.receive, c.chunk, c.round
	if c.family.feed != nil {
		return c.fedChunks(pos, end, keep)
	}
	// The sums of when each chunk was sent, and when it had arrived: two
	// additions a chunk.
	first, sent, arrived := tsc(), int64(0), int64(0)
	for pos < end {
		off := pos % round // the source's start, but for the first time
		stop := min(round, off+end-pos)
		pos += stop - off
		for ; off < stop; off += chunk {
			if st := send(c, off, chunk); st.failed() {
				return Sides{}, st
			}
			sent += tsc()
			if receive != nil {
				if st := receive(c, off, chunk, keep); st.failed() {
					return Sides{}, st
				}
			}
			arrived += tsc()
		}
	}
	// A chunk is begun when the one before it has arrived.
	last := tsc()
	return Sides{Sender: sent - (first + arrived - last), Receiver: arrived - sent}, Status{}
}

// fedChunks is chunks with a feeder.
func (c *Cell) fedChunks(pos, end, keep int64) (s Sides, st Status) {
	for ; pos < end; pos += c.chunk {
		off := c.span(pos)
		t0 := tsc()
		if st := c.family.feed(c, off, c.chunk); st.failed() {
			return s, st
		}
		t1 := tsc()
		if st := c.method.send(c, off, c.chunk); st.failed() {
			return s, st
		}
		t2 := tsc()
		if st := c.receive(c, off, c.chunk, keep); st.failed() {
			return s, st
		}
		s.Feeder, s.Sender, s.Receiver = s.Feeder+t1-t0, s.Sender+t2-t1, s.Receiver+tsc()-t2
	}
	return s, ok
}

// Send is the sender's half of a stream transfer.
func (c *Cell) Send(n int64) Status {
	for pos := int64(0); pos < n; pos += c.chunk {
		if st := c.method.send(c, c.span(pos), c.chunk); st.failed() {
			return st
		}
	}
	return ok
}

// Answer is the sender's half of a ping-pong: a chunk for each request of one
// byte, until n bytes are sent.
func (c *Cell) Answer(n int64) Status {
	var request [1]byte
	for pos := int64(0); pos < n; pos += c.chunk {
		if st := moved("recv", move(unix.SYS_RECVFROM, uintptr(c.tx), addr(request[:]), 1, 0)); st.failed() {
			return st
		}
		if st := c.method.send(c, c.span(pos), c.chunk); st.failed() {
			return st
		}
	}
	return ok
}

// Check compares the last bytes of a transfer of n bytes that ended in this
// process with the source.
func (c *Cell) Check(n int64) error { return c.check(c.span(n-c.chunk), int64(len(c.tail()))) }

// check compares the last n bytes that arrived of the chunk at offset off of
// the source with it.
func (c *Cell) check(off, n int64) error {
	if c.method.check != nil {
		return c.method.check(c, off, n)
	}
	got, off := c.in[c.chunk-n:], off+c.chunk-n
	if c.out >= 0 {
		m, err := unix.Pread(c.out, got, off)
		if err != nil {
			return fmt.Errorf("read the sink back: %w", err)
		}
		if m != len(got) {
			return fmt.Errorf("%w: the sink has %d bytes at offset %d, want %d", ErrIntegrity, m, off, len(got))
		}
	}
	return c.src.compare(got, off)
}

// CheckTail compares the last bytes of a transfer of n bytes, which a second
// process received, with the source.
func (c *Cell) CheckTail(n int64, tail []byte) error {
	end := c.span(n-c.chunk) + c.chunk
	return c.src.compare(tail, end-int64(len(tail)))
}

// tail is where the last bytes are received: 4 KiB, or a chunk where that is
// less.
func (c *Cell) tail() []byte { return c.in[c.chunk-min(c.chunk, tailBytes):] }

// Receiver is the receiving half of a stream transfer, in a process of its
// own. It knows nothing of the source.
type Receiver struct{ cell Cell }

// NewReceiver returns a receiver for cells of a method, on a connection that
// was opened elsewhere; Close closes it.
func NewReceiver(f Family, m Method, fd int, chunk int64) (*Receiver, error) {
	r := &Receiver{Cell{family: f, method: m, chunk: chunk, receive: f.receiver(m), round: f.round(chunk), rx: fd, out: -1, fds: []int{fd}}}
	var err error
	if r.cell.in, err = r.cell.chunkMemory(); err != nil {
		return nil, errors.Join(fmt.Errorf("the receiver's buffer: %w", err), r.Close())
	}
	return r, nil
}

// Receive takes n bytes, chunk by chunk. It is timed.
func (r *Receiver) Receive(n int64, sink string) Status {
	c := &r.cell
	for pos := int64(0); pos < n; pos += c.chunk {
		if st := c.receive(c, c.span(pos), c.chunk, c.keep(sink, pos, n)); st.failed() {
			return st
		}
	}
	return ok
}

// Ask is the receiver's half of a ping-pong. It asks once more than there is
// room in waits, into which it puts how long each chunk took to come, in
// instructions by the time-stamp counter. The first is left out: the sender may
// still be asleep.
func (r *Receiver) Ask(waits []int64, sink string) Status {
	c, request := &r.cell, [1]byte{'?'}
	n := int64(len(waits)+1) * c.chunk
	for round := -1; round < len(waits); round++ {
		pos := int64(round+1) * c.chunk
		asked := tsc()
		if st := moved("send", move(unix.SYS_SENDTO, uintptr(c.rx), addr(request[:]), 1, 0)); st.failed() {
			return st
		}
		if st := c.receive(c, c.span(pos), c.chunk, c.keep(sink, pos, n)); st.failed() {
			return st
		}
		if round >= 0 {
			waits[round] = tsc() - asked
		}
	}
	return ok
}

// Tail returns the last received bytes: 4 KiB, or a chunk where that is less.
func (r *Receiver) Tail() []byte { return r.cell.tail() }

// Close closes the connection's end and gives the buffer back.
func (r *Receiver) Close() error { return r.cell.Close() }
