package stats

import (
	"cmp"
	"math"
	"slices"

	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// Latency is how long a request for one chunk waits, in instructions: medians
// over all ping-pongs of a cell.
type Latency struct {
	Key
	P50     float64 `json:"p50"`
	P99     float64 `json:"p99"`
	Max     float64 `json:"max"`
	Samples int     `json:"samples"`
	// Change is that of P50 against the baseline, in percent; nil for the
	// baseline itself and where it wasn't measured. Called says that it is larger
	// than the control's largest, LatencyNoise.
	Change *float64 `json:"change_percent,omitempty"`
	Called bool     `json:"called"`
}

// addLatency takes one ping-pong.
func (c *counter) addLatency(s store.Sample) {
	key := Key{Workload: s.Workload, Schedule: s.Schedule, Sink: s.Sink, Chunk: s.Chunk, Condition: s.CPUModel, Kernel: s.Kernel}
	switch {
	case refused(c.m, s):
	case s.Outcome != store.OK:
		c.fail(key, s.Outcome)
	case s.Metrics[wire.MetricWaitP50] <= 0:
		c.fail(key, "it has no waits")
	default:
		c.waits[key] = append(c.waits[key], s)
	}
}

// latencies computes every cell's waits, their changes and the noise of these.
func (r *Result) latencies(c *counter) {
	p50 := map[Key]float64{}
	for key, samples := range c.waits {
		of := func(metric string) float64 {
			var values []float64
			for _, s := range samples {
				values = append(values, float64(s.Metrics[metric]))
			}
			return median(values)
		}
		l := Latency{Key: key, P50: of(wire.MetricWaitP50), P99: of(wire.MetricWaitP99), Max: of(wire.MetricWaitMax), Samples: len(samples)}
		p50[key] = l.P50
		r.Latencies = append(r.Latencies, l)
	}
	for i := range r.Latencies {
		l := &r.Latencies[i]
		base := l.Key
		base.Kernel = r.Baseline
		if p50[base] == 0 || l.Kernel == r.Baseline {
			continue
		}
		change := 100 * (l.P50/p50[base] - 1)
		l.Change = &change
		if l.Kernel == r.Control && r.Control != "" {
			r.LatencyNoise = max(r.LatencyNoise, math.Abs(change))
		}
	}
	for i := range r.Latencies {
		l := &r.Latencies[i]
		l.Called = r.LatencyNoise > 0 && l.Change != nil && math.Abs(*l.Change) > r.LatencyNoise
	}
	r.Latencies = slices.DeleteFunc(r.Latencies, func(l Latency) bool { return !c.isShown(l.Workload) })
	slices.SortFunc(r.Latencies, func(a, b Latency) int {
		return cmp.Or(
			cmp.Compare(c.conditionRank(a.Condition), c.conditionRank(b.Condition)),
			cmp.Compare(a.Condition, b.Condition),
			c.compareRows(a.Key, b.Key),
			cmp.Compare(c.kernelRank(a.Kernel), c.kernelRank(b.Kernel)),
			cmp.Compare(a.Kernel, b.Kernel),
		)
	})
}
