package stats

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// run adds one run of a program to a bed.
func (b *bed) run(kernel string, insns int64, benchmarks ...wire.Benchmark) *store.Sample {
	k := program(kernel, "")
	b.add(k, 1, insns)
	s := &b.samples[len(b.samples)-1]
	s.Bytes, s.Benchmarks = 0, benchmarks
	return s
}

func program(kernel, metric string) Key {
	return Key{Workload: "own/bench", Schedule: "program", Condition: "plain", Kernel: kernel, Metric: metric}
}

func benchLine(name string, n int64, value float64, unit string) wire.Benchmark {
	return wire.Benchmark{Name: name, N: n, Values: []wire.Value{{Value: value, Unit: unit}}}
}

// What is a program's cell, by what it printed.
func TestProgramMetrics(t *testing.T) {
	for _, tc := range []struct {
		name       string
		benchmarks []wire.Benchmark
		want       map[string]float64
	}{
		{"nothing", nil, map[string]float64{"insns/run": 6000}},
		{"one", []wire.Benchmark{benchLine("A", 30, 5, "x/s")}, map[string]float64{"insns/op": 200, "x/s": 5}},
		{"one, twice", []wire.Benchmark{benchLine("A", 30, 5, "x/s"), benchLine("A", 10, 7, "x/s")}, map[string]float64{"insns/op": 150, "x/s": 6}},
		{"two", []wire.Benchmark{benchLine("A", 30, 5, "x/s"), benchLine("B", 10, 7, "x/s")}, map[string]float64{"insns/run": 6000, "A x/s": 5, "B x/s": 7}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBed("base")
			b.run("base", 6000, tc.benchmarks...)
			got := map[string]float64{}
			for _, c := range b.count().Cells {
				got[c.Metric] = c.Value.Median
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Each metric has a noise line of its own, at least the resolution, and copy
// paths have another.
func TestProgramNoise(t *testing.T) {
	b := newBed("base", "patched", "shifted")
	b.run("base", 1000, benchLine("A", 1, 100, "x/s"))
	b.run("shifted", 1000, benchLine("A", 1, 110, "x/s"))
	b.run("patched", 1005, benchLine("A", 1, 105, "x/s"))
	b.add(lock("base", "plain", "read"), 2, 1000)
	b.add(lock("shifted", "plain", "read"), 2, 1080)
	r := b.count()
	want := []MetricNoise{{"own/bench", "insns/op", 0.1, 1}, {"own/bench", "x/s", 10, 1}}
	if diff := cmp.Diff(want, r.ProgramNoise, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !near(r.Noise.Percent, 8) || r.Noise.Cells != 1 {
		t.Errorf("the copy paths' noise %+v", r.Noise)
	}
	for metric, called := range map[string]bool{"insns/op": true, "x/s": false} {
		if c := r.Cell(program("patched", metric)); c == nil || c.Called != called {
			t.Errorf("%s: %+v, want called %v", metric, c, called)
		}
	}
	if note(r, NoControl) != nil {
		t.Error("a control was measured")
	}
}

// A change against nothing is no change, and a failed run no figure.
func TestProgramWithoutFigures(t *testing.T) {
	b := newBed("base", "patched")
	b.run("base", 1000, benchLine("A", 1, 0, "lost/s"))
	b.run("patched", 1000, benchLine("A", 1, 3, "lost/s"))
	b.run("patched", 1000).Outcome = "exit status 1; its last words: no"
	r := b.count()
	if c := r.Cell(program("patched", "lost/s")); c == nil || c.Change != nil || c.Samples != 1 {
		t.Errorf("got %+v", c)
	}
	n := note(r, FailedOnes)
	if n == nil || !slices.ContainsFunc(n.Details, func(d string) bool {
		return strings.Contains(d, "own/bench") && strings.Contains(d, "patched") && strings.Contains(d, "its last words: no")
	}) {
		t.Errorf("failed runs: %+v", n)
	}
	if n := note(r, NoControl); n == nil {
		t.Error("no control was measured, and nobody says so")
	}
}
