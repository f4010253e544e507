package report

import (
	"bytes"
	"strings"
	"testing"

	"splicelab/results/stats"
	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// programRun is an invented run of programs alone: see madeup_test.go.
func programRun() (store.Manifest, []store.Sample) {
	m := madeUp{kernels: []string{"base", "vmsplice-wrapper", madeUpControl}, seeds: []uint64{1}, reps: 2}.manifest()
	m.Conditions = m.Conditions[:2]
	m.Programs = []store.Program{
		{
			Name: "pump", About: "pumps", Command: []string{"pump", "--name", "two words", "a\nb"},
			Initramfs: store.File{SHA256: strings.Repeat("5", 64)},
			Files: []store.ProgramFile{
				{File: store.File{Name: "/own/pump", SHA256: strings.Repeat("6", 64)}, From: "build/pump"},
				{File: store.File{Name: "/lib/libc.so.6"}, From: "libc6 2.36"}, {File: store.File{Name: "/lib/libm.so.6"}, From: "libc6 2.36"},
			},
		},
		{Name: "mute", Command: []string{"/own/mute"}},
	}
	var samples []store.Sample
	for i, k := range m.Kernels {
		for j, c := range m.Conditions {
			for _, p := range m.Programs {
				b := store.Boot{Name: k.Spec.Name + p.Name + c.Name, Kernel: k.Spec.Name, Family: "own/" + p.Name, Condition: c.Name, Seed: 1, Outcome: store.OK, Digest: "d", UUID: "u"}
				m.Boots = append(m.Boots, b)
				slow := []float64{1, 1.5 - float64(j), 1.0001}[i]
				for rep := range m.Reps {
					s := store.Sample{Kernel: b.Kernel, Workload: b.Family, Schedule: wire.ScheduleProgram, CPUModel: b.Condition, Mode: "count", Boot: b.Name, Rep: rep, Seed: 1, Outcome: store.OK}
					s.Metrics = map[string]int64{wire.MetricInsns: int64(slow * 8e7), wire.MetricIdle: 50_000}
					if p.Name == "pump" {
						s.Benchmarks = []wire.Benchmark{{Name: "Pump", N: 7000, Values: []wire.Value{{Value: 123456.7 / slow, Unit: "pumps/s"}, {Value: 0.5, Unit: "x"}}}}
					} else if rep == 1 && i == 1 {
						s.Outcome, s.Metrics = "exit status 1; its last words: no", nil
					}
					samples = append(samples, s)
				}
			}
		}
	}
	return m, samples
}

func TestProgramsGolden(t *testing.T) {
	m, samples := programRun()
	r := stats.Count(m, samples)
	for format, file := range map[string]string{"term": "programs.txt", "md": "programs.md", "csv": "programs.csv"} {
		t.Run(file, func(t *testing.T) {
			var buf bytes.Buffer
			if err := Write(&buf, format, m, r); err != nil {
				t.Fatal(err)
			}
			golden(t, file, buf.Bytes())
		})
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.00000", 0.5: "0.50000", 1: "1.0000", 9.99999: "10.0000", 42: "42.000", -42: "-42.000", 9999.96: "10000.0", 123456.7: "123457", 1e13: "1.0000e+13", 2e-6: "2.0000e-06",
	} {
		if got := figure(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}
