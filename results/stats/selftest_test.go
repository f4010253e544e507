package stats

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"splicelab/results/store"
	"splicelab/workloads/wire"
)

func tested(kernel string, results ...string) store.Verification {
	v := store.Verification{Kernel: kernel, Outcome: store.OK}
	for i := 0; i < len(results); i += 3 {
		v.Observed = append(v.Observed, wire.Observation{Probe: results[i], About: results[i+1], Value: results[i+2]})
	}
	return v
}

func TestCompareSelftests(t *testing.T) {
	sick := tested("sick", "tls", "a", "pass")
	sick.Outcome, sick.Detail = "oops", "NULL"
	got := CompareSelftests([]store.Verification{
		tested("same", "tls", "a", "pass", "tls", "b", "fail", "cow", "a", "skip"),
		tested("base", "tls", "a", "pass", "tls", "b", "fail", "cow", "a", "skip"), // not the first to be run
		tested("other", "tls", "a", "fail", "tls", "b", "pass", "tls", "c", "xfail", "cow", "a", "skip"),
		sick,
	}, "base")
	want := &Selftests{
		Baseline: "base",
		Kernels: []TestedKernel{
			{Name: "base"}, {Name: "same"},
			{Name: "other", Differs: []string{"tls a: fail, on the baseline pass", "tls b: pass, on the baseline fail", "tls c: xfail, on the baseline nothing"}},
			{Name: "sick", Why: "oops: NULL", Differs: []string{"tls b: nothing, on the baseline fail", "cow a: nothing, on the baseline skip"}},
		},
		Rows: []SelftestRow{
			{Program: "tls", Cells: []TestCount{{Passed: 1, Failed: 1}, {Passed: 1, Failed: 1}, {Passed: 1, Failed: 1, Other: 1}, {Passed: 1}}},
			{Program: "cow", Cells: []TestCount{{Skipped: 1}, {Skipped: 1}, {Skipped: 1}, {}}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Without the baseline there is nothing to differ from.
	if got := CompareSelftests([]store.Verification{sick}, "base"); got.Kernels[0].Differs != nil {
		t.Errorf("differs from what wasn't run: %q", got.Kernels[0].Differs)
	}
	if CompareSelftests(nil, "base") != nil {
		t.Error("a table of nothing")
	}
}
