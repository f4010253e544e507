// Package probe holds the black-box tests that tell the lab's kernels apart
// from outside, by what a system call returns and by which bytes come out at
// the other end (facts.md, section 5). T probes change the source of a transfer
// while it is under way and look whether the receiver sees the change; P probes
// are about vmsplice and its pipe; S probes splice from what isn't a plain file;
// O probes are about the edges of sendfile to a socket.
//
// A probe is one value in one file. Its observation is a word or two, the same
// on every boot of one kernel: new, EAGAIN, 65536, blocks.
package probe

import (
	"errors"
	"fmt"
	"slices"
)

// Probe is one black-box test.
type Probe struct {
	ID    string // T1, P12e
	About string // what it does, in a few words
	// OnFile says that it has a file as its source, so that the file system
	// matters.
	OnFile bool

	run func(*bench) string
}

// ErrUnknown: there is no such probe.
var ErrUnknown = errors.New("unknown probe")

// All lists the probes in the order of a matrix.
func All() []Probe {
	return slices.Concat(pageProbes(), pipeProbes(), sourceProbes(), sendfileProbes())
}

// Lookup returns the probe of that ID. The error is ErrUnknown.
func Lookup(id string) (Probe, error) {
	for _, p := range All() {
		if p.ID == id {
			return p, nil
		}
	}
	return Probe{}, fmt.Errorf("%w %q", ErrUnknown, id)
}

// Run makes the probe with its files in dir and returns what it saw. An error
// means that the probe itself could not be made and nothing is known.
//
// Run may block for ever, and it leaves descriptors, mappings and threads
// behind that sleep in the kernel: it belongs into a process of its own, which
// its parent ends at a deadline.
func (p Probe) Run(dir string) (string, error) {
	b := &bench{dir: dir}
	value := p.run(b)
	if b.err != nil {
		return "", fmt.Errorf("probe %s: %w", p.ID, b.err)
	}
	return value, nil
}
