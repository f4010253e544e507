package stats

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestLatencies(t *testing.T) {
	b := newBed("base", "shifted", "mine", "same")
	at := func(kernel string) Key {
		k := lock(kernel, "plain", "read")
		k.Schedule = "pingpong"
		return k
	}
	for kernel, p50s := range map[string][]int64{"base": {1000, 1000}, "shifted": {1002, 1002}, "mine": {1080, 1120, 1300}, "same": {999}} {
		for _, p50 := range p50s {
			b.add(at(kernel), 1, 5000)
			b.samples[len(b.samples)-1].Metrics = map[string]int64{"wait_p50": p50, "wait_p99": p50 + 10, "wait_max": 2 * p50}
		}
	}
	b.add(at("mine"), 2, 5000) // without waits
	r := b.count()
	latency := func(kernel string, p50, change float64, samples int, called bool) Latency {
		l := Latency{Key: at(kernel), P50: p50, P99: p50 + 10, Max: 2 * p50, Samples: samples, Called: called}
		if kernel != "base" {
			l.Change = &change
		}
		return l
	}
	want := []Latency{latency("base", 1000, 0, 2, false), latency("shifted", 1002, 0.2, 2, false), latency("mine", 1120, 12, 3, true), latency("same", 999, -0.1, 1, false)}
	if diff := cmp.Diff(want, r.Latencies, cmpopts.EquateApprox(1e-9, 0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !near(r.LatencyNoise, 0.2) || len(r.Cells) != 0 {
		t.Errorf("noise %v, %d cells", r.LatencyNoise, len(r.Cells))
	}
	if note(r, FailedOnes) == nil || note(r, NoControl) != nil {
		t.Errorf("notes: %+v", r.Notes)
	}
	b.m.Workloads = []string{"user-pipe/*"}
	if r := b.count(); len(r.Latencies) != 0 {
		t.Errorf("of a workload that isn't shown: %v", r.Latencies)
	}
}
