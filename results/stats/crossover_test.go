package stats

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"splicelab/images/kernel"
	"splicelab/results/store"
)

func TestCrossings(t *testing.T) {
	// A change of 8 % a doubling: between two sizes each percent is 1/8 of it.
	step := func(from float64, percent float64) float64 { return from * math.Exp2(percent/8) }
	for _, tc := range []struct {
		name    string
		changes []float64 // at 1, 2, 4, … KiB
		noise   float64
		want    Crossover
	}{
		{"dearer throughout", []float64{9, 8, 7, 6}, 1, Crossover{Starts: Dearer}},
		{"cheaper throughout", []float64{-9, -8, -9, -8}, 1, Crossover{Starts: Cheaper}},
		{"no difference", []float64{0.5, -0.5, 0.9, 0}, 1, Crossover{Starts: Even}},
		{"one crossing, at a measured size", []float64{16, 8, 0, -8}, 1, Crossover{Starts: Dearer, Crossings: []Crossing{
			{At: 4096, Low: step(2048, 7), High: step(4096, 1), Between: [2]int64{2048, 4096}, Above: Cheaper},
		}}},
		{"one crossing, between two", []float64{6, -2, -10, -18}, 1, Crossover{Starts: Dearer, Crossings: []Crossing{
			{At: step(1024, 6), Low: step(1024, 5), High: step(1024, 7), Between: [2]int64{1024, 2048}, Above: Cheaper},
		}}},
		{"no noise line, no interval", []float64{-4, 4, 4, 4}, 0, Crossover{Starts: Cheaper, Crossings: []Crossing{
			{At: step(1024, 4), Low: step(1024, 4), High: step(1024, 4), Between: [2]int64{1024, 2048}, Above: Dearer},
		}}},
		{"two crossings", []float64{4, -4, -4, 4}, 2, Crossover{Starts: Dearer, Crossings: []Crossing{
			{At: step(1024, 4), Low: step(1024, 2), High: step(1024, 6), Between: [2]int64{1024, 2048}, Above: Cheaper},
			{At: step(4096, 4), Low: step(4096, 2), High: step(4096, 6), Between: [2]int64{4096, 8192}, Above: Dearer},
		}}},
		{"a touch isn't a crossing", []float64{4, 0, -1, 1, 4}, 2, Crossover{Starts: Dearer}},
		{"wobbling within the noise, crossing once", []float64{4, -1, 1, -1, -9}, 2, Crossover{Starts: Dearer, Crossings: []Crossing{
			{At: 2048 * math.Exp2(0.5), Low: 1024 * math.Exp2(2.0/5), High: 8192 * math.Exp2(1.0/8), Between: [2]int64{2048, 4096}, Above: Cheaper},
		}}},
		{"even below", []float64{0, 1, -7, -8}, 1, Crossover{Starts: Cheaper, EvenTo: 2048 * math.Exp2(2.0/8)}},
		{"even above", []float64{9, 8, 0, 0}, 1, Crossover{Starts: Dearer, EvenFrom: step(2048, 7)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Crossover{Changes: tc.changes}
			var chunks []int64
			for i := range tc.changes {
				chunks = append(chunks, 1024<<i)
			}
			got.cross(chunks, tc.noise)
			tc.want.Changes = tc.changes
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateApprox(1e-9, 0)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Who is compared with whom: paths with the plain one, kernels with the baseline
// and with the stacks that they add to; not the control, not what no patch
// touches, not where there are few chunks.
func TestWhatCrossoversCompare(t *testing.T) {
	b := newBed("base", "shifted", "one", "two", "both", "more")
	for i, series := range [][]string{{"s"}, {"one"}, {"two"}, {"one", "two"}, {"one", "two", "three"}} {
		for _, s := range series {
			b.m.Kernels[i+1].Spec.Series = append(b.m.Kernels[i+1].Spec.Series, kernel.Series{Name: s})
		}
	}
	b.m.Controls = map[string][]string{"*": {"*/read-send"}, "two": {"*/*"}}
	for _, k := range b.m.Kernels {
		for _, workload := range []string{"file-tcp/sendfile", "file-tcp/read-send", "user-pipe/write"} {
			for chunk := int64(1024); chunk <= 8192; chunk *= 2 {
				if workload == "user-pipe/write" && chunk > 4096 {
					continue
				}
				key := Key{Workload: workload, Schedule: "lockstep", Sink: "read", Chunk: chunk, Condition: "plain", Kernel: k.Spec.Name}
				b.add(key, 1, 100)
			}
		}
	}
	var got []string
	for _, x := range b.count().Crossovers {
		got = append(got, x.Workload+" on "+x.Kernel+" against "+x.Against.Workload+" on "+x.Against.Kernel)
	}
	want := []string{
		"file-tcp/sendfile on base against file-tcp/read-send on base",
		"file-tcp/sendfile on one against file-tcp/read-send on one",
		"file-tcp/sendfile on both against file-tcp/read-send on both",
		"file-tcp/sendfile on more against file-tcp/read-send on more",
		"file-tcp/sendfile on one against file-tcp/sendfile on base",
		"file-tcp/sendfile on both against file-tcp/sendfile on base",
		"file-tcp/sendfile on both against file-tcp/sendfile on one",
		"file-tcp/sendfile on both against file-tcp/sendfile on two",
		"file-tcp/sendfile on more against file-tcp/sendfile on base",
		"file-tcp/sendfile on more against file-tcp/sendfile on both",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.samples = slices.DeleteFunc(b.samples, func(s store.Sample) bool { return s.Chunk == 2048 })
	if r := b.count(); len(r.Crossovers) > 0 {
		t.Errorf("of three chunk sizes: %v", r.Crossovers)
	}
}
