package stats

import (
	"fmt"
	"slices"

	"splicelab/results/store"
	"splicelab/workloads/selftest"
	"splicelab/workloads/wire"
)

// Selftests is what the kernel's own tests say of each kernel.
type Selftests struct {
	Baseline string `json:"baseline"`
	// Kernels are the columns: the baseline first.
	Kernels []TestedKernel `json:"kernels"`
	Rows    []SelftestRow  `json:"rows"` // a program each
}

// TestedKernel is a column.
type TestedKernel struct {
	Name string `json:"name"`
	// Why says what became of its boot, if that went wrong.
	Why string `json:"why,omitempty"`
	// Differs are the tests whose result isn't the baseline's, in one line
	// each.
	Differs []string `json:"differs,omitempty"`
}

// SelftestRow is one program.
type SelftestRow struct {
	Program string      `json:"program"`
	Cells   []TestCount `json:"cells"` // as Selftests.Kernels
}

// TestCount counts the results of a program's tests.
type TestCount struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
	// Other are those that are neither: expected failures, a program that
	// hangs.
	Other int `json:"other,omitempty"`
}

func (c *TestCount) add(value string) {
	switch value {
	case selftest.Passed:
		c.Passed++
	case selftest.Failed:
		c.Failed++
	case selftest.Skipped:
		c.Skipped++
	default:
		c.Other++
	}
}

// CompareSelftests makes the table; nil when nothing was run. Each verification
// holds a kernel's results: Probe is the program, About the test.
func CompareSelftests(list []store.Verification, baseline string) *Selftests {
	if len(list) == 0 {
		return nil
	}
	list = baselineFirst(list, baseline)
	s := &Selftests{Baseline: baseline}
	for _, v := range list {
		for _, o := range v.Observed {
			if !slices.ContainsFunc(s.Rows, func(r SelftestRow) bool { return r.Program == o.Probe }) {
				s.Rows = append(s.Rows, SelftestRow{Program: o.Probe})
			}
		}
	}
	for _, v := range list {
		k := TestedKernel{Name: v.Kernel}
		if v.Outcome != store.OK {
			k.Why = why(v)
		}
		if list[0].Kernel == baseline {
			k.Differs = differences(list[0].Observed, v.Observed)
		}
		s.Kernels = append(s.Kernels, k)
		for i := range s.Rows {
			var c TestCount
			for _, o := range v.Observed {
				if o.Probe == s.Rows[i].Program {
					c.add(o.Value)
				}
			}
			s.Rows[i].Cells = append(s.Rows[i].Cells, c)
		}
	}
	return s
}

// differences lists the tests that come to something else, in the order of
// those of base, then those that base doesn't have.
func differences(base, other []wire.Observation) []string {
	type test struct{ program, name string }
	values := func(list []wire.Observation) map[test]string {
		m := map[test]string{}
		for _, o := range list {
			m[test{o.Probe, o.About}] = o.Value
		}
		return m
	}
	before, after := values(base), values(other)
	var list []string
	seen := map[test]bool{}
	for _, o := range slices.Concat(base, other) {
		t := test{o.Probe, o.About}
		if was, is := orNothing(before[t]), orNothing(after[t]); was != is && !seen[t] {
			seen[t] = true
			list = append(list, fmt.Sprintf("%s %s: %s, on the baseline %s", t.program, t.name, is, was))
		}
	}
	return list
}
