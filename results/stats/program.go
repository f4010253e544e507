package stats

import (
	"fmt"
	"math"
	"slices"

	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// The metrics of a program's cells that the lab measures itself. All others are
// what the program printed: its unit, and before it the benchmark's name where
// it printed several.
const (
	// MetricPerOp is instructions per iteration of the one benchmark that the
	// program printed: all that ran from its start to its end.
	MetricPerOp = "insns/op"
	// MetricPerRun is the same for a run, where it printed none or several.
	MetricPerRun = "insns/run"
)

// programIdleLimit is the part of a program's run that may be idle without a
// footnote. Programs wait for each other, and the machine's idler gets 0.3 % of
// the CPU beside a busy task by its weight (WEIGHT_IDLEPRIO).
const programIdleLimit = 0.01

// addProgram takes one run of a user's own program.
func (c *counter) addProgram(s store.Sample) {
	key := Key{Workload: s.Workload, Schedule: wire.ScheduleProgram, Condition: s.CPUModel, Kernel: s.Kernel}
	insns := float64(s.Metrics[wire.MetricInsns])
	if s.Outcome != store.OK || insns <= 0 {
		outcome := s.Outcome
		if outcome == store.OK {
			outcome = "it has no instructions"
		}
		c.fail(key, outcome)
		return
	}
	operations, alone := operations(s.Benchmarks)
	key.Metric = MetricPerRun
	if alone {
		key.Metric = MetricPerOp
	}
	c.addValue(key, s, insns/operations)
	for _, b := range s.Benchmarks {
		for _, v := range b.Values {
			key.Metric = v.Unit
			if !alone {
				key.Metric = b.Name + " " + v.Unit
			}
			c.addValue(key, s, v.Value)
		}
	}
}

// operations counts the iterations of a program that printed one benchmark, once
// or several times; alone is false, and the count 1, for any other.
func operations(list []wire.Benchmark) (n float64, alone bool) {
	for _, b := range list {
		if b.Name != list[0].Name {
			return 1, false
		}
		n += float64(b.N)
	}
	if len(list) == 0 {
		return 1, false
	}
	return n, true
}

// addValue puts one value of a sample into its cell.
func (c *counter) addValue(key Key, s store.Sample, value float64) {
	g := c.groups[key]
	if g == nil {
		g = &group{boots: make(map[string][]float64)}
		c.groups[key] = g
	}
	g.samples++
	g.boots[s.Boot] = append(g.boots[s.Boot], value)
	limit := idleLimit
	if key.Metric != "" {
		limit = programIdleLimit
	}
	idle := float64(s.Metrics[wire.MetricIdle])
	if part := idle / (idle + float64(s.Metrics[wire.MetricInsns])); part > limit {
		g.idlers++
		g.idle = max(g.idle, part)
	}
}

// MetricNoise is the noise line of one metric of programs: a program's own
// figures may be far coarser than instructions.
type MetricNoise struct {
	Metric  string  `json:"metric"`
	Percent float64 `json:"percent"` // absolute
	At      Key     `json:"at"`
	Cells   int     `json:"cells"`
}

// programNoise finds the control's largest change of each metric, in the order
// of the tables.
func (r *Result) programNoise() {
	at := map[string]int{}
	for _, c := range r.Cells {
		if c.Metric == "" || r.Control == "" || c.Kernel != r.Control || c.Change == nil {
			continue
		}
		i, ok := at[c.Metric]
		if !ok {
			i = len(r.ProgramNoise)
			at[c.Metric] = i
			r.ProgramNoise = append(r.ProgramNoise, MetricNoise{Metric: c.Metric, At: c.Key})
		}
		n := &r.ProgramNoise[i]
		n.Cells++
		if size := math.Abs(*c.Change); size > n.Percent {
			n.Percent, n.At = size, c.Key
		}
	}
}

// Limit is the noise line that holds for a cell, in percent; known is false
// where no control was measured.
func (r *Result) Limit(k Key) (percent float64, known bool) {
	if k.Metric == "" {
		return r.Noise.Percent, r.Noise.Known
	}
	for _, n := range r.ProgramNoise {
		if n.Metric == k.Metric {
			return n.Percent, true
		}
	}
	return 0, false
}

// programsToo is what the idle footnote says of programs, where there are any.
func (r *Result) programsToo() string {
	if !slices.ContainsFunc(r.Cells, func(c Cell) bool { return c.Metric != "" }) {
		return ""
	}
	return fmt.Sprintf(" (a program: %.0f%%)", 100*programIdleLimit)
}
