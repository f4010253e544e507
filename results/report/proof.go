package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"splicelab/results/stats"
	"splicelab/results/store"
)

// Verification prints what kernels do beside what they declare, as plain text:
// the whole matrix of probes, the account of copies, and what is wrong.
func Verification(w io.Writer, r *stats.Result) error {
	d := document{}
	d.proof(r.Proof, true)
	d.accounts(r)
	var notes []stats.Note
	for _, n := range r.Notes {
		if n.Kind.Wrong() && n.Kind != stats.Undeclared { // the matrix says it
			notes = append(notes, n)
		}
	}
	if len(notes) > 0 {
		d.heading("What is wrong")
		d.notes(notes)
	}
	return d.term(w)
}

// proof is the matrix of probes and kernels: all of it, or those rows that tell
// kernels apart.
func (d *document) proof(p *stats.Proof, whole bool) {
	if p == nil {
		return
	}
	d.heading("Is every kernel what it claims to be? What the probes saw")
	told, alike := newProofGrid(p, kernelNames(p)...), newProofGrid(p, "all kernels")
	if len(p.Kernels) == 1 {
		alike.header[2] = p.Kernels[0].Name
	}
	var left []string
	for _, row := range p.Rows {
		cells := []string{row.Probe, row.About}
		switch {
		case !whole && !row.Told():
			left = append(left, row.Probe)
		case isAlike(row):
			alike.rows = append(alike.rows, append(cells, dash(row.Cells[0].Observed)))
		default:
			told.rows = append(told.rows, append(cells, sawTexts(p, row)...))
		}
	}
	for _, g := range []*grid{told, alike} {
		if len(g.rows) > 0 {
			d.grid(g)
		}
	}
	d.proofLegend(p, left)
}

func newProofGrid(p *stats.Proof, columns ...string) *grid {
	g := &grid{header: append([]string{"", "probe"}, columns...), labels: 2, leftAligned: 2 + len(columns)}
	if hasBaseline(p) {
		g.labels = 3 // it stays beside the others when the table is split
	}
	return g
}

func kernelNames(p *stats.Proof) (names []string) {
	for _, k := range p.Kernels {
		names = append(names, k.Name)
	}
	return names
}

// hasBaseline says whether the first column is what others are compared with.
func hasBaseline(p *stats.Proof) bool { return p.Kernels[0].Name == p.Baseline }

// isAlike says whether a row has the same value for all kernels, and nothing
// is wrong with it.
func isAlike(row stats.ProofRow) bool {
	return !slices.ContainsFunc(row.Cells, func(c stats.ProofCell) bool { return c.Wrong || c.Observed != row.Cells[0].Observed })
}

// asBaseline stands for the baseline's own value.
const asBaseline = "="

// sawTexts is what was seen, and what is declared where that is something else.
func sawTexts(p *stats.Proof, row stats.ProofRow) (cells []string) {
	for i, c := range row.Cells {
		switch {
		case c.Wrong:
			cells = append(cells, fmt.Sprintf("%s, NOT %s", dash(c.Observed), dash(c.Declared)))
		case i > 0 && hasBaseline(p) && c.Observed != "" && c.Observed == row.Cells[0].Observed:
			cells = append(cells, asBaseline)
		default:
			cells = append(cells, dash(c.Observed))
		}
	}
	return cells
}

// proofLegend says what the matrix means, which rows it leaves out, and what is
// wrong.
func (d *document) proofLegend(p *stats.Proof, left []string) {
	legend := "T: a source is changed under way; does the receiver see it? P: what vmsplice does to its pipe. S: splice from something else than a plain file. O: what sendfile to a socket returns at its edges. " + proofCount(p)
	if hasBaseline(p) && len(p.Kernels) > 1 {
		legend += fmt.Sprintf(" %s: as on %s.", asBaseline, p.Baseline)
	}
	if len(left) > 0 {
		legend += fmt.Sprintf(" Left out, as declared and alike on all kernels: %s.", strings.Join(left, ", "))
	}
	if p.Wrong() {
		legend += " NOT: what the kernel declares instead."
	} else {
		legend += " Every kernel that declares something is what it declares."
	}
	d.text(legend)
	for _, k := range p.Kernels {
		if line := provenLine(p, k); line != "" {
			d.text(line)
		}
		if len(k.Taints) > 0 {
			d.text(fmt.Sprintf("Under the probes, %s logged: %s.", k.Name, strings.Join(k.Taints, "; ")))
		}
	}
}

// proofCount tells how many probes there are, and where their files lie.
func proofCount(p *stats.Proof) string {
	files := 0
	var systems []string
	for _, row := range p.Rows {
		if len(row.FS) > 0 {
			files++
		}
		for _, fs := range row.FS {
			systems = appendNew(systems, fs)
		}
	}
	return fmt.Sprintf("%d probes, %d of them on %s each.", len(p.Rows), files, strings.Join(systems, " and "))
}

// provenLine says what a matrix can't; empty when there is nothing to say.
func provenLine(p *stats.Proof, k stats.ProvenKernel) string {
	switch {
	case k.Verdict != store.OK:
		return fmt.Sprintf("%s is %s: %s.", k.Name, strings.ToUpper(k.Verdict), k.Why)
	case k.Partial && len(k.Differs) > 0:
		return fmt.Sprintf("%s declares what its series change; beyond that it differs from %s in %s.", k.Name, p.Baseline, strings.Join(k.Differs, ", "))
	case k.Declares:
		return ""
	case k.Why != "":
		return fmt.Sprintf("%s declares nothing; under the probes: %s.", k.Name, k.Why)
	case k.Name == p.Baseline:
		return fmt.Sprintf("%s declares nothing: it is described.", k.Name)
	case len(k.Differs) > 0:
		return fmt.Sprintf("%s declares nothing; it differs from %s in %s.", k.Name, p.Baseline, strings.Join(k.Differs, ", "))
	}
	return fmt.Sprintf("%s declares nothing; no probe tells it from %s.", k.Name, p.Baseline)
}
