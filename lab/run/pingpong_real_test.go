//go:build vm

package run

import (
	"testing"

	"splicelab/lab/vm"
	"splicelab/workloads/wire"
)

// A request for a chunk waits for two changes of processes beside what the
// chunk costs in lock-step, nearly every time the same, and the CPU never idles.
func TestRealPingPong(t *testing.T) {
	f := shared(t)
	const chunk = 4096
	r := boot(t, f.vm(t, f.build(t, spec(t, "base", nil)), plainCPU, wire.Plan{
		Kind: wire.KindCount, Family: "file-unix", Seed: 1, Reps: 1, CellDeadline: 60, Chunks: []int64{chunk},
		Schedules: []string{wire.ScheduleLockstep, wire.SchedulePingPong},
	}))
	if r.Outcome != vm.OK {
		t.Fatalf("%s: %s\n%s", r.Outcome, r.Detail, r.Tail)
	}
	seen := 0
	for _, s := range r.Stream.Samples {
		if s.Error != "" {
			t.Errorf("%s %s: %s", s.Path, s.Schedule, s.Error)
		}
		if s.Schedule != wire.SchedulePingPong {
			continue
		}
		seen++
		m := s.Metrics
		t.Log(s.Path, m)
		lockstep := int64(chunk * perByte(t, r, s.Path, s.Sink, chunk))
		p50, p99, most := m[wire.MetricWaitP50], m[wire.MetricWaitP99], m[wire.MetricWaitMax]
		if p50 <= lockstep || p99 < p50 || most < p99 || p99 > 2*p50 {
			t.Errorf("%s: waits of %d, %d and %d at most, in lock-step %d", s.Path, p50, p99, most, lockstep)
		}
		if m[wire.MetricIdle]*1000 > m[wire.MetricInsns] {
			t.Errorf("%s: %d idle of %d", s.Path, m[wire.MetricIdle], m[wire.MetricInsns])
		}
	}
	if seen != 4 {
		t.Errorf("%d ping-pongs, want one a method", seen)
	}
}
