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
}

// Family is one source-sink pair with all its methods. It is measured whole,
// because the digits of a boot depend on all that ran before in it (facts.md,
// section 7, trap 6).
type Family struct {
	Name    string
	About   string
	Sinks   []string // of the receiver; {""} where there is no socket
	Methods []Method
	// connect opens the way from sender to receiver for one cell.
	connect func(c *Cell) error
	// tune sets what depends on the schedule; nil where nothing does.
	tune func(c *Cell, schedule string) error
	// receive takes n bytes and leaves the last keep of them at the end of
	// c.in[:n]; the others may be thrown away. It is timed.
	receive func(c *Cell, n, keep int64) Status
}

// Path returns the name of a copy path: source-sink/method.
func (f Family) Path(m Method) string { return f.Name + "/" + m.Name }

// Families returns all families, in the order of reports.
func Families() []Family { return []Family{fileTCP(), fileUnix(), userPipe()} }

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
func TransferBytes(chunk int64) int64 {
	const least, chunks = 16 << 20, 64
	n := max(least, chunks*chunk)
	return (n + chunk - 1) / chunk * chunk
}

// socketSinks are what a family with a TCP socket can do with the bytes.
func socketSinks() []string { return []string{wire.SinkRead, wire.SinkDiscard} }
