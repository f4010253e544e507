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
		g = &group{boots: map[string][]float64{}, sender: map[string][]float64{}, receiver: map[string][]float64{}}
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

// MetricNoise is the noise line of one metric of one program: a program whose
// processes run free is noisier than one that works alone, and its own figures
// may be far coarser than instructions.
type MetricNoise struct {
	Workload string `json:"workload"`
	Metric   string `json:"metric"`
	// Percent is absolute. It is programResolution at least: a program has a cell
	// a condition, which may agree by chance.
	Percent float64 `json:"percent"`
	Cells   int     `json:"cells"`
}

// programResolution is that of count mode, in percent (design.md).
const programResolution = 0.1

// programNoise finds the control's largest change of each program's metrics, in
// the order of the tables.
func (r *Result) programNoise() {
	at := map[[2]string]int{}
	for _, c := range r.Cells {
		if c.Metric == "" || r.Control == "" || c.Kernel != r.Control || c.Change == nil {
			continue
		}
		key := [2]string{c.Workload, c.Metric}
		i, ok := at[key]
		if !ok {
			i = len(r.ProgramNoise)
			at[key] = i
			r.ProgramNoise = append(r.ProgramNoise, MetricNoise{Workload: c.Workload, Metric: c.Metric, Percent: programResolution})
		}
		n := &r.ProgramNoise[i]
		n.Cells++
		n.Percent = max(n.Percent, math.Abs(*c.Change))
	}
}

// Limit is the noise line that holds for a cell, in percent; known is false
// where no control was measured.
func (r *Result) Limit(k Key) (percent float64, known bool) {
	if k.Metric == "" {
		return r.Noise.Percent, r.Noise.Known
	}
	for _, n := range r.ProgramNoise {
		if n.Workload == k.Workload && n.Metric == k.Metric {
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
