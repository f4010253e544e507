package report

import (
	"fmt"
	"slices"
	"strings"

	"splicelab/results/stats"
	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// document is what a report for people says, before it is laid out.
type document struct {
	blocks []block
}

// block is one part of a document; exactly one field beside heading is set,
// or none.
type block struct {
	heading string
	facts   []fact
	grid    *grid
	text    string
	code    []string
	notes   []stats.Note
}

// fact is a name and what stands beside it, in lines.
type fact struct {
	name  string
	lines []string
}

// grid is a table. The first labels columns name the row and stay when a wide
// table is split; they are aligned left up to leftAligned, all others right.
type grid struct {
	header []string
	rows   [][]string
	labels int
	// groups are the label columns in which a repeated name may be left blank.
	groups      int
	leftAligned int
}

func (d *document) heading(s string)        { d.blocks = append(d.blocks, block{heading: s}) }
func (d *document) text(s string)           { d.blocks = append(d.blocks, block{text: s}) }
func (d *document) facts(list []fact)       { d.blocks = append(d.blocks, block{facts: list}) }
func (d *document) grid(g *grid)            { d.blocks = append(d.blocks, block{grid: g}) }
func (d *document) code(lines []string)     { d.blocks = append(d.blocks, block{code: lines}) }
func (d *document) notes(list []stats.Note) { d.blocks = append(d.blocks, block{notes: list}) }

// notTime is the fixed line on what the figures are not.
const notTime = "What these figures are not: instructions under emulation are not time. Caches, memory bandwidth, TLBs and" +
	" the pipeline are invisible here: a copy that misses the cache costs the same as one that hits. Traffic stays on" +
	" one emulated CPU (loopback, AF_UNIX, veth, dummy): no NIC, no DMA, no IOMMU, no NUMA. Only wall-clock runs on hardware can tell how fast a kernel is."

// newDocument is the whole report.
func newDocument(m store.Manifest, r *stats.Result) *document {
	d := &document{}
	d.heading(title(r))
	d.warnings(m, r)
	d.facts(slices.Concat(
		[]fact{{"Run", []string{m.Name + ", " + m.Started.UTC().Format("2006-01-02 15:04 UTC")}}},
		kernelFacts(m), hostFacts(m, r), []fact{{"Repeat with", []string{m.Command}}}))
	d.proof(r.Proof, false)
	d.accounts(r)
	d.heading("Summary")
	d.summary(r, r.Kernels)
	d.noise(r)
	d.programNoise(r)
	d.sensitivity(r)
	d.crossovers(r)
	d.setup(m)
	d.programs(m, r)
	for _, condition := range r.Conditions {
		d.lockstep(r, condition)
	}
	d.latencies(r)
	d.sides(r)
	d.calls(r)
	d.userCopies(r)
	d.streams(r)
	if len(r.Notes) > 0 {
		d.heading("Footnotes")
		d.notes(r.Notes)
	}
	d.text(notTime)
	return d
}

func title(r *stats.Result) string {
	against := slices.DeleteFunc(slices.Clone(r.Kernels), func(k string) bool { return k == r.Baseline })
	if len(r.Rows) == 0 && len(r.Latencies) > 0 {
		return "splicelab: what a request waits for, in instructions"
	}
	what := "instructions per byte: " + r.Baseline
	if len(copyRows(r)) == 0 && len(r.Rows) > 0 {
		what = "instructions of programs: " + r.Baseline
	}
	if len(against) > 0 {
		what += " against " + strings.Join(against, ", ")
	}
	return "splicelab: " + what
}

// warnings are what must be known before any figure is read.
func (d *document) warnings(m store.Manifest, r *stats.Result) {
	for _, p := range profiles(m) {
		if p != usualProfile {
			d.text(fmt.Sprintf("NOTE: the kernels are of profile %s: no figure here compares with one of another profile.", p))
		}
	}
	for _, n := range slices.Compact(slices.Concat(pins(m), m.Notes)) {
		d.text("NOTE: " + oneLine(n))
	}
	for _, n := range r.Notes {
		switch n.Kind {
		case stats.Broken, stats.Undeclared, stats.Contradicts, stats.Lost, stats.FailedOnes, stats.Disagree, stats.Unfinished, stats.NoControl:
			d.text(fmt.Sprintf("NOTE: %s [%d]", n.Text, n.Number))
		}
	}
}

// usualProfile is the one that a report needn't name above its figures.
const usualProfile = "minimal"

// profiles are those of the kernels, each once.
func profiles(m store.Manifest) []string {
	var names []string
	for _, k := range m.Kernels {
		names = appendNew(names, k.Spec.Profile)
	}
	return names
}

// pins are the sources that aren't those which were asked for, unless the
// manifest's own notes say so already.
func pins(m store.Manifest) []string {
	var out []string
	for _, k := range m.Kernels {
		if missed := k.Source.PinMissed; missed != "" && !slices.Contains(m.Notes, missed) && !slices.Contains(out, missed) {
			out = append(out, missed)
		}
	}
	return out
}

// summary is the table that answers the question: the headline chunk, the
// first condition, the kernels that are named.
func (d *document) summary(r *stats.Result, kernels []string) {
	if len(r.Rows) == 0 && len(r.Latencies) > 0 {
		d.text("Only ping-pongs were measured: see below.")
		return
	}
	if len(r.Rows) == 0 || len(r.Conditions) == 0 {
		d.text("No samples: nothing was measured yet, or the workloads that are shown were not.")
		return
	}
	if len(copyRows(r)) > 0 {
		d.copySummary(r, kernels)
	}
	d.programSummary(r, kernels)
}

// copyRows are the rows of copy paths.
func copyRows(r *stats.Result) []stats.Row {
	return slices.DeleteFunc(slices.Clone(r.Rows), func(row stats.Row) bool { return row.Metric != "" })
}

// copySummary is the copy paths' part of the summary.
func (d *document) copySummary(r *stats.Result, kernels []string) {
	condition := r.Conditions[0]
	g := newGrid(r, kernels, "path")
	var keys []stats.Key
	for _, row := range copyRows(r) {
		if row.Chunk != r.HeadlineChunk || row.Sink != "" && row.Sink != r.HeadlineSink {
			continue
		}
		key := stats.Key{Workload: row.Workload, Schedule: wire.ScheduleLockstep, Sink: row.Sink, Chunk: row.Chunk, Condition: condition}
		g.rows = append(g.rows, []string{pathLabel(row)})
		keys = append(keys, key)
	}
	g.fill(r, kernels, keys)
	d.text(fmt.Sprintf("CPU instructions per byte delivered, and the change against %s: %s chunks, sink=%s, %s, lock-step.",
		r.Baseline, stats.Size(r.HeadlineChunk), r.HeadlineSink, condition))
	d.grid(g)
	d.legend(r, kernels, keys)
}

// legend explains the marks that a table of these cells uses.
func (d *document) legend(r *stats.Result, kernels []string, keys []stats.Key) {
	var within, unsure, control, missing bool
	used := map[int]bool{}
	for _, key := range keys {
		for _, k := range kernels {
			key.Kernel = k
			c := r.Cell(key)
			if c == nil {
				missing = true
				continue
			}
			_, known := r.Limit(key)
			within = within || c.Change != nil && known && !c.Called
			unsure = unsure || c.Change != nil && !known
			control = control || isControlRow(r, key)
			for _, n := range c.Notes {
				used[n] = true
			}
		}
	}
	var parts []string
	if within {
		parts = append(parts, "~ within the noise line")
	}
	if unsure {
		parts = append(parts, "? no control was measured, so it may be noise")
	}
	if missing {
		parts = append(parts, "- not measured")
	}
	if control {
		parts = append(parts, "(c) control: no patch touches this path")
	}
	for _, n := range r.Notes {
		if used[n.Number] {
			parts = append(parts, fmt.Sprintf("[%d] %s", n.Number, n.Text))
		}
	}
	if len(parts) > 0 {
		d.text(strings.Join(parts, "; ") + ".")
	}
}

func isControlRow(r *stats.Result, key stats.Key) bool {
	return slices.ContainsFunc(r.Rows, func(row stats.Row) bool { return row.Workload == key.Workload && row.Control })
}

// noise is the line below which no change is called one.
func (d *document) noise(r *stats.Result) {
	n := r.Noise
	if !n.Known {
		return
	}
	text := fmt.Sprintf("Noise line: %.2f%%, the largest change of the control %s (%s with nothing but its layout changed) in %d lock-step cells (%s). No smaller change is called one.",
		n.Percent, r.Control, r.Baseline, n.Cells, place(n.At))
	text += noiseParts("By chunk", n.ByChunk, func(p stats.NoisePart) string { return "at " + stats.Size(p.Chunk) })
	text += noiseParts("By family", n.ByFamily, func(p stats.NoisePart) string { return "in " + p.Family })
	if n.BootSpread > 0 {
		text += fmt.Sprintf(" Over the boots of one cell, values spread by %.2f%% at most (%s, %s).", n.BootSpread, place(n.BootSpreadAt), n.BootSpreadAt.Kernel)
	} else if r.Seeds == 1 {
		text += " With one seed nothing tells how far a kernel's own boots lie apart: more seeds show it."
	}
	d.text(text)
}

// noiseParts lists the line's parts where there are several.
func noiseParts(title string, parts []stats.NoisePart, of func(stats.NoisePart) string) string {
	if len(parts) < 2 {
		return ""
	}
	var list []string
	for _, p := range parts {
		list = append(list, fmt.Sprintf("%.2f%% %s", p.Percent, of(p)))
	}
	return " " + title + ": " + strings.Join(list, ", ") + "."
}

// place names a cell but for its kernel.
func place(k stats.Key) string {
	at := k.Workload + " " + k.What()
	if k.Sink != "" {
		at += " sink=" + k.Sink
	}
	return at + ", " + k.Condition
}

// sensitivity shows the headline chunk under every condition and sink, for
// the paths that a patch touches.
func (d *document) sensitivity(r *stats.Result) {
	g := newGrid(r, r.Kernels, "path", "sink", "condition")
	g.groups, g.labels, g.leftAligned = 2, 4, 3
	var keys []stats.Key
	for _, row := range copyRows(r) {
		if row.Chunk != r.HeadlineChunk || row.Control {
			continue
		}
		for _, condition := range r.Conditions {
			key := stats.Key{Workload: row.Workload, Schedule: wire.ScheduleLockstep, Sink: row.Sink, Chunk: row.Chunk, Condition: condition}
			if !anyMeasured(r, r.Kernels, key) {
				continue
			}
			keys = append(keys, key)
			g.rows = append(g.rows, []string{row.Workload, dash(row.Sink), shortCondition(r, condition)})
		}
	}
	if len(r.Conditions) < 2 || len(keys) == 0 {
		return
	}
	g.fill(r, r.Kernels, keys)
	d.heading(fmt.Sprintf("Does the answer depend on the machine? %s, every condition and sink", stats.Size(r.HeadlineChunk)))
	d.grid(g)
	d.legend(r, r.Kernels, keys)
}

// shortCondition leaves out what a condition's name shares with the first's:
// "+erms" for "qemu64+erms" below "qemu64".
func shortCondition(r *stats.Result, name string) string {
	short := strings.TrimSpace(strings.TrimPrefix(name, r.Conditions[0]))
	if short == "" {
		return name
	}
	return short
}

// lockstep is one condition's table.
func (d *document) lockstep(r *stats.Result, condition string) {
	kernels := measuredUnder(r, r.Kernels, condition)
	g, keys := rowGrid(r, kernels, wire.ScheduleLockstep, condition)
	if len(keys) == 0 {
		return
	}
	d.heading(fmt.Sprintf("Lock-step, %s: instructions per byte, change against %s", condition, r.Baseline))
	g.fill(r, kernels, keys)
	d.grid(g)
}

// streams are the tables of the free-running schedule.
func (d *document) streams(r *stats.Result) {
	before := len(d.blocks)
	for _, condition := range r.Conditions {
		d.stream(r, condition)
	}
	if len(d.blocks) > before {
		d.text("Ranges over seeds and repetitions: a free-running pair has no single value. (5+4): the values form two groups, 5 low and 4 high.")
	}
}

// stream is one condition's table of ranges.
func (d *document) stream(r *stats.Result, condition string) {
	kernels := measuredUnder(r, r.Kernels, condition)
	g, keys := rowGrid(r, kernels, wire.ScheduleStream, condition)
	if len(keys) == 0 {
		return
	}
	g.labels = 3
	cells := func(k string) func(int) (string, []int) {
		return func(i int) (string, []int) {
			key := keys[i]
			key.Kernel = k
			return rangeText(r.Cell(key))
		}
	}
	for _, k := range kernels {
		g.column(len(keys), cells(k))
	}
	d.heading(fmt.Sprintf("Stream (sender and receiver run free), %s: range of instructions per byte", condition))
	d.grid(g)
}

// rowGrid starts a table with one row for each cell of a schedule and
// condition.
func rowGrid(r *stats.Result, kernels []string, schedule, condition string) (*grid, []stats.Key) {
	g := newGrid(r, kernels, "path", "sink", "chunk")
	g.groups, g.labels, g.leftAligned = 2, 4, 2
	var keys []stats.Key
	for _, row := range copyRows(r) {
		key := stats.Key{Workload: row.Workload, Schedule: schedule, Sink: row.Sink, Chunk: row.Chunk, Condition: condition}
		if anyMeasured(r, kernels, key) {
			keys = append(keys, key)
			g.rows = append(g.rows, []string{pathLabel(row), dash(row.Sink), stats.Size(row.Chunk)})
		}
	}
	return g, keys
}

// anyMeasured says whether one of the kernels has the cell.
func anyMeasured(r *stats.Result, kernels []string, key stats.Key) bool {
	return slices.ContainsFunc(kernels, func(k string) bool {
		key := key
		key.Kernel = k
		return r.Cell(key) != nil
	})
}

// userCopies is the table that ERMS gives.
func (d *document) userCopies(r *stats.Result) {
	values := map[stats.Key]float64{}
	erms := map[string]string{}
	for _, u := range r.UserCopies {
		values[u.Key] = u.Copies
		erms[u.Condition] = u.ERMS
	}
	for _, condition := range r.Conditions {
		if erms[condition] == "" || len(copyRows(r)) == 0 {
			continue
		}
		kernels := measuredUnder(r, measuredUnder(r, r.Kernels, condition), erms[condition])
		g := newGrid(r, kernels, "path", "sink")
		g.groups, g.labels, g.leftAligned = 1, 2, 2
		var keys []stats.Key
		for _, row := range copyRows(r) {
			if row.Chunk == r.HeadlineChunk {
				keys = append(keys, stats.Key{Workload: row.Workload, Schedule: wire.ScheduleLockstep, Sink: row.Sink, Chunk: row.Chunk, Condition: condition})
				g.rows = append(g.rows, []string{pathLabel(row), dash(row.Sink)})
			}
		}
		for _, k := range kernels {
			g.column(len(keys), func(i int) (string, []int) {
				key := keys[i]
				key.Kernel = k
				if copies, ok := values[key]; ok {
					return number(copies), nil
				}
				return "-", nil
			})
		}
		d.heading(fmt.Sprintf("Copies from or to user memory per byte, %s, out of %s and %s", stats.Size(r.HeadlineChunk), condition, erms[condition]))
		d.grid(g)
		d.text("(insn/byte with ERMS - without) / 0.875: rep movsb counts 1 instruction a byte, rep movsq 1/8; copies within the kernel don't change and are not counted here.")
	}
}

// measuredUnder keeps the kernels that a condition was measured on.
func measuredUnder(r *stats.Result, kernels []string, condition string) []string {
	has := map[string]bool{}
	for _, c := range r.Cells {
		if c.Condition == condition {
			has[c.Kernel] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(kernels), func(k string) bool { return !has[k] })
}

func pathLabel(row stats.Row) string {
	if row.Control {
		return row.Workload + " (c)"
	}
	return row.Workload
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
