package wire

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
)

// The result stream is text, a JSON object a line:
//
//	{"n":0,"hello":{…}}
//	{"n":1,"sample":{…}}
//	…
//	{"n":7,"end":{"lines":7,"sha256":"…"}}
//
// n counts from 0 without a gap; the end line carries the number of lines
// before it and the SHA-256 of their bytes. A stream without a matching end
// line is not a result.

// Hello is the first line: what really runs.
type Hello struct {
	Version int    `json:"version"`
	Release string `json:"release"`
	Banner  string `json:"banner"`  // /proc/version
	Cmdline string `json:"cmdline"` // /proc/cmdline
	// UUID is /proc/sys/kernel/random/uuid, read before the first cell. Two
	// boots of one trial with different ones were not the same machine
	// (facts.md, section 7, trap 8).
	UUID string `json:"uuid"`
	// Flags are the CPU's features as the kernel sees them.
	Flags []string `json:"flags,omitempty"`
	// Clocksource is the kernel's choice once the settling time is over.
	Clocksource string `json:"clocksource,omitempty"`
	// Settings are the sysctls and socket options that were set, by name.
	Settings map[string]string `json:"settings,omitempty"`
}

// Sample is one measured transfer, or one run of a user's program.
type Sample struct {
	Path     string `json:"path"`           // source-sink/method, or own/name
	Schedule string `json:"schedule"`       // lockstep, stream, pingpong or program
	Sink     string `json:"sink,omitempty"` // read or discard, where there is a socket
	Chunk    int64  `json:"chunk"`          // bytes
	Rep      int    `json:"rep"`
	Bytes    int64  `json:"bytes"`
	// Error is why the sample doesn't count; empty when it does.
	Error   string           `json:"error,omitempty"`
	Metrics map[string]int64 `json:"metrics,omitempty"`
	// Benchmarks are what a user's program printed, a line each.
	Benchmarks []Benchmark `json:"benchmarks,omitempty"`
}

// Benchmark is one line in Go's benchmark format.
type Benchmark struct {
	Name   string  `json:"name"` // without "Benchmark" and without -GOMAXPROCS
	N      int64   `json:"n"`    // iterations, 1 and up
	Values []Value `json:"values"`
}

// Value is a figure with its unit, as the program printed them.
type Value struct {
	Value float64 `json:"value"` // finite
	Unit  string  `json:"unit"`
}

// The count metrics. All are in instructions, which under
// -icount shift=0 are also nanoseconds of guest time.
const (
	MetricInsns         = "insns"          // CPU time of all tasks over the region
	MetricSenderInsns   = "sender_insns"   // what ran in the sending task, softirq included
	MetricFeederInsns   = "feeder_insns"   // what brought a proxy its bytes; not among the sender's
	MetricReceiverInsns = "receiver_insns" // the same for the receiving task
	MetricIdle          = "idle"           // the region's clock − insns
)

// The metrics of a ping-pong, beside those of a count: how long the asking
// process waited, from its request to the chunk's last byte, in instructions.
const (
	MetricWaitP50 = "wait_p50"
	MetricWaitP99 = "wait_p99"
	MetricWaitMax = "wait_max"
)

// The metrics of an account, in bytes but for the count of references.
const (
	MetricCopied     = "copied_bytes"       // by the CPU; with /function behind it, by that function
	MetricUserCopied = "user_copied_bytes"  // of these, from or to user memory
	MetricReferences = "pages_by_reference" // how often pages were put into an skb by reference
	MetricReferenced = "bytes_by_reference" // how much they held
	// Of the copied bytes, all from or to user memory, those of headers, which
	// are no bytes delivered; missing where there are none.
	MetricHeaderCopied = "header_copied_bytes"

	MetricSyscalls  = "syscalls"      // made by the measuring thread
	MetricSkbs      = "skbs"          // packets with payload in fragments, handed to a network device's receive path
	MetricFragments = "skb_fragments" // in these
)

// The schedules.
const (
	ScheduleLockstep = "lockstep" // one thread sends a chunk, then receives it
	ScheduleStream   = "stream"   // two processes, running free
	// Two processes: one asks by a byte, the other answers by a chunk.
	SchedulePingPong = "pingpong"
	ScheduleProgram  = "program" // a user's own program, from its start to its end
)

// The sinks.
const (
	SinkRead    = "read"    // the receiver copies into user memory
	SinkDiscard = "discard" // MSG_TRUNC: nothing is copied out
)

// LeftOut begins the error of a sample that isn't there because its family
// doesn't take chunks of this size. It is a known absence, no failure.
const LeftOut = "left out: "

// Observation is what one probe saw on one file system, or one of the kernel's
// own tests: Probe is its program then, About its name and Value its result.
type Observation struct {
	Probe string `json:"probe"` // T1, P12e
	// About says in a few words what the probe does.
	About string `json:"about"`
	// FS is where the probe's file lay; empty for a probe without one.
	FS string `json:"fs,omitempty"`
	// Value is what was seen, in the probe's own words: new, EAGAIN, 65536. It
	// begins with ProbeFailed where the probe itself could not be made.
	Value string `json:"value"`
}

// ProbeFailed begins the value of a probe that says nothing about the kernel's
// behaviour.
const ProbeFailed = "failed: "

// ProbeOopsed is the value of a probe under which the kernel oopsed.
const ProbeOopsed = "oops"

// Fault is why a boot's work ended early, told by the guest itself.
type Fault struct {
	Outcome string `json:"outcome"` // "hang", "oops" or "agent error"
	Detail  string `json:"detail"`
}

// End closes a stream.
type End struct {
	Lines  int    `json:"lines"`
	SHA256 string `json:"sha256"`
}

// Line is one line of the stream; exactly one of its pointers is set.
type Line struct {
	N           int          `json:"n"`
	Hello       *Hello       `json:"hello,omitempty"`
	Sample      *Sample      `json:"sample,omitempty"`
	Observation *Observation `json:"observation,omitempty"`
	Fault       *Fault       `json:"fault,omitempty"`
	End         *End         `json:"end,omitempty"`
}

// Writer writes a result stream.
type Writer struct {
	w   io.Writer
	sum hash.Hash
	n   int
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w, sum: sha256.New()} }

// Write appends one line; its N is set here.
func (w *Writer) Write(l Line) error {
	l.N = w.n
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode result line %d: %w", w.n, err)
	}
	text = append(text, '\n')
	if _, err := w.w.Write(text); err != nil {
		return fmt.Errorf("write result line %d: %w", w.n, err)
	}
	w.sum.Write(text)
	w.n++
	return nil
}

// Close writes the end line.
func (w *Writer) Close() error {
	return w.Write(Line{End: &End{Lines: w.n, SHA256: hex.EncodeToString(w.sum.Sum(nil))}})
}

// Stream is a whole, verified result stream.
type Stream struct {
	Hello        Hello
	Samples      []Sample
	Observations []Observation
	// Fault is set when the guest itself ended its work early.
	Fault *Fault
}

var (
	// ErrNoHello: the agent never spoke.
	ErrNoHello = errors.New("no result line: the agent did not start")
	// ErrTruncated: the stream has no end line.
	ErrTruncated = errors.New("result stream without an end mark")
	// ErrCorrupt: a line is lost, torn or foreign.
	ErrCorrupt = errors.New("result stream is corrupt")
)

// maxLine bounds one line, so that a foreign file cannot eat the memory.
const maxLine = 1 << 20

// Parse reads a whole stream. The part that was understood is returned with
// the error, for messages; it is never to be used as a result.
func Parse(r io.Reader) (Stream, error) {
	var s Stream
	sum := sha256.New()
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 64<<10), maxLine)
	n, ended := 0, false
	for in.Scan() {
		text := bytes.TrimSuffix(in.Bytes(), []byte("\r"))
		if ended {
			return s, fmt.Errorf("%w: line %d stands after the end mark", ErrCorrupt, n)
		}
		var l Line
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&l); err != nil {
			return s, fmt.Errorf("%w: line %d: %v", ErrCorrupt, n, err)
		}
		if l.N != n {
			return s, fmt.Errorf("%w: line %d says it is line %d", ErrCorrupt, n, l.N)
		}
		var err error
		if ended, err = s.add(l, n, hex.EncodeToString(sum.Sum(nil))); err != nil {
			return s, err
		}
		sum.Write(text)
		sum.Write([]byte{'\n'})
		n++
	}
	if err := in.Err(); err != nil {
		return s, fmt.Errorf("%w: line %d: %v", ErrCorrupt, n, err)
	}
	switch {
	case n == 0:
		return s, ErrNoHello
	case !ended:
		return s, fmt.Errorf("%w: %d lines", ErrTruncated, n)
	}
	return s, nil
}

// add takes line n into s and reports whether it was the end line.
func (s *Stream) add(l Line, n int, sum string) (ended bool, err error) {
	switch {
	case (l.Hello != nil) != (n == 0):
		return false, fmt.Errorf("%w: line %d: the hello belongs on line 0 alone", ErrCorrupt, n)
	case l.Hello != nil:
		s.Hello = *l.Hello
		if s.Hello.Version != Version {
			return false, fmt.Errorf("%w: agent version %d, this side speaks %d", ErrCorrupt, s.Hello.Version, Version)
		}
	case l.Sample != nil:
		s.Samples = append(s.Samples, *l.Sample)
	case l.Observation != nil:
		s.Observations = append(s.Observations, *l.Observation)
	case l.Fault != nil:
		s.Fault = l.Fault
	case l.End != nil:
		if l.End.Lines != n || l.End.SHA256 != sum {
			return false, fmt.Errorf("%w: the end mark counts %d lines of %d, or their checksum differs", ErrCorrupt, l.End.Lines, n)
		}
		return true, nil
	default:
		return false, fmt.Errorf("%w: line %d says nothing", ErrCorrupt, n)
	}
	return false, nil
}
