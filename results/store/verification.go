package store

import (
	"maps"
	"slices"

	"splicelab/workloads/wire"
)

// Verification is what the probes saw of a kernel, and what it declares.
type Verification struct {
	Kernel string `json:"kernel"`
	// Outcome is OK, or why the probes told nothing.
	Outcome string   `json:"outcome"`
	Detail  string   `json:"detail,omitempty"`
	Taints  []string `json:"taints,omitempty"`
	// Declared are the values that the kernel declares, by the probe's ID. It
	// is nil for a kernel that declares nothing.
	Declared map[string]string `json:"declared,omitempty"`
	// Partial says that Declared is only what the kernel's series change, and
	// that nothing is declared of the other probes.
	Partial  bool               `json:"partial,omitempty"`
	Observed []wire.Observation `json:"observed,omitempty"`
	// Cached says that an earlier boot with the same inputs saw this.
	Cached bool `json:"cached,omitempty"`
}

// NotDeclared is the outcome of the boots of a kernel that is not what it
// declares; NotProven, where its probes told nothing.
const (
	NotDeclared = "not what it declares"
	NotProven   = "not proven to be what it declares"
)

// Mismatch is a probe that saw what the kernel doesn't declare.
type Mismatch struct {
	Probe    string `json:"probe"`
	FS       string `json:"fs,omitempty"`
	Observed string `json:"observed"` // empty: the probe wasn't made
	Declared string `json:"declared"` // empty: nothing is declared of it
}

// Mismatches compares what was seen with what is declared, in the order in
// which it was seen. A kernel that declares nothing has none.
func (v Verification) Mismatches() []Mismatch {
	if v.Declared == nil {
		return nil
	}
	var list []Mismatch
	missing := maps.Clone(v.Declared)
	for _, o := range v.Observed {
		delete(missing, o.Probe)
		want, declared := v.Declared[o.Probe]
		if !declared && v.Partial {
			continue
		}
		if o.Value != want {
			list = append(list, Mismatch{Probe: o.Probe, FS: o.FS, Observed: o.Value, Declared: want})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(missing)) {
		list = append(list, Mismatch{Probe: id, Declared: missing[id]})
	}
	return list
}

// Verdict is OK for a kernel that is what it declares, or declares nothing;
// else NotDeclared or NotProven.
func (v Verification) Verdict() string {
	switch {
	case v.Declared == nil:
		return OK
	case v.Outcome != OK:
		return NotProven
	case len(v.Mismatches()) > 0:
		return NotDeclared
	}
	return OK
}
