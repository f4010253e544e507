//go:build vm

package run

import (
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"splicelab/images"
	"splicelab/images/kernel"
	"splicelab/lab/vm"
	"splicelab/results/stats"
	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// accountPlan is the account of families at these chunks.
func accountPlan(line string, chunks []int64, families ...string) wire.Plan {
	p := wire.Plan{Kind: wire.KindAccount, Line: line, Seed: 1, CellDeadline: 60}
	for _, f := range families {
		p.Families = append(p.Families, wire.FamilyPlan{Family: f, Chunks: chunks})
	}
	return p
}

// account boots the account of families and returns its samples.
func (f *fixture) account(t *testing.T, img *kernel.Image, families ...string) []wire.Sample {
	t.Helper()
	r := boot(t, f.vm(t, img, plainCPU, accountPlan(img.Spec.Line, []int64{4096, 65536}, families...)))
	if r.Outcome != vm.OK {
		t.Fatalf("%s: %s\n%s", r.Outcome, r.Detail, r.Tail)
	}
	return r.Stream.Samples
}

// What facts.md, section 3, says of these kernels, counted. Its starred cells
// were counted with other programs on prototypes.
func TestRealCopies(t *testing.T) {
	for _, line := range testedLines() {
		t.Run(line, func(t *testing.T) { countCopies(t, line) })
	}
}

func countCopies(t *testing.T, line string) {
	f := shared(t)
	accounts := map[string][]wire.Sample{} // by kernel
	for _, tc := range []struct {
		kernel     string
		series     []string
		path       string
		copies     float64 // per byte, for a receiver that reads
		references bool
	}{
		{"base", nil, "file-tcp/sendfile", 1, true},
		{"base", nil, "file-tcp/splice", 1, true},
		{"base", nil, "file-tcp/read-send", 3, false},
		{"base", nil, "file-tcp/mmap-send", 2, false},
		{"base", nil, "file-unix/sendfile", 1, true},
		{"base", nil, "user-pipe/vmsplice", 1, false},
		{"base", nil, "user-pipe/write", 2, false},
		{"socket-copy", []string{"socket-copy"}, "file-tcp/sendfile", 2, false},
		{"sendfile-deopt", []string{"splice-copy", "socket-copy"}, "file-tcp/sendfile", 3, false},
		{"sendfile-deopt", []string{"splice-copy", "socket-copy"}, "file-tcp/read-send", 3, false},
		{"vmsplice-wrapper", []string{"vmsplice-wrapper"}, "user-pipe/vmsplice", 2, false},
	} {
		seen := 0
		if accounts[tc.kernel] == nil {
			accounts[tc.kernel] = f.account(t, f.build(t, lineSpec(t, line, tc.kernel, tc.series)), "file-tcp", "file-unix", "user-pipe")
		}
		for _, s := range accounts[tc.kernel] {
			if s.Error != "" {
				t.Errorf("%s, %s: %s", tc.kernel, s.Path, s.Error)
			}
			if s.Path != tc.path {
				continue
			}
			seen++
			want := tc.copies
			if s.Sink == wire.SinkDiscard {
				want--
			}
			got := float64(s.Metrics[wire.MetricCopied]) / float64(s.Bytes)
			references := s.Metrics[wire.MetricReferences]
			if math.Abs(got-want) > 0.005*max(1, want) || (references > 0) != tc.references {
				t.Errorf("%s, %s %s, chunk %d: %.4f copies a byte and %d references, want %v, %v", tc.kernel, s.Path, s.Sink, s.Chunk, got, references, want, tc.references)
			}
		}
		if seen == 0 {
			t.Errorf("%s: no sample of %s", tc.kernel, tc.path)
		}
	}
}

// What ran before it in the boot is no part of a family's account: it is the
// same, to the last byte, alone and behind others, those on the same RAM disk
// among them.
func TestRealAccountAlone(t *testing.T) {
	f := shared(t)
	img := f.build(t, spec(t, "base", nil))
	families := []string{"ext4-tcp", "xfs-tcp", "user-pipe"}
	var apart []wire.Sample
	for _, family := range families {
		apart = append(apart, f.account(t, img, family)...)
	}
	together := f.account(t, img, families...)
	if diff := cmp.Diff(apart, together); diff != "" || len(together) == 0 {
		t.Errorf("%d samples (-each family alone +together):\n%s", len(together), diff)
	}
}

// A kernel without a function of its line's list has no account.
func TestRealAccountOfAnotherLine(t *testing.T) {
	f := shared(t)
	b := f.vm(t, f.build(t, spec(t, "base", nil)), plainCPU, accountPlan("7.3", []int64{65536}, "user-pipe"))
	r := boot(t, b)
	if r.Outcome != vm.AgentError || !strings.Contains(r.Detail, "copy_folio_from_iter_atomic") {
		t.Errorf("%s: %s\n%s", r.Outcome, r.Detail, r.Tail)
	}
}

// A run counts copies, takes them from the cache the next time, and tells a
// kernel that isn't what its label says.
func TestRealRunWithAccounts(t *testing.T) {
	c := smoke(t)
	c.Account, c.SampleCache, c.Cache = true, true, ""
	for _, name := range []string{"first", "second"} {
		c.Out = t.TempDir() + "/" + name
		var out strings.Builder
		if err := Run(t.Context(), Request{Config: c, Known: Known(), Command: "lab run", Out: &out, Err: io.Discard}); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		if !strings.Contains(out.String(), "all of it is what the kernels declare") {
			t.Errorf("%s run:\n%s", name, out.String())
		}
	}
	m, samples, err := store.Load(c.Out)
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(m.Boots, func(b store.Boot) bool { return !b.Cached }) {
		t.Errorf("a boot of the second run isn't cached: %+v", m.Boots)
	}
	label, err := images.ExpectedCopies([]string{"splice-copy", "socket-copy", "sendfile-onecopy"})
	if err != nil {
		t.Fatal(err)
	}
	for path, copies := range label {
		m.Copies["sendfile-deopt"][path] = store.Copies(copies)
	}
	for _, a := range stats.Count(m, samples).Accounts {
		if wrong := a.Kernel == "sendfile-deopt" && a.Workload == "file-tcp/sendfile"; a.Contradicts != wrong {
			t.Errorf("labelled sendfile-onecopy: %s %s on %s: contradicts %v, want %v", a.Workload, a.Sink, a.Kernel, a.Contradicts, wrong)
		}
	}
}

// System calls and fragments, counted in the same boots, to the last one. A
// chunk of 64 KiB goes as two packets, since one holds less with its headers:
// of pages by reference that is one fragment a page and a page in two, and of
// copied bytes two of 32 KiB, the second in two.
func TestRealCallsAndFragments(t *testing.T) {
	const mib = 1 << 20
	want := map[[2]string][2]float64{ // by path and sink: system calls and fragments, per MiB
		{"file-tcp/sendfile", wire.SinkRead}:  {32, 272},
		{"file-tcp/read-send", wire.SinkRead}: {48, 48},
		{"file-tcp/mmap-send", wire.SinkRead}: {32, 48},
		{"file-tcp/splice", wire.SinkRead}:    {48, 272},
		{"user-pipe/write", ""}:               {32, 0},
	}
	f := shared(t)
	img := f.build(t, spec(t, "base", nil))
	seen := 0
	for _, s := range f.account(t, img, "file-tcp", "user-pipe") {
		w, ok := want[[2]string{s.Path, s.Sink}]
		if !ok || s.Chunk != 65536 {
			continue
		}
		seen++
		per := func(name string) float64 { return float64(s.Metrics[name]) * mib / float64(s.Bytes) }
		if calls, fragments := per(wire.MetricSyscalls), per(wire.MetricFragments); calls != w[0] || fragments != w[1] {
			t.Errorf("%s: %.2f system calls and %.2f fragments in %.2f packets per MiB, want %v", s.Path, calls, fragments, per(wire.MetricSkbs), w)
		}
	}
	if seen != len(want) {
		t.Errorf("%d cells of %d", seen, len(want))
	}
}
