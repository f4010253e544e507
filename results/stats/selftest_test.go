package stats

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"splicelab/images"
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
	hang := images.SelftestChange{Tests: []string{"tls a", "cow *"}, ComesTo: "hung", Why: "it loops"}
	got := CompareSelftests([]store.Verification{
		tested("same", "tls", "a", "pass", "tls", "b", "fail", "cow", "a", "skip"),
		tested("base", "tls", "a", "pass", "tls", "b", "fail", "cow", "a", "skip"), // not the first to be run
		tested("mine", "tls", "a", "fail", "tls", "b", "pass", "tls", "c", "xfail", "cow", "a", "skip"),
		tested("loops", "tls", "a", "hung (killed)", "tls", "b", "pass", "cow", "a", "skip"),
		sick,
	}, "base", TestChanges{"same": nil, "loops": {hang}, "sick": nil})
	want := &Selftests{
		Baseline: "base",
		Kernels: []TestedKernel{
			{Name: "base"}, {Name: "same"},
			{Name: "mine", Differs: []TestDifference{
				{Test: "tls a", Is: "fail", Base: "pass"},
				{Test: "tls b", Is: "pass", Base: "fail"},
				{Test: "tls c", Is: "xfail", Base: "nothing"},
			}},
			{Name: "loops", Differs: []TestDifference{
				{Test: "tls a", Is: "hung (killed)", Base: "pass", Why: "it loops"},
				{Test: "tls b", Is: "pass", Base: "fail", Unexpected: true},
				{Test: "cow a", Is: "skip", Base: "skip", Unexpected: true}, // which is declared to hang
			}},
			// What it hasn't come to isn't held against it, but for its end.
			{Name: "sick", Why: "oops: NULL"},
		},
		Rows: []SelftestRow{
			{Program: "tls", Cells: []TestCount{{Passed: 1, Failed: 1}, {Passed: 1, Failed: 1}, {Passed: 1, Failed: 1, Other: 1}, {Passed: 1, Other: 1}, {Passed: 1}}},
			{Program: "cow", Cells: []TestCount{{Skipped: 1}, {Skipped: 1}, {Skipped: 1}, {Skipped: 1}, {}}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var unexpected []string
	for _, d := range got.Kernels[3].Unexpected() {
		unexpected = append(unexpected, d.String())
	}
	if diff := cmp.Diff([]string{
		"tls b: pass, on the baseline fail", "cow a: skip, as on the baseline, which the kernel declares to change",
	}, unexpected); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Without the baseline there is nothing to differ from.
	if got := CompareSelftests([]store.Verification{sick}, "base", nil); got.Kernels[0].Differs != nil {
		t.Errorf("differs from what wasn't run: %q", got.Kernels[0].Differs)
	}
	if CompareSelftests(nil, "base", nil) != nil {
		t.Error("a table of nothing")
	}
}
