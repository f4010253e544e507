package stats

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"splicelab/results/store"
	"splicelab/workloads/wire"
)

func mapKeys[K comparable, V any](m map[K]V) iter.Seq[K] { return maps.Keys(m) }

// pendingNotes are notes without a number yet, with the cells they mark.
type pendingNotes []pendingNote

type pendingNote struct {
	note     Note
	cells    []Key
	accounts []int // indices of Result.Accounts
}

func (p *pendingNotes) add(n Note, cells []Key) {
	*p = append(*p, pendingNote{note: n, cells: cells})
}

// kindOrder is the order of the footnotes: what is wrong with the run first.
var kindOrder = []Kind{Broken, Undeclared, Contradicts, Lost, FailedOnes, Disagree, Unfinished, LeftOut, NoControl, ControlMoved, Depends, Overlap, Spreads, Taint, Idle}

// notes collects the run's notes, numbers them and marks the cells.
func (r *Result) notes(c *counter) {
	c.noteBroken(r)
	c.noteUndeclared(r)
	c.noteLost(r)
	c.noteFailed()
	c.noteLeftOut(r)
	c.noteControl(r)
	c.noteMovedControls(r)
	c.noteSpreads(r)
	c.noteTaints(r)
	c.noteIdle(r)
	slices.SortStableFunc(c.pending, func(a, b pendingNote) int {
		return cmp.Compare(slices.Index(kindOrder, a.note.Kind), slices.Index(kindOrder, b.note.Kind))
	})
	for i, p := range c.pending {
		p.note.Number = i + 1
		r.Notes = append(r.Notes, p.note)
		for _, key := range p.cells {
			if cell := r.Cell(key); cell != nil && !slices.Contains(cell.Notes, i+1) {
				cell.Notes = append(cell.Notes, i+1)
			}
		}
		for _, at := range p.accounts {
			r.Accounts[at].Notes = append(r.Accounts[at].Notes, i+1)
		}
	}
}

// cellsOf are the cells that a boot has a part in.
func (r *Result) cellsOf(b store.Boot) []Key {
	var out []Key
	if b.Mode == store.ModeAccount {
		return nil
	}
	for _, c := range r.Cells {
		if c.Kernel == b.Kernel && c.Condition == b.Condition && store.Family(c.Workload) == b.Family {
			out = append(out, c.Key)
		}
	}
	return out
}

// noteBroken compares the boots of each trial: the same kernel image,
// initramfs, family and seed must give the same random numbers and digits.
func (c *counter) noteBroken(r *Result) {
	type trial struct {
		kernel, family, condition, mode string
		seed                            uint64
	}
	first := map[trial]store.Boot{}
	var details []string
	var cells []Key
	for _, b := range c.m.Boots {
		if b.Outcome != store.OK {
			continue
		}
		if b.Earlier != "" && b.Earlier != b.Digest {
			details = append(details, fmt.Sprintf("boot %s: another result stream than an earlier boot with the same inputs", b.Name))
			cells = append(cells, r.cellsOf(b)...)
		}
		t := trial{b.Kernel, b.Family, b.Condition, b.Mode, b.Seed}
		a, ok := first[t]
		if !ok {
			first[t] = b
			continue
		}
		var what []string
		if a.UUID != b.UUID {
			what = append(what, "random uuids")
		}
		if a.Digest != b.Digest {
			what = append(what, "result streams")
		}
		if len(what) > 0 {
			details = append(details, fmt.Sprintf("boots %s and %s: different %s", a.Name, b.Name, strings.Join(what, " and ")))
			cells = append(cells, r.cellsOf(b)...)
		}
	}
	if len(details) > 0 {
		c.pending.add(Note{Kind: Broken, Text: "DETERMINISM BROKEN: two boots of one trial differ", Details: details}, cells)
	}
}

// noteLost tells of boots that gave nothing, and of those not run yet.
func (c *counter) noteLost(r *Result) {
	var details []string
	var cells []Key
	waiting := 0
	for _, b := range c.m.Boots {
		switch {
		case !b.Done():
			waiting++
		case b.Outcome != store.OK:
			detail := fmt.Sprintf("boot %s: %s", b.Name, b.Outcome)
			if b.Detail != "" {
				detail += ": " + b.Detail
			}
			details = append(details, detail)
			cells = append(cells, r.cellsOf(b)...)
		}
	}
	if len(details) > 0 {
		text := fmt.Sprintf("%s of %d lost: fewer boots in these cells, or none", count(len(details), "boot"), len(c.m.Boots))
		c.pending.add(Note{Kind: Lost, Text: text, Details: details}, cells)
	}
	if waiting > 0 {
		text := fmt.Sprintf("UNFINISHED: %d of %d boots are measured", len(c.m.Boots)-waiting, len(c.m.Boots))
		c.pending.add(Note{Kind: Unfinished, Text: text}, nil)
	}
}

// noteFailed counts the samples that don't count, by cell and outcome.
func (c *counter) noteFailed() {
	n := 0
	var cells []Key
	var details []string
	for key, outcomes := range c.failed {
		for outcome, samples := range outcomes {
			n += samples
			cells = append(cells, key)
			details = append(details, fmt.Sprintf("%s: %s: %s", describe(key), count(samples, "sample"), outcome))
		}
	}
	if n == 0 {
		return
	}
	slices.Sort(details)
	c.pending.add(Note{Kind: FailedOnes, Text: count(n, "sample") + " failed, not counted", Details: details}, cells)
}

// noteLeftOut tells of chunks that a family doesn't take, and of families that
// this leaves without a figure.
func (c *counter) noteLeftOut(r *Result) {
	sizes, why := map[string][]int64{}, map[string]string{} // by family
	for _, s := range c.leftOut {
		if family := store.Family(s.Workload); c.isShown(s.Workload) {
			sizes[family] = append(sizes[family], s.Chunk)
			why[family] = strings.TrimPrefix(s.Outcome, wire.LeftOut)
		}
	}
	var details []string
	for _, family := range slices.Sorted(maps.Keys(sizes)) {
		var names []string
		for _, chunk := range slices.Compact(slices.Sorted(slices.Values(sizes[family]))) {
			names = append(names, Size(chunk))
		}
		detail := fmt.Sprintf("%s: %s: %s", family, strings.Join(names, ", "), why[family])
		if !slices.ContainsFunc(r.Cells, func(cell Cell) bool { return store.Family(cell.Workload) == family }) {
			detail += "; these are all, so NOTHING OF IT IS MEASURED: configure smaller chunks"
		}
		details = append(details, detail)
	}
	if len(details) > 0 {
		c.pending.add(Note{Kind: LeftOut, Text: "chunks left out, which the family doesn't take", Details: details}, nil)
	}
}

// noteControl tells which conditions have no noise of their own.
func (c *counter) noteControl(r *Result) {
	onlyAsked := len(r.Cells) == 0 && len(r.Latencies) > 0 // its noise is LatencyNoise
	if !r.Noise.Known && !onlyAsked && len(r.ProgramNoise) == 0 {
		c.pending.add(Note{Kind: NoControl, Text: "no control was measured: there is no noise line, and no change is called one"}, nil)
		return
	}
	var without []string
	for _, name := range r.Conditions {
		ofProgram := func(c Cell) bool { return c.Metric != "" && c.Kernel == r.Control && c.Condition == name }
		if !slices.ContainsFunc(r.Noise.ByCondition, func(p NoisePart) bool { return p.Condition == name }) && !slices.ContainsFunc(r.Cells, ofProgram) {
			without = append(without, name)
		}
	}
	if len(without) > 0 {
		text := "the control wasn't measured under " + strings.Join(without, ", ") + ": the noise line is that of the others"
		c.pending.add(Note{Kind: NoControl, Text: text}, nil)
	}
}

// noteMovedControls marks cells that no patch touches and that moved all the
// same.
func (c *counter) noteMovedControls(r *Result) {
	var list cases
	var cells []Key
	for _, cell := range r.Cells {
		if cell.Control && cell.Called {
			where := fmt.Sprintf("%s%s, %s, %s", cell.Workload, sinkSuffix(cell.Sink), cell.Condition, cell.Kernel)
			list.add(where, cell.What()+" "+Percent(*cell.Change))
			cells = append(cells, cell.Key)
		}
	}
	if len(cells) > 0 {
		text := "moved, although no patch of this kernel touches its path: trust no change of this size elsewhere"
		c.pending.add(Note{Kind: ControlMoved, Text: text, Details: list.lines()}, cells)
	}
}

// resolution is what count mode promises of a lock-step cell of 64 KiB and up, in
// percent.
const resolution = 0.1

// noteSpreads marks lock-step cells whose boots differ by more than the noise
// line and the resolution. The control has no part in some causes: where skbs hold pages that were
// allocated for them, it matters whether these follow one another in memory.
func (c *counter) noteSpreads(r *Result) {
	var list cases
	var cells []Key
	for _, cell := range r.Cells {
		limit, known := r.Limit(cell.Key)
		if cell.Schedule != wire.ScheduleLockstep || !known || cell.BootSpread() <= max(limit, resolution) {
			continue
		}
		where := fmt.Sprintf("%s%s, %s, %s", cell.Workload, sinkSuffix(cell.Sink), cell.Condition, cell.Kernel)
		list.add(where, fmt.Sprintf("%s by %.2f%%", cell.What(), cell.BootSpread()))
		cells = append(cells, cell.Key)
	}
	if len(cells) > 0 {
		c.pending.add(Note{Kind: Spreads, Text: fmt.Sprintf("its boots differ by more than the noise line and %.1f%%", resolution), Details: list.lines()}, cells)
	}
}

// cases are a note's details, those of one subject on one line.
type cases struct {
	subjects []string
	of       map[string][]string
}

func (c *cases) add(subject, what string) {
	if c.of == nil {
		c.of = make(map[string][]string)
	}
	if c.of[subject] == nil {
		c.subjects = append(c.subjects, subject)
	}
	c.of[subject] = append(c.of[subject], what)
}

func (c *cases) lines() []string {
	var out []string
	for _, s := range c.subjects {
		out = append(out, s+": "+strings.Join(c.of[s], ", "))
	}
	return out
}

// noteTaints tells of unexpected lines in the kernel's log.
func (c *counter) noteTaints(r *Result) {
	var details []string
	var cells []Key
	for _, b := range c.m.Boots {
		if b.Outcome != store.OK || len(b.Taints) == 0 {
			continue
		}
		detail := fmt.Sprintf("boot %s: %s", b.Name, b.Taints[0])
		if more := len(b.Taints) - 1; more > 0 {
			detail += fmt.Sprintf(" (and %d more)", more)
		}
		details = append(details, detail)
		cells = append(cells, r.cellsOf(b)...)
	}
	if len(details) > 0 {
		c.pending.add(Note{Kind: Taint, Text: "a boot logged an unexpected line", Details: details}, cells)
	}
}

// noteIdle tells of cells with idle time: their instructions are CPU time and
// don't hold it, but their tasks waited.
func (c *counter) noteIdle(r *Result) {
	samples, most := 0, 0.0
	var worst Key
	var cells []Key
	for _, cell := range r.Cells {
		g := c.groups[cell.Key]
		if g.idlers == 0 {
			continue
		}
		samples += g.idlers
		cells = append(cells, cell.Key)
		if g.idle > most {
			most, worst = g.idle, cell.Key
		}
	}
	if len(cells) > 0 {
		c.pending.add(Note{
			Kind: Idle,
			Text: fmt.Sprintf("idle for more than %.1f%% of the region%s; idle time is not among the instructions", 100*idleLimit, r.programsToo()),
			Details: []string{fmt.Sprintf("%s in %s, at most %.1f%% (%s)",
				count(samples, "sample"), count(len(cells), "cell"), 100*most, describe(worst))},
		}, cells)
	}
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// describe names a cell in a sentence.
func describe(k Key) string {
	return fmt.Sprintf("%s %s%s, %s, %s, %s", k.Workload, k.What(), sinkSuffix(k.Sink), k.Schedule, k.Condition, k.Kernel)
}

// What is the part of a cell's name behind the workload: a copy path's chunk, a
// program's metric.
func (k Key) What() string {
	switch {
	case k.Metric != "":
		return k.Metric
	case k.Schedule == wire.ScheduleProgram:
		return "runs" // that failed before they had a metric
	}
	return Size(k.Chunk)
}

func sinkSuffix(sink string) string {
	if sink == "" {
		return ""
	}
	return " sink=" + sink
}
