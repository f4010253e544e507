package stats

import (
	"fmt"
	"slices"
	"strings"

	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// Proof is what the probes saw, as a matrix of probes and kernels.
type Proof struct {
	Baseline string `json:"baseline"`
	// Kernels are the columns: the baseline first, then as they were verified.
	Kernels []ProvenKernel `json:"kernels"`
	Rows    []ProofRow     `json:"rows"`
}

// ProvenKernel is a column.
type ProvenKernel struct {
	Name string `json:"name"`
	// Verdict is store.OK, store.NotDeclared or store.NotProven.
	Verdict string `json:"verdict"`
	// Why says what is wrong in one line, or why the probes told nothing; empty
	// when nothing is.
	Why string `json:"why,omitempty"`
	// Declares is false for a kernel that is described only.
	Declares bool `json:"declares"`
	// Partial says that it declares only what its series change.
	Partial bool `json:"partial,omitempty"`
	// Differs are the probes that see something else on it than on the
	// baseline; of a kernel that declares only what it changes, those of which
	// it says nothing.
	Differs []string `json:"differs,omitempty"`
	// Taints are unexpected lines of its log while it was probed.
	Taints []string `json:"taints,omitempty"`
}

// ProofRow is one probe.
type ProofRow struct {
	Probe string `json:"probe"`
	About string `json:"about"`
	// FS are the file systems it was made on; none for a probe without a file.
	FS    []string    `json:"fs,omitempty"`
	Cells []ProofCell `json:"cells"` // as Proof.Kernels
}

// ProofCell is what one kernel showed and declares.
type ProofCell struct {
	// Observed names the file systems where they differ: "new on tmpfs, old on
	// ext4". It is empty where nothing was seen.
	Observed string `json:"observed"`
	Declared string `json:"declared,omitempty"`
	Wrong    bool   `json:"wrong,omitempty"`   // observed isn't what is declared
	Differs  bool   `json:"differs,omitempty"` // observed isn't what the baseline shows
}

// Told says whether the row tells kernels apart, or one is wrong in it.
func (r ProofRow) Told() bool {
	return slices.ContainsFunc(r.Cells, func(c ProofCell) bool { return c.Wrong || c.Differs })
}

// Wrong says whether a kernel is not what it declares.
func (p *Proof) Wrong() bool {
	return slices.ContainsFunc(p.Kernels, func(k ProvenKernel) bool { return k.Verdict != store.OK })
}

// Prove makes the matrix; nil when no kernel was verified.
func Prove(list []store.Verification, baseline string) *Proof {
	if len(list) == 0 {
		return nil
	}
	list = baselineFirst(list, baseline)
	p := &Proof{Baseline: baseline, Rows: proofRows(list)}
	for _, v := range list {
		p.add(v, list[0])
	}
	return p
}

// baselineFirst makes the baseline the first column, wherever it was verified.
func baselineFirst(list []store.Verification, baseline string) []store.Verification {
	if i := slices.IndexFunc(list, func(v store.Verification) bool { return v.Kernel == baseline }); i > 0 {
		return slices.Concat(list[i:i+1], list[:i], list[i+1:])
	}
	return list
}

// add appends a kernel's column; first is the first kernel, which is the
// baseline if that was verified.
func (p *Proof) add(v, first store.Verification) {
	k := ProvenKernel{Name: v.Kernel, Verdict: v.Verdict(), Why: why(v), Declares: v.Declared != nil, Partial: v.Partial, Taints: v.Taints}
	compare := first.Kernel == p.Baseline && first.Outcome == store.OK && v.Outcome == store.OK
	for i := range p.Rows {
		row := &p.Rows[i]
		want, declared := v.Declared[row.Probe]
		declared = declared || v.Declared != nil && !v.Partial
		c := ProofCell{Observed: observed(v, row.Probe), Declared: want}
		told := v.Outcome == store.OK || strings.Contains(c.Observed, wire.ProbeOopsed)
		c.Wrong = declared && told && c.Observed != c.Declared
		c.Differs = compare && c.Observed != observed(first, row.Probe)
		if c.Differs && !(v.Partial && declared) {
			k.Differs = append(k.Differs, row.Probe)
		}
		row.Cells = append(row.Cells, c)
	}
	p.Kernels = append(p.Kernels, k)
}

// proofRows are the probes that any kernel has or declares, without cells.
func proofRows(list []store.Verification) []ProofRow {
	var rows []ProofRow
	at := map[string]int{}
	for _, v := range list {
		for _, o := range v.Observed {
			i, ok := at[o.Probe]
			if !ok {
				i = len(rows)
				at[o.Probe] = i
				rows = append(rows, ProofRow{Probe: o.Probe, About: o.About})
			}
			if o.FS != "" && !slices.Contains(rows[i].FS, o.FS) {
				rows[i].FS = append(rows[i].FS, o.FS)
			}
		}
	}
	for _, v := range list {
		for _, m := range v.Mismatches() {
			if _, ok := at[m.Probe]; !ok {
				at[m.Probe] = len(rows)
				rows = append(rows, ProofRow{Probe: m.Probe})
			}
		}
	}
	return rows
}

// observed is what a probe saw: one value, or each with its file system.
func observed(v store.Verification, probe string) string {
	var values, places []string
	for _, o := range v.Observed {
		if o.Probe == probe {
			values = append(values, o.Value)
			places = append(places, o.Value+" on "+o.FS)
		}
	}
	if len(slices.Compact(slices.Clone(values))) > 1 {
		return strings.Join(places, ", ")
	}
	return strings.Join(values[:min(1, len(values))], "")
}

// why says in one line what is wrong with a kernel.
func why(v store.Verification) string {
	if v.Outcome != store.OK {
		return strings.TrimSuffix(v.Outcome+": "+v.Detail, ": ")
	}
	const shown = 6
	var parts []string
	for _, m := range v.Mismatches() {
		// The file systems of one probe are told together.
		parts = append(parts, fmt.Sprintf("%s is %s, declared %s", m.Probe, orNothing(observed(v, m.Probe)), orNothing(m.Declared)))
	}
	parts = slices.Compact(parts)
	if more := len(parts) - shown; more > 0 {
		parts = append(parts[:shown], fmt.Sprintf("%d more", more))
	}
	return strings.Join(parts, "; ")
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// noteUndeclared marks every cell of a kernel that is not what it declares, and
// was measured nevertheless.
func (c *counter) noteUndeclared(r *Result) {
	if r.Proof == nil {
		return
	}
	for _, k := range r.Proof.Kernels {
		if k.Verdict == store.OK {
			continue
		}
		var cells []Key
		for _, cell := range r.Cells {
			if cell.Kernel == k.Name {
				cells = append(cells, cell.Key)
			}
		}
		text := fmt.Sprintf("%s is %s (%s)", k.Name, k.Verdict, k.Why)
		if len(cells) > 0 {
			text += ": measured all the same (--force)"
		} else {
			text += ": not measured"
		}
		c.pending.add(Note{Kind: Undeclared, Text: text}, cells)
	}
}
