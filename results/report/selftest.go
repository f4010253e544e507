package report

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"splicelab/results/stats"
)

// Selftests prints what the kernel's own tests came to, as plain text. notes
// are about how they were built; notRun are those that weren't run, with the
// reason.
func Selftests(w io.Writer, s *stats.Selftests, notes []string, notRun map[string]string) error {
	d := document{}
	d.heading("The kernel's own tests (tools/testing/selftests): passed/failed/skipped")
	g := &grid{header: []string{"program"}, labels: 1, leftAligned: 1}
	for _, k := range s.Kernels {
		g.header = append(g.header, k.Name)
	}
	for _, row := range s.Rows {
		cells := []string{row.Program}
		for _, c := range row.Cells {
			cells = append(cells, countText(c))
		}
		g.rows = append(g.rows, cells)
	}
	d.grid(g)
	d.text("A test that fails or is skipped on every kernel alike lacks something here: a cipher, huge pages, a module. What counts is a difference.")
	for _, k := range s.Kernels {
		d.tested(s, k)
	}
	for _, n := range notes {
		d.text(n)
	}
	facts := []fact{}
	for _, name := range slices.Sorted(maps.Keys(notRun)) {
		facts = append(facts, fact{name, []string{notRun[name]}})
	}
	d.heading("Not run")
	d.facts(facts)
	return d.term(w)
}

func countText(c stats.TestCount) string {
	text := fmt.Sprintf("%d/%d/%d", c.Passed, c.Failed, c.Skipped)
	if c.Other > 0 {
		text += fmt.Sprintf(" +%d", c.Other)
	}
	return text
}

// tested says where a kernel differs from the baseline: as its series declare,
// otherwise, or, where they declare nothing, at all.
func (d *document) tested(s *stats.Selftests, k stats.TestedKernel) {
	if k.Why != "" {
		d.text(fmt.Sprintf("%s: %s. What its tests came to before that is in the table.", k.Name, k.Why))
	} else if k.Name != s.Baseline && len(k.Differs) == 0 {
		d.text(fmt.Sprintf("%s: as on %s.", k.Name, s.Baseline))
	}
	var reasons []string
	lines := map[string][]string{}
	for _, diff := range k.Differs {
		reason := fmt.Sprintf("%s differs from %s", k.Name, s.Baseline)
		switch {
		case diff.Unexpected:
			reason = k.Name + " is not what it declares"
		case diff.Why != "":
			reason += " as declared: " + diff.Why
		}
		if !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
		lines[reason] = append(lines[reason], diff.String())
	}
	for _, reason := range reasons {
		d.text(reason + ":")
		d.code(lines[reason])
	}
}
