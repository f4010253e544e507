package stats

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"splicelab/images/kernel"
	"splicelab/results/store"
)

// bed builds a run of invented figures, one boot and sample at a time.
type bed struct {
	m       store.Manifest
	samples []store.Sample
}

func newBed(kernels ...string) *bed {
	b := &bed{m: store.Manifest{Baseline: "base", Control: "shifted", Conditions: []store.Condition{
		{Name: "plain", CPUModel: "cpu,+smap", Cmdline: "init_on_alloc=0 quiet"},
		{Name: "erms", CPUModel: "cpu,+smap,+erms", Cmdline: "init_on_alloc=0 quiet"},
		{Name: "zeroing", CPUModel: "cpu,+smap", Cmdline: "init_on_alloc=1 quiet"},
		{Name: "other", CPUModel: "cpu2", Cmdline: "init_on_alloc=1 quiet"},
	}}}
	for _, k := range kernels {
		b.m.Kernels = append(b.m.Kernels, kernel.Image{Spec: kernel.Spec{Name: k}})
	}
	return b
}

// lock is a lock-step cell of a path to a socket.
func lock(kernel, condition, sink string) Key {
	return Key{Workload: "file-tcp/sendfile", Schedule: "lockstep", Sink: sink, Chunk: 64 << 10, Condition: condition, Kernel: kernel}
}

// add gives a cell a boot with one sample for each value, in instructions per
// 1000 bytes, and returns the boot.
func (b *bed) add(k Key, seed uint64, values ...int64) *store.Boot {
	name := fmt.Sprintf("%s_%s_%s_s%d", k.Kernel, store.Family(k.Workload), k.Condition, seed)
	at := slices.IndexFunc(b.m.Boots, func(have store.Boot) bool { return have.Name == name })
	if at < 0 {
		at = len(b.m.Boots)
		b.m.Boots = append(b.m.Boots, store.Boot{Name: name, Kernel: k.Kernel, Family: store.Family(k.Workload), Condition: k.Condition, Seed: seed,
			Outcome: store.OK, UUID: "u", Digest: "d" + name})
	}
	for rep, v := range values {
		b.samples = append(b.samples, store.Sample{Kernel: k.Kernel, Workload: k.Workload, Schedule: k.Schedule, Sink: k.Sink, CPUModel: k.Condition,
			Chunk: k.Chunk, Bytes: 1000, Boot: name, Rep: rep, Seed: seed, Outcome: store.OK, Metrics: map[string]int64{"insns": v}})
	}
	return &b.m.Boots[at]
}

func (b *bed) count() *Result { return Count(b.m, b.samples) }

func note(r *Result, kind Kind) *Note {
	for i := range r.Notes {
		if r.Notes[i].Kind == kind {
			return &r.Notes[i]
		}
	}
	return nil
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

// TestUnitIsTheBoot: the median is taken within each boot first, so that a boot
// with more samples weighs no more.
func TestUnitIsTheBoot(t *testing.T) {
	b := newBed("base")
	k := lock("base", "plain", "read")
	b.add(k, 1, 100, 100, 100, 100, 900)
	b.add(k, 2, 200)
	b.add(k, 3, 300, 310)
	c := b.count().Cell(k)
	if c == nil {
		t.Fatal("no cell")
	}
	want := Cell{Key: k, Unit: UnitPerByte, Value: Spread{Median: 0.2, Min: 0.1, Max: 0.305}, Boots: 3, Samples: 8}
	if diff := cmp.Diff(want, *c, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Error(diff)
	}
}

// TestWhatCounts: samples that failed, of lost boots, of a trial's repeats and
// of unknown boots stay out of every figure.
func TestWhatCounts(t *testing.T) {
	b := newBed("base")
	k := lock("base", "plain", "read")
	b.add(k, 1, 100, 100, 100)
	b.samples[1].Outcome = "content differs"
	b.samples[2].Metrics = nil
	lost := b.add(k, 2, 900)
	lost.Outcome, lost.Detail = "hang", "why"
	again := b.add(k, 3, 900)
	again.Seed, again.Repeat, again.Digest = 1, 1, b.m.Boots[0].Digest
	b.samples = append(b.samples, b.samples[0])
	b.samples[len(b.samples)-1].Boot = "unknown"
	b.m.Boots = append(b.m.Boots, store.Boot{Name: "waiting", Kernel: "base"})

	r := b.count()
	c := r.Cell(k)
	if !near(c.Value.Max, 0.1) || c.Boots != 1 || c.Samples != 1 {
		t.Errorf("got %+v", c)
	}
	if n := note(r, FailedOnes); n == nil || !strings.Contains(n.Text, "2 samples") || len(n.Details) != 2 || !slices.Contains(c.Notes, n.Number) {
		t.Errorf("failed samples: %+v, cell's notes %v", n, c.Notes)
	}
	if n := note(r, Lost); n == nil || !strings.Contains(n.Text, "1 boot of 4 ") || !strings.Contains(n.Details[0], "hang: why") || !slices.Contains(c.Notes, n.Number) {
		t.Errorf("lost boots: %+v, cell's notes %v", n, c.Notes)
	}
	if n := note(r, Unfinished); n == nil || !strings.Contains(n.Text, "3 of 4 boots") {
		t.Errorf("unfinished: %+v", n)
	}
	if n := note(r, Broken); n != nil {
		t.Errorf("determinism isn't broken: %+v", n)
	}
	if !r.Wrong() {
		t.Error("a run with lost boots isn't wrong")
	}
}

func TestNoiseLine(t *testing.T) {
	b := newBed("base", "patched", "shifted")
	for condition, shifted := range map[string]int64{"plain": 1002, "erms": 995} {
		b.add(lock("base", condition, "read"), 1, 1000)
		b.add(lock("shifted", condition, "read"), 1, shifted)
	}
	b.add(lock("patched", "plain", "read"), 1, 1005)
	b.add(lock("patched", "erms", "read"), 1, 1006)
	r := b.count()
	if !r.Noise.Known || !near(r.Noise.Percent, 0.5) || r.Noise.At != lock("shifted", "erms", "read") || r.Noise.Cells != 2 {
		t.Errorf("noise %+v", r.Noise)
	}
	parts := []NoisePart{{Condition: "plain", Percent: 0.2, Cells: 1}, {Condition: "erms", Percent: 0.5, Cells: 1}}
	if diff := cmp.Diff(parts, r.Noise.ByCondition, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Error(diff)
	}
	family := []NoisePart{{Family: "file-tcp", Percent: 0.5, Cells: 2}}
	if diff := cmp.Diff(family, r.Noise.ByFamily, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Error(diff)
	}
	if c := r.Cell(lock("patched", "plain", "read")); c.Called || !near(*c.Change, 0.5) {
		t.Errorf("+0.5 %% at a noise of 0.5 %% is called a change: %+v", c)
	}
	if c := r.Cell(lock("patched", "erms", "read")); !c.Called {
		t.Errorf("+0.6 %% at a noise of 0.5 %% isn't called a change: %+v", c)
	}
	if diff := cmp.Diff([]string{"base", "patched"}, r.Kernels); diff != "" {
		t.Errorf("the control is a column: %s", diff)
	}
	if r.Noise.BootSpread != 0 {
		t.Errorf("one boot a cell spreads by %v %%", r.Noise.BootSpread)
	}
	if len(r.Notes) > 0 || r.Wrong() {
		t.Errorf("a clean run has notes: %+v", r.Notes)
	}
}

// TestNoControl: without a control no change is called one, however large.
func TestNoControl(t *testing.T) {
	b := newBed("base", "patched")
	b.add(lock("base", "plain", "read"), 1, 1000)
	b.add(lock("patched", "plain", "read"), 1, 2000)
	r := b.count()
	c := r.Cell(lock("patched", "plain", "read"))
	if c.Called || !near(*c.Change, 100) || note(r, NoControl) == nil || r.Noise.Known {
		t.Errorf("cell %+v, noise %+v, notes %+v", c, r.Noise, r.Notes)
	}
}

// TestHiddenRows: --workload hides rows, but the noise is that of all of them.
func TestHiddenRows(t *testing.T) {
	b := newBed("base", "patched", "shifted")
	b.m.Workloads = []string{"file-tcp/*"}
	for _, workload := range []string{"file-tcp/sendfile", "user-pipe/write"} {
		for kernel, v := range map[string]int64{"base": 1000, "patched": 1000, "shifted": 1001 + int64(len(workload))} {
			k := lock(kernel, "plain", "")
			k.Workload = workload
			b.add(k, 1, v)
		}
	}
	b.samples[slices.IndexFunc(b.samples, func(s store.Sample) bool { return s.Workload == "user-pipe/write" && s.Kernel == "shifted" })].Metrics["insns"] = 1050
	r := b.count()
	if len(r.Rows) != 1 || r.Rows[0].Workload != "file-tcp/sendfile" || len(r.Cells) != 3 {
		t.Errorf("rows %+v, %d cells", r.Rows, len(r.Cells))
	}
	if !near(r.Noise.Percent, 5) || r.Noise.Cells != 2 {
		t.Errorf("noise %+v, want 5 %% of 2 cells", r.Noise)
	}
}

// TestDependences flips one factor at a time, and two at once, which names
// none.
func TestDependences(t *testing.T) {
	type value struct {
		condition, sink string
		patched         int64
	}
	for _, tt := range []struct {
		name   string
		values [2]value
		want   []string
	}{
		{"CPU model", [2]value{{"plain", "read", 970}, {"erms", "read", 1040}}, []string{"the CPU model"}},
		{"boot parameter", [2]value{{"plain", "read", 970}, {"zeroing", "read", 1040}}, []string{"init_on_alloc"}},
		{"sink", [2]value{{"plain", "read", 970}, {"plain", "discard", 1040}}, []string{"the sink"}},
		{"two factors", [2]value{{"plain", "read", 970}, {"other", "read", 1040}}, nil},
		{"sink and CPU model", [2]value{{"plain", "read", 970}, {"erms", "discard", 1040}}, nil},
		{"one sign", [2]value{{"plain", "read", 1020}, {"erms", "read", 1900}}, nil},
		{"one within the noise", [2]value{{"plain", "read", 995}, {"erms", "read", 1040}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed("base", "patched", "shifted")
			for _, v := range tt.values {
				b.add(lock("base", v.condition, v.sink), 1, 1000)
				b.add(lock("shifted", v.condition, v.sink), 1, 1010)
				b.add(lock("patched", v.condition, v.sink), 1, v.patched)
			}
			r := b.count()
			for _, v := range tt.values {
				c := r.Cell(lock("patched", v.condition, v.sink))
				if diff := cmp.Diff(tt.want, c.DependsOn); diff != "" {
					t.Errorf("%v: %s", v, diff)
				}
				if n := note(r, Depends); (n != nil) != (tt.want != nil) || n != nil && !slices.Contains(c.Notes, n.Number) {
					t.Errorf("%v: note %+v, marks %v", v, n, c.Notes)
				}
			}
		})
	}
}

func TestControls(t *testing.T) {
	b := newBed("base", "one", "two", "shifted")
	b.m.Controls = map[string][]string{"*": {"file-tcp/read-send"}, "one": {"file-tcp/sendfile"}}
	for _, method := range []string{"sendfile", "read-send"} {
		for kernel, v := range map[string]int64{"base": 1000, "one": 1000, "two": 1100, "shifted": 1001} {
			k := lock(kernel, "plain", "read")
			k.Workload = "file-tcp/" + method
			b.add(k, 1, v)
		}
	}
	r := b.count()
	want := []Row{
		{Workload: "file-tcp/sendfile", Sink: "read", Chunk: 64 << 10},
		{Workload: "file-tcp/read-send", Sink: "read", Chunk: 64 << 10, Control: true},
	}
	if diff := cmp.Diff(want, r.Rows); diff != "" {
		t.Errorf("rows, controls last: %s", diff)
	}
	n := note(r, ControlMoved)
	if n == nil {
		t.Fatal("a control that moved has no note")
	}
	if diff := cmp.Diff([]string{"file-tcp/read-send sink=read, plain, two: 64 KiB +10.0%"}, n.Details); diff != "" {
		t.Error(diff)
	}
	if c := r.Cell(lock("one", "plain", "read")); !c.Control || slices.Contains(c.Notes, n.Number) {
		t.Errorf("sendfile on one: %+v", c)
	}
	if c := r.Cell(lock("two", "plain", "read")); c.Control {
		t.Errorf("sendfile on two is no control: %+v", c)
	}
}

func TestStreamHasNoMedian(t *testing.T) {
	b := newBed("base", "patched", "shifted")
	for _, kernel := range []string{"base", "patched", "shifted"} {
		k := lock(kernel, "plain", "read")
		k.Schedule = "stream"
		b.add(k, 1, 760, 893, 761)
		b.add(k, 2, 762, 890, 759)
	}
	k := lock("patched", "plain", "read")
	k.Schedule = "stream"
	c := b.count().Cell(k)
	want := Cell{Key: k, Unit: UnitPerByte, Value: Spread{Min: 0.759, Max: 0.893}, Boots: 2, Samples: 6, Modes: []Mode{
		{Spread{Median: 0.7605, Min: 0.759, Max: 0.762}, 4}, {Spread{Median: 0.8915, Min: 0.890, Max: 0.893}, 2},
	}, Notes: c.Notes}
	if diff := cmp.Diff(want, *c, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Error(diff)
	}
}

func TestModes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []float64
		want   []int // samples of each
	}{
		{"one value", []float64{1}, []int{1}},
		{"all equal", []float64{1, 1, 1, 1}, []int{4}},
		{"a single outlier is no group", []float64{1, 1.001, 1.002, 2}, []int{4}},
		{"two groups", []float64{0.760, 0.761, 0.890, 0.891, 0.893}, []int{2, 3}},
		{"a gap below the resolution", []float64{1, 1, 1.01, 1.01}, []int{4}},
		{"spread out", []float64{1, 1.1, 1.2, 1.3, 1.4, 1.5}, []int{6}},
	} {
		var got []int
		for _, m := range modes(tt.values) {
			got = append(got, m.Samples)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

// TestUserCopies takes the figures of facts.md, section 7: read+send has three
// user copies, sendfile one.
func TestUserCopies(t *testing.T) {
	b := newBed("base")
	for method, v := range map[string][2]int64{"sendfile": {659, 1530}, "read-send": {821, 3443}} {
		for i, condition := range []string{"plain", "erms"} {
			k := lock("base", condition, "read")
			k.Workload = "file-tcp/" + method
			b.add(k, 1, v[i])
		}
	}
	got := map[string]float64{}
	for _, u := range b.count().UserCopies {
		if u.Condition != "plain" || u.ERMS != "erms" {
			t.Errorf("out of %s and %s", u.Condition, u.ERMS)
		}
		got[u.Workload] = u.Copies
	}
	want := map[string]float64{"file-tcp/sendfile": 0.995, "file-tcp/read-send": 2.997}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 0.001)); diff != "" {
		t.Error(diff)
	}
}

func TestAddsERMS(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"q,+a", "q,+a,+erms", true},
		{"q,+a", "q,+erms,+a", true},
		{"q,+a,+erms", "q,+a", false},
		{"q,+a", "q,+a", false},
		{"q", "q,+a,+erms", false},
		{"q,+erms", "q,+erms,+erms", false},
	} {
		if got := addsERMS(tt.a, tt.b); got != tt.want {
			t.Errorf("%s, %s: %v", tt.a, tt.b, got)
		}
	}
}

func TestBrokenDeterminism(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(again *store.Boot)
		want   string
	}{
		{"equal", func(*store.Boot) {}, ""},
		{"uuid", func(b *store.Boot) { b.UUID = "other" }, "different random uuids"},
		{"digits", func(b *store.Boot) { b.Digest = "other" }, "different result streams"},
		{"both", func(b *store.Boot) { b.UUID, b.Digest = "o", "o" }, "random uuids and result streams"},
		{"another seed", func(b *store.Boot) { b.Seed, b.UUID, b.Digest = 9, "o", "o" }, ""},
		{"another kernel", func(b *store.Boot) { b.Kernel, b.Digest = "k", "o" }, ""},
		{"lost", func(b *store.Boot) { b.Outcome, b.Digest = "panic", "" }, ""},
		{"an earlier run", func(b *store.Boot) { b.Earlier = "other" }, "than an earlier boot"},
		{"the same as earlier", func(b *store.Boot) { b.Earlier = b.Digest }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed("base")
			k := lock("base", "plain", "read")
			b.add(k, 1, 100)
			again := b.m.Boots[0]
			again.Name, again.Repeat = "again", 1
			tt.change(&again)
			b.m.Boots = append(b.m.Boots, again)
			r := b.count()
			n := note(r, Broken)
			if (n != nil) != (tt.want != "") || n != nil && !strings.Contains(n.Details[0], tt.want) {
				t.Errorf("note %+v, want %q", n, tt.want)
			}
			if n != nil && (!r.Wrong() || !slices.Contains(r.Cell(k).Notes, n.Number)) {
				t.Errorf("wrong %v, cell's notes %v", r.Wrong(), r.Cell(k).Notes)
			}
		})
	}
}

func TestIdleAndTaints(t *testing.T) {
	b := newBed("base", "patched", "shifted")
	for _, kernel := range []string{"base", "patched", "shifted"} {
		b.add(lock(kernel, "plain", "read"), 1, 100000, 100000)
	}
	b.samples[0].Metrics["idle"] = 100 // 0.0999 %
	b.samples[2].Metrics["idle"] = 101 // 0.1009 %
	b.m.Boots[0].Taints = []string{"WARNING: one", "WARNING: two"}
	r := b.count()
	idle, taint := note(r, Idle), note(r, Taint)
	if idle == nil || taint == nil {
		t.Fatalf("notes %+v", r.Notes)
	}
	if diff := cmp.Diff([]int{taint.Number}, r.Cell(lock("base", "plain", "read")).Notes); diff != "" {
		t.Errorf("base: %s", diff)
	}
	if diff := cmp.Diff([]int{idle.Number}, r.Cell(lock("patched", "plain", "read")).Notes); diff != "" {
		t.Errorf("patched: %s", diff)
	}
	if !strings.Contains(taint.Details[0], "WARNING: one (and 1 more)") {
		t.Errorf("taint %q", taint.Details)
	}
	if r.Wrong() {
		t.Error("footnotes alone don't make a run wrong")
	}
}

// twoBoots is a run whose kernels have one cell, measured with two seeds.
func twoBoots(values map[string][2]int64) *Result {
	b := newBed(slices.Sorted(mapKeys(values))...)
	for kernel, v := range values {
		b.add(lock(kernel, "plain", "read"), 1, v[0])
		b.add(lock(kernel, "plain", "read"), 2, v[1])
	}
	return b.count()
}

func TestOverlap(t *testing.T) {
	r := twoBoots(map[string][2]int64{"base": {1000, 1100}, "over": {1090, 1300}, "apart": {1200, 1300}, "shifted": {1000, 1101}})
	if got := r.Noise; !near(got.BootSpread, 100*210/1195.) || got.BootSpreadAt != lock("over", "plain", "read") {
		t.Errorf("spread over boots: %v %% at %v", got.BootSpread, got.BootSpreadAt)
	}
	n := note(r, Overlap)
	if n == nil {
		t.Fatal("no note")
	}
	for kernel, overlap := range map[string]bool{"over": true, "apart": false} {
		if got := r.Cell(lock(kernel, "plain", "read")).Notes; slices.Contains(got, n.Number) != overlap {
			t.Errorf("%s has the notes %v, overlap is %d", kernel, got, n.Number)
		}
	}
}

// TestSpreads: a value whose boots lie further apart than the control's from
// base's resolves no more than that.
func TestSpreads(t *testing.T) {
	r := twoBoots(map[string][2]int64{"base": {1000, 1000}, "steady": {1500, 1505}, "moody": {1500, 1520}, "shifted": {1010, 1010}})
	n := note(r, Spreads)
	if n == nil {
		t.Fatal("no note")
	}
	if diff := cmp.Diff([]int{n.Number}, r.Cell(lock("moody", "plain", "read")).Notes); diff != "" {
		t.Error(diff)
	}
	if got := r.Cell(lock("steady", "plain", "read")).Notes; len(got) > 0 {
		t.Errorf("within the noise line: %v", got)
	}
	if len(n.Details) != 1 || !strings.Contains(n.Details[0], "moody") || !strings.Contains(n.Details[0], "1.32%") {
		t.Errorf("details %q", n.Details)
	}
}

// TestHeadlineChunk: 64 KiB where it was measured, else the largest.
func TestHeadlineChunk(t *testing.T) {
	for _, tt := range []struct {
		chunks []int64
		want   int64
	}{
		{[]int64{4 << 10, 64 << 10, 1 << 20}, 64 << 10},
		{[]int64{1 << 20, 4 << 10}, 1 << 20},
		{nil, 0},
	} {
		b := newBed("base")
		for _, chunk := range tt.chunks {
			k := lock("base", "plain", "read")
			k.Chunk = chunk
			b.add(k, 1, 100)
		}
		if got := b.count().HeadlineChunk; got != tt.want {
			t.Errorf("%v: %d, want %d", tt.chunks, got, tt.want)
		}
	}
}

func TestWords(t *testing.T) {
	for _, tt := range []struct {
		change float64
		want   string
	}{{9.25, "+9.2%"}, {-2.6, "-2.6%"}, {0.1, "+0.1%"}, {0.094, "+0.09%"}, {0.096, "+0.1%"}, {-0.06, "-0.06%"}, {0, "0.00%"}, {-0.004, "0.00%"}, {109.31, "+109.3%"}} {
		if got := Percent(tt.change); got != tt.want {
			t.Errorf("Percent(%v) = %s, want %s", tt.change, got, tt.want)
		}
	}
	for _, tt := range []struct {
		bytes int64
		want  string
	}{{4096, "4 KiB"}, {65536, "64 KiB"}, {1 << 20, "1 MiB"}, {1 << 30, "1 GiB"}, {1500, "1500 B"}, {1<<20 + 1024, "1025 KiB"}, {0, "0 B"}} {
		if got := Size(tt.bytes); got != tt.want {
			t.Errorf("Size(%d) = %s, want %s", tt.bytes, got, tt.want)
		}
	}
}

// A chunk that a family doesn't take is neither a figure nor a failure, and it
// is said, once a family; louder when nothing is left of it.
func TestChunksLeftOut(t *testing.T) {
	b := newBed("base")
	b.add(lock("base", "plain", "read"), 1, 500)
	leave := func(family string, chunk int64) {
		k := Key{Workload: family + "/sendfile", Schedule: "lockstep", Sink: "read", Chunk: chunk, Condition: "plain", Kernel: "base"}
		b.add(k, 1, 0)
		b.samples[len(b.samples)-1].Outcome = "left out: too long"
	}
	for _, chunk := range []int64{1 << 20, 64 << 10, 64 << 10} {
		leave("file-udp", chunk)
	}
	leave("file-tcp", 1<<20)
	r := b.count()
	n := note(r, LeftOut)
	want := []string{
		"file-tcp: 1 MiB: too long",
		"file-udp: 64 KiB, 1 MiB: too long; these are all, so NOTHING OF IT IS MEASURED: configure smaller chunks",
	}
	if n == nil || !cmp.Equal(n.Details, want) || r.Wrong() || len(r.Cells) != 1 {
		t.Errorf("%d cells, wrong %v, note %+v", len(r.Cells), r.Wrong(), n)
	}
	b.m.Workloads = []string{"file-tcp/*"}
	if n := note(b.count(), LeftOut); n == nil || len(n.Details) != 1 {
		t.Errorf("hidden workloads show: %+v", n)
	}
}
