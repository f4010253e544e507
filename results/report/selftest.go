package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

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

// tested says where a kernel differs from the baseline.
func (d *document) tested(s *stats.Selftests, k stats.TestedKernel) {
	switch {
	case k.Why != "":
		d.text(fmt.Sprintf("%s: %s.", k.Name, k.Why))
	case k.Name == s.Baseline:
	case len(k.Differs) == 0:
		d.text(fmt.Sprintf("%s: as on %s.", k.Name, s.Baseline))
	}
	if len(k.Differs) > 0 {
		d.text(fmt.Sprintf("%s differs from %s:", k.Name, s.Baseline))
		d.code(strings.Split(strings.Join(k.Differs, "\n"), "\n"))
	}
}
