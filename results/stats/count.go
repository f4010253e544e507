package stats

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// idleLimit is the part of a region's clock that may be idle without a
// footnote (facts.md, section 7, trap 1).
const idleLimit = 0.001

// The summary's chunk, where it was measured, and sink.
const (
	headlineChunk = 64 << 10
	headlineSink  = wire.SinkRead
)

// group is the samples of one cell.
type group struct {
	boots map[string][]float64 // insn per byte of each repetition
	// sender and receiver are their parts.
	sender, receiver map[string][]float64
	// idle is the largest idle part of a sample, idlers how many are beyond
	// the limit.
	idle    float64
	idlers  int
	samples int
}

// counter sorts samples into cells and keeps what the notes need.
type counter struct {
	m          store.Manifest
	boots      map[string]store.Boot
	conditions map[string]store.Condition
	kernels    []string // the manifest's order
	groups     map[Key]*group
	failed     map[Key]map[string]int // samples that don't count, by outcome
	pending    pendingNotes
	controls   controlSet
	shown      map[string]bool
	accounts   []store.Sample
	waits      map[Key][]store.Sample
	leftOut    []store.Sample // of chunks that a family doesn't take
}

func newCounter(m store.Manifest) *counter {
	c := &counter{
		m:          m,
		boots:      make(map[string]store.Boot, len(m.Boots)),
		conditions: make(map[string]store.Condition, len(m.Conditions)),
		groups:     make(map[Key]*group),
		failed:     make(map[Key]map[string]int),
		controls:   controlSet{m.Controls, map[[2]string]bool{}},
		shown:      make(map[string]bool),
		waits:      make(map[Key][]store.Sample),
	}
	for _, b := range m.Boots {
		c.boots[b.Name] = b
	}
	for _, cond := range m.Conditions {
		c.conditions[cond.Name] = cond
	}
	for _, k := range m.Kernels {
		c.kernels = append(c.kernels, k.Spec.Name)
	}
	return c
}

// add takes one sample. Samples of lost boots don't count; those of a trial's
// repeats would count it twice.
func (c *counter) add(s store.Sample) {
	boot, ok := c.boots[s.Boot]
	if !ok || boot.Outcome != store.OK || boot.Repeat > 0 {
		return
	}
	if strings.HasPrefix(s.Outcome, wire.LeftOut) {
		c.leftOut = append(c.leftOut, s)
		return
	}
	if boot.Mode == store.ModeAccount {
		c.accounts = append(c.accounts, s)
		return
	}
	switch s.Schedule {
	case wire.SchedulePingPong:
		c.addLatency(s)
		return
	case wire.ScheduleProgram:
		c.addProgram(s)
		return
	}
	if s.Schedule != wire.ScheduleLockstep && s.Schedule != wire.ScheduleStream {
		return // a probe's, not a figure of this report
	}
	key := Key{Workload: s.Workload, Schedule: s.Schedule, Sink: s.Sink, Chunk: s.Chunk, Condition: s.CPUModel, Kernel: s.Kernel}
	insns := s.Metrics[wire.MetricInsns]
	switch {
	case refused(c.m, s):
		return // as declared
	case s.Outcome != store.OK:
		c.fail(key, s.Outcome)
		return
	case insns <= 0 || s.Bytes <= 0:
		c.fail(key, "it has no instructions or no bytes")
		return
	}
	c.addValue(key, s, float64(insns)/float64(s.Bytes))
	g := c.groups[key]
	g.sender[s.Boot] = append(g.sender[s.Boot], float64(s.Metrics[wire.MetricSenderInsns])/float64(s.Bytes))
	g.receiver[s.Boot] = append(g.receiver[s.Boot], float64(s.Metrics[wire.MetricReceiverInsns])/float64(s.Bytes))
}

// fail counts a sample that doesn't count.
func (c *counter) fail(key Key, outcome string) {
	if c.failed[key] == nil {
		c.failed[key] = make(map[string]int)
	}
	c.failed[key][outcome]++
}

// cells computes every cell's spread, in the order of the tables.
func (c *counter) cells() []Cell {
	out := make([]Cell, 0, len(c.groups))
	for key, g := range c.groups {
		cell := Cell{Key: key, Unit: cmp.Or(key.Metric, UnitPerByte), Boots: len(g.boots), Samples: g.samples}
		cell.Control = key.Kernel != c.m.Baseline && key.Kernel != c.m.Control && c.controls.has(key.Kernel, key.Workload)
		if key.Schedule == wire.ScheduleStream {
			cell.Value, cell.Modes = overSamples(g)
		} else {
			cell.Value = overBoots(g.boots)
			cell.Sender, cell.Receiver = overSides(g.sender), overSides(g.receiver)
		}
		out = append(out, cell)
	}
	slices.SortFunc(out, c.compare)
	return out
}

// overBoots is the spread of the boots' medians.
func overBoots(boots map[string][]float64) Spread {
	values := make([]float64, 0, len(boots))
	for _, reps := range boots {
		values = append(values, median(reps))
	}
	return spread(values)
}

// overSides is the median of one side's, where the sides are known.
func overSides(boots map[string][]float64) float64 {
	if len(boots) == 0 {
		return 0
	}
	return overBoots(boots).Median
}

// overSamples is the range of all values and the modes they fall into.
func overSamples(g *group) (Spread, []Mode) {
	values := make([]float64, 0, g.samples)
	for _, reps := range g.boots {
		values = append(values, reps...)
	}
	slices.Sort(values)
	return Spread{Min: values[0], Max: values[len(values)-1]}, modes(values)
}

// compare orders cells: condition, schedule, workload, sink, chunk, kernel.
func (c *counter) compare(a, b Cell) int {
	return cmp.Or(
		cmp.Compare(c.conditionRank(a.Condition), c.conditionRank(b.Condition)),
		cmp.Compare(a.Condition, b.Condition),
		cmp.Compare(a.Schedule, b.Schedule), // lockstep before stream
		c.compareRows(a.Key, b.Key),
		cmp.Compare(c.kernelRank(a.Kernel), c.kernelRank(b.Kernel)),
		cmp.Compare(a.Kernel, b.Kernel),
	)
}

// compareRows orders rows: family, controls of all kernels last, method, sink,
// chunk, the lab's own metric before a program's.
func (c *counter) compareRows(a, b Key) int {
	return cmp.Or(
		cmp.Compare(store.Family(a.Workload), store.Family(b.Workload)),
		cmp.Compare(rank(c.rowControl(a.Workload)), rank(c.rowControl(b.Workload))),
		cmp.Compare(a.Workload, b.Workload),
		cmp.Compare(rank(a.Sink == wire.SinkDiscard), rank(b.Sink == wire.SinkDiscard)),
		cmp.Compare(a.Sink, b.Sink),
		cmp.Compare(a.Chunk, b.Chunk),
		cmp.Compare(rank(a.Metric != MetricPerOp && a.Metric != MetricPerRun), rank(b.Metric != MetricPerOp && b.Metric != MetricPerRun)),
		cmp.Compare(a.Metric, b.Metric),
	)
}

func rank(last bool) int {
	if last {
		return 1
	}
	return 0
}

func (c *counter) conditionRank(name string) int {
	at := slices.IndexFunc(c.m.Conditions, func(have store.Condition) bool { return have.Name == name })
	if at < 0 {
		return len(c.m.Conditions)
	}
	return at
}

func (c *counter) kernelRank(name string) int {
	if name == c.m.Baseline {
		return -1
	}
	if at := slices.Index(c.kernels, name); at >= 0 {
		return at
	}
	return len(c.kernels)
}

// rowControl says whether a workload is a control for every kernel that is
// compared.
func (c *counter) rowControl(workload string) bool {
	compared := false
	for _, k := range c.kernels {
		if k == c.m.Baseline || k == c.m.Control {
			continue
		}
		if !c.controls.has(k, workload) {
			return false
		}
		compared = true
	}
	return compared
}

// controlSet answers Manifest.Controls.
type controlSet struct {
	globs map[string][]string
	known map[[2]string]bool
}

func (s controlSet) has(kernel, workload string) bool {
	at := [2]string{kernel, workload}
	if v, ok := s.known[at]; ok {
		return v
	}
	v := matchAny(s.globs[kernel], workload) || matchAny(s.globs["*"], workload)
	s.known[at] = v
	return v
}

// matchAny says whether one of the globs names the workload. A malformed one
// names none; the configuration refuses it.
func matchAny(globs []string, workload string) bool {
	for _, glob := range globs {
		if ok, err := path.Match(glob, workload); err == nil && ok {
			return true
		}
	}
	return false
}

// seeds counts the distinct seeds of the plan.
func seeds(m store.Manifest) int {
	seen := map[uint64]bool{}
	for _, b := range m.Boots {
		seen[b.Seed] = true
	}
	return len(seen)
}

// show keeps the cells of the workloads that the manifest shows, and lists the
// rows and columns. It comes after the noise line, which is taken over all.
func (r *Result) show(c *counter) {
	r.Cells = slices.DeleteFunc(r.Cells, func(cell Cell) bool { return !c.isShown(cell.Workload) })
	r.reindex()
	rows, kernels, conditions := map[Row]bool{}, map[string]bool{}, map[string]bool{}
	for _, cell := range r.Cells {
		row := Row{cell.Workload, cell.Sink, cell.Chunk, cell.Metric, c.rowControl(cell.Workload)}
		if !rows[row] {
			rows[row] = true
			r.Rows = append(r.Rows, row)
		}
		if !kernels[cell.Kernel] && cell.Kernel != r.Control {
			kernels[cell.Kernel] = true
			r.Kernels = append(r.Kernels, cell.Kernel)
		}
		if !conditions[cell.Condition] {
			conditions[cell.Condition] = true
			r.Conditions = append(r.Conditions, cell.Condition)
		}
	}
	slices.SortFunc(r.Rows, func(a, b Row) int {
		return c.compareRows(Key{Workload: a.Workload, Sink: a.Sink, Chunk: a.Chunk, Metric: a.Metric}, Key{Workload: b.Workload, Sink: b.Sink, Chunk: b.Chunk, Metric: b.Metric})
	})
	slices.SortFunc(r.Kernels, func(a, b string) int {
		return cmp.Or(cmp.Compare(c.kernelRank(a), c.kernelRank(b)), cmp.Compare(a, b))
	})
	for _, row := range r.Rows {
		if row.Chunk == headlineChunk || r.HeadlineChunk != headlineChunk && row.Chunk > r.HeadlineChunk {
			r.HeadlineChunk = row.Chunk
		}
	}
}

func (c *counter) isShown(workload string) bool {
	if len(c.m.Workloads) == 0 {
		return true
	}
	v, ok := c.shown[workload]
	if !ok {
		v = matchAny(c.m.Workloads, workload)
		c.shown[workload] = v
	}
	return v
}
