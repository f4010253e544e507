package stats

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// seen is a verification in which T1 saw these values on two file systems and
// P1 another.
func seen(kernel string, declared map[string]string, t1a, t1b, p1 string) store.Verification {
	return store.Verification{Kernel: kernel, Outcome: store.OK, Declared: declared, Observed: []wire.Observation{
		{Probe: "T1", About: "a file", FS: "a", Value: t1a}, {Probe: "T1", About: "a file", FS: "b", Value: t1b},
		{Probe: "P1", About: "a pipe", Value: p1},
	}}
}

func TestProve(t *testing.T) {
	base := map[string]string{"T1": "new", "P1": "64"}
	old := map[string]string{"T1": "old", "P1": "64"}
	p := Prove([]store.Verification{
		seen("right", old, "old", "old", "64"),
		seen("base", base, "new", "new", "64"), // not the first to be verified
		seen("wrong", old, "new", "old", "64"),
		seen("mine", nil, "new", "new", "blocks"),
		{Kernel: "sick", Outcome: "oops", Detail: "NULL", Declared: base},
		{Kernel: "more", Outcome: store.OK, Declared: map[string]string{"T1": "new", "P1": "64", "X": "1"}, Observed: seen("", nil, "new", "new", "64").Observed},
	}, "base")
	want := &Proof{
		Baseline: "base",
		Kernels: []ProvenKernel{
			{Name: "base", Verdict: store.OK, Declares: true},
			{Name: "right", Verdict: store.OK, Declares: true, Differs: []string{"T1"}},
			{Name: "wrong", Verdict: store.NotDeclared, Declares: true, Why: "T1 is new on a, old on b, declared old", Differs: []string{"T1"}},
			{Name: "mine", Verdict: store.OK, Differs: []string{"P1"}},
			{Name: "sick", Verdict: store.NotProven, Declares: true, Why: "oops: NULL"},
			{Name: "more", Verdict: store.NotDeclared, Declares: true, Why: "X is nothing, declared 1"},
		},
		Rows: []ProofRow{
			{Probe: "T1", About: "a file", FS: []string{"a", "b"}, Cells: []ProofCell{
				{Observed: "new", Declared: "new"}, {Observed: "old", Declared: "old", Differs: true},
				{Observed: "new on a, old on b", Declared: "old", Wrong: true, Differs: true}, {Observed: "new"},
				{Declared: "new"}, {Observed: "new", Declared: "new"},
			}},
			{Probe: "P1", About: "a pipe", Cells: []ProofCell{
				{Observed: "64", Declared: "64"}, {Observed: "64", Declared: "64"}, {Observed: "64", Declared: "64"},
				{Observed: "blocks", Differs: true}, {Declared: "64"}, {Observed: "64", Declared: "64"},
			}},
			{Probe: "X", Cells: []ProofCell{{}, {}, {}, {}, {}, {Declared: "1", Wrong: true}}},
		},
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !p.Wrong() {
		t.Error("two kernels are wrong, and the proof isn't")
	}
	if Prove(nil, "base") != nil {
		t.Error("a proof of nothing")
	}
}

// A probe under which the kernel oopsed is wrong, though the boot proves
// nothing; the others of that boot may be what they are because of it.
func TestProveOops(t *testing.T) {
	v := seen("k", map[string]string{"T1": "new", "P1": "64"}, wire.ProbeOopsed, "new", "16")
	v.Outcome = "oops"
	p := Prove([]store.Verification{seen("base", nil, "new", "new", "64"), v}, "base")
	got := []bool{p.Rows[0].Cells[1].Wrong, p.Rows[1].Cells[1].Wrong}
	if want := []bool{true, false}; !slices.Equal(want, got) || p.Kernels[1].Verdict != store.NotProven {
		t.Errorf("wrong: %v, want %v; %s", got, want, p.Kernels[1].Verdict)
	}
}

// A long list of mismatches stays one line.
func TestWhyIsShort(t *testing.T) {
	v := store.Verification{Kernel: "k", Outcome: store.OK, Declared: map[string]string{}}
	for _, id := range strings.Fields("T1 T2 T3 T4 T5 T6 T7 T8") {
		v.Observed = append(v.Observed, wire.Observation{Probe: id, Value: "new"})
	}
	if got := why(v); strings.Count(got, ";") != 6 || !strings.HasSuffix(got, "; 2 more") {
		t.Errorf("got %q", got)
	}
}

// A kernel that isn't what it declares has a note on every cell if it was
// measured, and one without cells if not; either means that the run is wrong.
func TestUndeclaredNote(t *testing.T) {
	for _, measured := range []bool{true, false} {
		b := newBed("base", "k")
		b.add(lock("base", "plain", "read"), 1, 100)
		var keys []Key
		if measured {
			keys = []Key{lock("k", "plain", "read"), lock("k", "plain", "discard"), lock("k", "erms", "read")}
		}
		for _, k := range keys {
			b.add(k, 1, 100)
		}
		b.m.Verifications = []store.Verification{seen("base", nil, "new", "new", "64"), seen("k", map[string]string{"T1": "old", "P1": "64"}, "new", "new", "64")}
		r := b.count()
		n := note(r, Undeclared)
		if n == nil || !r.Wrong() || strings.Contains(n.Text, "--force") != measured || !strings.Contains(n.Text, "k is not what it declares (T1 is new, declared old)") {
			t.Fatalf("measured %v: note %v, wrong %v", measured, n, r.Wrong())
		}
		for _, c := range r.Cells {
			marked := len(c.Notes) > 0 && c.Notes[0] == n.Number
			if marked != (c.Kernel == "k") {
				t.Errorf("measured %v: %v has notes %v, the note is %d", measured, c.Key, c.Notes, n.Number)
			}
		}
	}
}

// A kernel that declares only what its series change is held against that, and
// what else differs from base is told.
func TestProveOnAnotherSource(t *testing.T) {
	saw := func(t1, p1 string) []wire.Observation {
		return []wire.Observation{{Probe: "T1", Value: t1}, {Probe: "P1", Value: p1}}
	}
	declared := map[string]string{"T1": "old"}
	p := Prove([]store.Verification{
		{Kernel: "base", Outcome: store.OK, Observed: saw("new", "65536")},
		{Kernel: "as-declared", Outcome: store.OK, Declared: declared, Partial: true, Observed: saw("old", "65536")},
		{Kernel: "and-more", Outcome: store.OK, Declared: declared, Partial: true, Observed: saw("old", "blocks")},
		{Kernel: "not", Outcome: store.OK, Declared: declared, Partial: true, Observed: saw("new", "65536")},
	}, "base")
	type verdict struct {
		verdict string
		differs []string
	}
	var got []verdict
	for _, k := range p.Kernels {
		got = append(got, verdict{k.Verdict, k.Differs})
	}
	want := []verdict{{store.OK, nil}, {store.OK, nil}, {store.OK, []string{"P1"}}, {store.NotDeclared, nil}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(verdict{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i, row := range p.Rows {
		for j, c := range row.Cells {
			if wrong := i == 0 && j == 3; c.Wrong != wrong {
				t.Errorf("%s on %s: wrong is %v, want %v", row.Probe, p.Kernels[j].Name, c.Wrong, wrong)
			}
		}
	}
}
