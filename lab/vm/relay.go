package vm

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// ErrQMP marks a conversation with QEMU that broke down.
var ErrQMP = errors.New("QMP")

// pacer is an event of the relay's own; QEMU has none of that name.
const pacer = "LAB_REPLY_TAKEN"

// maxReply bounds one QMP line, in bytes. go-qemu's scanner gives up for good
// at 64 KiB.
const maxReply = 60 << 10

// relay stands between QEMU and go-qemu's SocketMonitor and hands over QEMU's
// lines at a pace and of a size that the monitor survives:
//
//   - after a reply nothing follows until the caller has it, because the
//     monitor forgets what stands in one segment with the handshake's reply;
//   - the caller gets the reply's text from here, because the monitor hands
//     out a slice of a buffer that the next line overwrites;
//   - a reply that is too long becomes an error reply;
//   - a reply nobody asked for is dropped: the next command would take it
//     for its own;
//   - the end of either side is the end of both, without a reset.
type relay struct {
	qemu, client net.Conn
	awaiting     atomic.Bool   // a command is under way
	reply        []byte        // the last one, whole; the caller's until release
	taken        chan struct{} // the caller has the reply
	paced        chan struct{} // the event behind it has passed the monitor
	closed       chan struct{}
	closeOnce    sync.Once
	cause        error // why it closed; read after closed
}

func newRelay(qemu, client net.Conn) *relay {
	r := &relay{qemu: qemu, client: client, taken: make(chan struct{}, 1), paced: make(chan struct{}, 1), closed: make(chan struct{})}
	go func() {
		_, err := io.Copy(qemu, client)
		r.close(err)
	}()
	go func() { r.close(r.deliver()) }()
	return r
}

// close ends both sides. Only the first cause counts.
func (r *relay) close(cause error) {
	r.closeOnce.Do(func() {
		r.cause = cause
		close(r.closed)
		r.qemu.Close()
		r.client.Close()
	})
}

// gone is why the connection ended; nil while it stands.
func (r *relay) gone() error {
	select {
	case <-r.closed:
	default:
		return nil
	}
	if r.cause == nil {
		return io.EOF
	}
	return r.cause
}

// expect announces a command: its reply, and only that, is let through.
func (r *relay) expect() { r.awaiting.Store(true) }

// release says that the exchange is over and the reply, if one came, copied.
func (r *relay) release() {
	if !r.awaiting.Swap(false) {
		r.taken <- struct{}{} // one for each reply delivered: never blocks
	}
}

func (r *relay) deliver() error {
	in := bufio.NewReaderSize(r.qemu, maxReply)
	for {
		line, dropped, err := readBounded(in)
		if err != nil {
			return err
		}
		kind := lineKind(line, dropped > 0)
		switch {
		case kind == garbageLine:
			return fmt.Errorf("%w: not a message: %.60q", ErrQMP, line)
		case kind == replyLine && !r.awaiting.CompareAndSwap(true, false):
			continue
		case kind == replyLine && dropped > 0:
			line = fmt.Appendf(nil, `{"error":{"class":"GenericError","desc":"a reply of %d bytes, more than the monitor can read"}}`+"\n", len(line)+dropped)
		case dropped > 0:
			continue // an event of that size says nothing to us
		}
		if kind == replyLine {
			err = r.deliverReply(line)
		} else {
			_, err = r.client.Write(line)
		}
		if err != nil {
			return err
		}
	}
}

// deliverReply hands over a reply and waits until the caller has taken it.
//
// The monitor gets a stub and the caller the whole text, from here: what the
// monitor hands out lies in a buffer that it goes on reading into. The event
// behind it, waited for too, sees to it that the monitor's next read is short
// and that the goroutines' order is one that the race detector understands.
func (r *relay) deliverReply(line []byte) error {
	r.reply = line
	if !bytes.HasPrefix(line, []byte(`{"error"`)) {
		line = []byte(`{"return":{}}` + "\n")
	}
	for _, step := range []struct {
		text []byte
		seen <-chan struct{}
	}{
		{line, r.taken},
		{[]byte(`{"event":"` + pacer + `"}` + "\n"), r.paced},
	} {
		if _, err := r.client.Write(step.text); err != nil {
			return err
		}
		select {
		case <-step.seen:
		case <-r.closed:
			// What stands behind the reply must not follow it now: unpaced, it
			// would be read into the buffer that the reply is decoded from.
			return net.ErrClosed
		}
	}
	return nil
}

// readBounded reads one line with its newline. Of a line longer than the
// reader's buffer it returns the beginning, and how many bytes were dropped.
func readBounded(in *bufio.Reader) (line []byte, dropped int, err error) {
	part, err := in.ReadSlice('\n')
	line = bytes.Clone(part)
	for errors.Is(err, bufio.ErrBufferFull) {
		part, err = in.ReadSlice('\n')
		dropped += len(part)
	}
	return line, dropped, err
}

type messageKind int

const (
	garbageLine messageKind = iota
	bannerLine
	replyLine
	eventLine
)

// lineKind tells what a line of QEMU's is. A line that was cut cannot be
// parsed; QEMU writes a reply's key first and an event's timestamp first.
func lineKind(line []byte, cut bool) messageKind {
	if cut {
		for _, key := range []string{`{"return"`, `{"error"`, `{"id"`} {
			if bytes.HasPrefix(line, []byte(key)) {
				return replyLine
			}
		}
		return eventLine
	}
	var message map[string]json.RawMessage
	if json.Unmarshal(line, &message) != nil {
		return garbageLine
	}
	for key, kind := range map[string]messageKind{
		"event": eventLine, "QMP": bannerLine, "return": replyLine, "error": replyLine,
	} {
		if _, ok := message[key]; ok {
			return kind
		}
	}
	return garbageLine
}
