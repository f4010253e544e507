// Package copypath is the copy paths that the lab measures: how bytes get from
// a source to a sink by which system calls. A family is one source-sink pair
// and has a file of its own; a copy path is one value in it.
//
// What runs inside a timed region makes raw system calls only, allocates
// nothing and never calls into the Go scheduler: the region's instructions are
// to be the kernel's.
package copypath

import (
	"fmt"
	"path"
	"slices"

	"splicelab/workloads/wire"
)

// Method is one way to move a chunk from the family's source to its sink.
type Method struct {
	Name  string
	About string
	// send moves the n bytes at offset off of the source. It is timed.
	send func(c *Cell, off, n int64) Status
	// receive is used in place of the family's, if set.
	receive receiver
	// check compares what arrived of the last n bytes of the chunk at offset
	// off with the source; nil means that the bytes themselves are compared,
	// in c.in or in the sink's file.
	check func(c *Cell, off, n int64) error
}

// unchecked is the check of a method whose bytes arrive nowhere. The calls
// returned as many as were due; more isn't known.
func unchecked(*Cell, int64, int64) error { return nil }

// receiver takes the n bytes that were at offset off of the source and leaves
// the last keep of them at the end of c.in[:n], or in the sink's file; the
// others may be thrown away. It is timed.
type receiver func(c *Cell, off, n, keep int64) Status

// Family is one source-sink pair with all its methods. It is measured whole,
// because the digits of a boot depend on all that ran before in it (facts.md,
// section 7, trap 6).
type Family struct {
	Name  string
	About string
	Sinks []string // of the receiver; {""} where there is no socket
	// Duplex says that the connection carries bytes back to the sender, so that
	// a ping-pong can be made of it.
	Duplex  bool
	Methods []Method
	// FS is the file system of the source, as package sourcefs names it; empty:
	// tmpfs.
	FS string
	// Once is for a family whose transfers take no byte of the source twice: the
	// most chunks that one takes; 0: any number, any number of times.
	Once int64
	// header is the length of what goes before each chunk, in bytes, and is no
	// part of what is delivered.
	header int64
	// Writes says that the sink is a file on FS, which stays writable then.
	Writes bool
	// DefaultPipe leaves pipes as pipe(2) makes them: 64 KiB.
	DefaultPipe bool
	// Schedules are those that the family has; nil means all that its
	// connection allows. A sink that
	// nobody receives from leaves a second process nothing to do.
	Schedules []string
	// MaxChunk is the largest chunk that the family takes, in bytes, and Block
	// what all of them are multiples of; 0: any. NotTaken says why.
	MaxChunk, Block int64
	NotTaken        string
	// Fan is how many receivers get each byte; 0 means one.
	Fan int64
	// setUp makes what all cells of the family share; nil where they share
	// nothing.
	setUp func() error
	// connect opens the way from the source to the sink for one cell.
	connect func(c *Cell) error
	// tune sets what depends on the schedule; nil where nothing does.
	tune func(c *Cell, schedule string) error
	// feed brings the n bytes at offset off of the source to where the method
	// takes them from; nil where they are there. It is timed, as a side of its
	// own.
	feed func(c *Cell, off, n int64) Status
	// receive is nil where the bytes are at their sink once they are sent.
	receive receiver
}

// Has reports whether the family is measured by a schedule.
func (f Family) Has(schedule string) bool {
	if schedule == wire.SchedulePingPong && !f.Duplex {
		return false
	}
	return f.Schedules == nil || slices.Contains(f.Schedules, schedule)
}

// SetUp makes what the family's cells need of the machine, such as devices. It
// is called once, before the first cell, and lasts as long as the process.
func (f Family) SetUp() error {
	if f.setUp == nil {
		return nil
	}
	if err := f.setUp(); err != nil {
		return fmt.Errorf("set up %s: %w", f.Name, err)
	}
	return nil
}

// Delivered is how many bytes arrive, at all receivers together, when n are
// sent.
func (f Family) Delivered(n int64) int64 { return n * max(1, f.Fan) }

// round is how much of the source, in whole chunks, is sent before it starts
// over, in bytes.
func (f Family) round(chunk int64) int64 {
	chunks := SourceBytes / chunk
	if f.Once > 0 {
		chunks = min(chunks, f.Once)
	}
	return chunks * chunk
}

// TransferBytes is how much one transfer of the family moves.
func (f Family) TransferBytes(chunk int64) int64 {
	if f.Once > 0 {
		return f.round(chunk)
	}
	return TransferBytes(chunk)
}

// Takes reports whether the family is measured at that chunk size.
func (f Family) Takes(chunk int64) bool {
	return (f.MaxChunk == 0 || chunk <= f.MaxChunk) && chunk%max(1, f.Block) == 0
}

// Method returns the method of that name.
func (f Family) Method(name string) (Method, error) {
	i := slices.IndexFunc(f.Methods, func(m Method) bool { return m.Name == name })
	if i < 0 {
		return Method{}, fmt.Errorf("family %s has no method %q", f.Name, name)
	}
	return f.Methods[i], nil
}

// receiver is what a method's cells are received by; nil: by nobody.
func (f Family) receiver(m Method) receiver {
	if m.receive != nil {
		return m.receive
	}
	return f.receive
}

// Path returns the name of a copy path: source-sink/method.
func (f Family) Path(m Method) string { return f.Name + "/" + m.Name }

// Families returns all families, in the order of reports.
func Families() []Family {
	return []Family{
		fileTCP(), ext4TCP(), xfsTCP(), ext4ColdTCP(), xfsColdTCP(), fileRemapTCP(), smallTCP(), fileUnix(), userPipe(),
		userFIFO(), hugePipe(), pipeUser(), filePipe(), userPipeFile(), tcpPipeFile(), fileFile(), fileNull(),
		ext4Ext4(), xfsXFS(), userPipe64k(), filePipe64kTCP(),
		fileUringTCP(), userUringTCP(), fileAlg(), userAlg(),
		fileUDP(), userTCP(), hugeTCP(), tcpPipeTCP(), userTeeTCP(), fileKTLS(), fileVeth(), fileVethNoSG(), fileUDPDummy(),
	}
}

// Lookup returns the family of that name.
func Lookup(name string) (Family, error) {
	families := Families()
	i := slices.IndexFunc(families, func(f Family) bool { return f.Name == name })
	if i < 0 {
		return Family{}, fmt.Errorf("no family %q", name)
	}
	return families[i], nil
}

// Match reports whether a copy path's name matches one of the globs, as
// path.Match has them; "*" alone matches every path.
func Match(globs []string, name string) (bool, error) {
	for _, g := range globs {
		ok, err := path.Match(g, name)
		if err != nil {
			return false, fmt.Errorf("workload %q: %w", g, err)
		}
		if ok || g == "*" {
			return true, nil
		}
	}
	return false, nil
}

// TransferBytes is how much one transfer moves: enough that a tick of the
// clock weighs little, and at least 64 chunks.
func TransferBytes(chunk int64) int64 { return wholeChunks(chunk, 16<<20, 64) }

// AccountBytes is how much a transfer moves whose copies are counted: enough
// that the last 4 KiB, which a receiver that discards takes all the same, weigh
// 0.1 %. Of a datagram it takes all.
func (f Family) AccountBytes(chunk int64) int64 {
	if f.MaxChunk > 0 {
		return TransferBytes(chunk)
	}
	return wholeChunks(chunk, 4<<20, 16)
}

// wholeChunks is the least multiple of chunk that is as many chunks and bytes.
func wholeChunks(chunk, bytes, chunks int64) int64 {
	n := max(bytes, chunks*chunk)
	return (n + chunk - 1) / chunk * chunk
}

// alone is the schedule of a family in which one thread does everything.
func alone() []string { return []string{wire.ScheduleLockstep} }

// Rounds is how many requests a ping-pong makes: enough for a 99th percentile,
// within 64 MiB where that leaves 200.
func Rounds(chunk int64) int {
	return int(min(1000, max(200, 64<<20/chunk)))
}

// socketSinks are what a family with a TCP socket can do with the bytes.
func socketSinks() []string { return []string{wire.SinkRead, wire.SinkDiscard} }
