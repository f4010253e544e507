package stats

import (
	"fmt"
	"slices"
	"strings"

	"splicelab/images"
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
	// Differs are the tests whose result isn't the baseline's, and those whose
	// result is though something else was declared.
	Differs []TestDifference `json:"differs,omitempty"`
}

// TestDifference is a test's result beside the baseline's.
type TestDifference struct {
	Test string `json:"test"` // the program, a blank and the test
	Is   string `json:"is"`
	Base string `json:"base"`
	// Why is what the kernel declares of it; empty where it doesn't, or where
	// this isn't what it declares.
	Why string `json:"why,omitempty"`
	// Unexpected: a kernel that declares what it changes doesn't declare this.
	Unexpected bool `json:"unexpected,omitempty"`
}

func (d TestDifference) String() string {
	if d.Is == d.Base {
		return fmt.Sprintf("%s: %s, as on the baseline, which the kernel declares to change", d.Test, d.Is)
	}
	return fmt.Sprintf("%s: %s, on the baseline %s", d.Test, d.Is, d.Base)
}

// Unexpected are the differences that a kernel doesn't declare though it declares
// what it changes.
func (k TestedKernel) Unexpected() []TestDifference {
	return slices.DeleteFunc(slices.Clone(k.Differs), func(d TestDifference) bool { return !d.Unexpected })
}

// TestChanges are what a kernel declares to change of the tests. A kernel of
// which nothing is known isn't in it: it is described only.
type TestChanges map[string][]images.SelftestChange

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
func CompareSelftests(list []store.Verification, baseline string, declared TestChanges) *Selftests {
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
		if list[0].Kernel == baseline && v.Kernel != baseline {
			changes, known := declared[v.Kernel]
			k.Differs = differences(list[0], v, changes, known)
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

// differences lists the tests that come to something else, or ought to, in the
// order of those of base, then those that base doesn't have. What a boot that was
// lost has no result of is no difference.
func differences(base, other store.Verification, changes []images.SelftestChange, known bool) []TestDifference {
	type test struct{ program, name string }
	values := func(list []wire.Observation) map[test]string {
		m := map[test]string{}
		for _, o := range list {
			m[test{o.Probe, o.About}] = o.Value
		}
		return m
	}
	before, after := values(base.Observed), values(other.Observed)
	whole := base.Outcome == store.OK && other.Outcome == store.OK
	var list []TestDifference
	seen := map[test]bool{}
	for _, o := range slices.Concat(base.Observed, other.Observed) {
		t := test{o.Probe, o.About}
		if seen[t] || !whole && (before[t] == "" || after[t] == "") {
			continue
		}
		seen[t] = true
		d := TestDifference{Test: t.program + " " + t.name, Is: orNothing(after[t]), Base: orNothing(before[t])}
		wanted := word(d.Base)
		for _, c := range changes {
			if c.Of(t.program, t.name) {
				wanted, d.Why = c.ComesTo, c.Why
			}
		}
		if word(d.Is) != wanted {
			d.Why, d.Unexpected = "", known
		}
		if d.Is != d.Base || d.Unexpected {
			list = append(list, d)
		}
	}
	return list
}

// word is a value's first word: the rest is a figure or a reason.
func word(value string) string {
	first, _, _ := strings.Cut(value, " ")
	return first
}
