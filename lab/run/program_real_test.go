//go:build vm

package run

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"splicelab/lab/config"
	"splicelab/lab/exit"
	"splicelab/results/stats"
	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// benchSource is a program that does as its argument says. It counts after 10
// million turns of two instructions in a child that ends, and leaves another
// child behind.
const benchSource = `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void spin(long turns) { __asm__ volatile("1: dec %0; jnz 1b" : "+r"(turns)); }

int main(int argc, char **argv)
{
	if (argc < 2) return 9;
	if (!strcmp(argv[1], "count")) {
		if (!fork()) { spin(10 * 1000 * 1000); _exit(0); }
		wait(NULL);
		if (!fork()) { setsid(); pause(); }
		printf("some text\nBenchmarkSpin-1 %s 2.5 things/op\n", argv[2]);
	} else if (!strcmp(argv[1], "fail")) {
		fprintf(stderr, "first\nno such thing\n");
		return 3;
	} else if (!strcmp(argv[1], "hang")) {
		printf("waiting\n"); fflush(stdout);
		if (!fork()) pause();
		pause();
	} else if (!strcmp(argv[1], "flood")) {
		for (int i = 0; i < 1100; i++) printf("%01023d\n", i);
	} else if (!strcmp(argv[1], "torn")) {
		printf("BenchmarkSpin 10 5\n");
	}
	return 0;
}
`

// programs is a configuration that runs the bench program in several ways.
func programs(t *testing.T, runs map[string][]string) config.Config {
	t.Helper()
	dir := t.TempDir()
	source, prog := filepath.Join(dir, "bench.c"), filepath.Join(dir, "bench")
	if err := os.WriteFile(source, []byte(benchSource), 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, "gcc", "-O1", "-static", "-o", prog, source)
	c := smoke(t)
	c.Kernels, c.Workloads, c.Reps, c.CellDeadline = c.Kernels[:1], []string{"own/*"}, 2, 2
	for name, args := range runs {
		c.Programs = append(c.Programs, config.Program{Name: name, Command: append([]string{"bench"}, args...), Files: []string{prog}})
	}
	return c
}

// A program's own figures and what it cost, its ended children included, are the
// same to the last digit in every boot.
func TestRealProgram(t *testing.T) {
	c := programs(t, map[string][]string{"spin": {"count", "1000"}})
	c.RepeatTrials = 1
	var out strings.Builder
	if err := Run(t.Context(), Request{Config: c, Known: Known(), Command: "lab run", Out: &out, Err: io.Discard}); err != nil {
		t.Fatal(err)
	}
	_, samples, err := store.Load(c.Out)
	if err != nil {
		t.Fatal(err)
	}
	if len(samples) != 4 { // two boots of two repetitions
		t.Fatalf("%d samples, want 4", len(samples))
	}
	for _, s := range samples {
		// A fork, an exec and an exit are beside it, and no tick more than two.
		if n := s.Metrics["insns"]; n < 20_000_000 || n > 22_000_000 {
			t.Errorf("%d instructions, want a little more than 20 million", n)
		}
	}
	for _, want := range []string{"own/spin", "insns/op", "things/op", "2.5000"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
	if diff := cmp.Diff(samples[0].Metrics, samples[2].Metrics); diff != "" {
		t.Errorf("two boots differ (-first +second):\n%s", diff)
	}
}

// What goes wrong with a program fails its samples, with its last words; the
// boot and the others' samples are good.
func TestRealProgramFails(t *testing.T) {
	c := programs(t, map[string][]string{"fail": {"fail"}, "flood": {"flood"}, "hang": {"hang"}, "torn": {"torn"}})
	err := Run(t.Context(), Request{Config: c, Known: Known(), Command: "lab run", Out: io.Discard, Err: io.Discard})
	if exit.StatusOf(err) != exit.Wrong || !strings.Contains(err.Error(), "8 samples failed") {
		t.Errorf("got %v, want 8 failed samples", err)
	}
	m, samples, err := store.Load(c.Out)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range m.Boots {
		if b.Outcome != store.OK {
			t.Errorf("boot %s: %s: %s", b.Name, b.Outcome, b.Detail)
		}
	}
	got := map[string]string{}
	for _, s := range samples {
		got[s.Workload] = s.Outcome
	}
	want := map[string]string{
		"own/fail":  "exit status 3; its last words: first | no such thing",
		"own/flood": "it printed 1126400 bytes, 1048576 are possible",
		"own/hang":  "no end within 2s of guest time; its last words: waiting",
		"own/torn":  "benchmark lines: line 1: missing units",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// stress-ng, which isn't ours: the shipped configuration with few operations.
// It gives the same digits twice, and tells vmsplice that copies from one that
// doesn't.
func TestRealStressNG(t *testing.T) {
	c, err := config.Load(config.Options{File: "configs/stress-ng.yaml", Known: Known()})
	if err != nil {
		t.Fatal(err)
	}
	c, _, err = c.Choose("--kernel", []string{"vmsplice-wrapper"})
	if err != nil {
		t.Fatal(err)
	}
	c = c.WithoutControl()
	c.Conditions, c.RepeatTrials, c.SampleCache, c.Out = c.Conditions[:1], 10, false, filepath.Join(t.TempDir(), "run")
	for _, p := range c.Programs {
		p.Command[len(p.Command)-1] = "100"
	}
	var plan strings.Builder
	if err := DryRun(&plan, c, Known()); err != nil || !strings.Contains(plan.String(), "20 boots") {
		t.Fatalf("%v, want 20 boots:\n%s", err, plan.String())
	}
	if testing.Short() { // make test-all fetches its packages, and runs it
		return
	}
	if err := Run(t.Context(), Request{Config: c, Known: Known(), Command: "lab run", Out: io.Discard, Err: io.Discard}); err != nil {
		t.Fatal(err)
	}
	m, samples, err := store.Load(c.Out)
	if err != nil {
		t.Fatal(err)
	}
	result := stats.Count(m, samples)
	for _, p := range c.Programs {
		key := stats.Key{Workload: p.Path(), Schedule: wire.ScheduleProgram, Condition: c.Conditions[0].Name, Kernel: "vmsplice-wrapper", Metric: stats.MetricPerOp}
		cell := result.Cell(key)
		if cell == nil || cell.Change == nil {
			t.Errorf("%s: no change: %+v", p.Name, cell)
			continue
		}
		if p.Name == "vm-splice" {
			key.Metric = "calls/s"
			if calls := result.Cell(key); calls == nil || calls.Change == nil || *calls.Change > -50 {
				t.Errorf("vmsplice that copies makes as many calls a second: %+v", calls)
			}
		}
	}
}
