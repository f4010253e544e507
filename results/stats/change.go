package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// changes sets the change against the baseline of every cell that has a single
// value.
func (r *Result) changes() {
	for i := range r.Cells {
		c := &r.Cells[i]
		if c.Schedule == wire.ScheduleStream || c.Kernel == r.Baseline {
			continue
		}
		base := c.Key
		base.Kernel = r.Baseline
		if b := r.Cell(base); b != nil && b.Value.Median != 0 {
			change := 100 * (c.Value.Median/b.Value.Median - 1)
			c.Change = &change
		}
	}
}

// noise finds the control's largest change, and the widest range over boots.
func (r *Result) noise(m store.Manifest) {
	byCondition, byChunk, byFamily := map[string]*NoisePart{}, map[int64]*NoisePart{}, map[string]*NoisePart{}
	for _, c := range r.Cells {
		if c.Schedule == wire.ScheduleLockstep {
			if wide := c.BootSpread(); wide > r.Noise.BootSpread {
				r.Noise.BootSpread, r.Noise.BootSpreadAt = wide, c.Key
			}
		}
		if r.Control == "" || c.Kernel != r.Control || c.Change == nil || c.Metric != "" {
			continue
		}
		size := math.Abs(*c.Change)
		if !r.Noise.Known || size > r.Noise.Percent {
			r.Noise.Percent, r.Noise.At = size, c.Key
		}
		r.Noise.Known = true
		r.Noise.Cells++
		grow(byCondition, c.Condition, NoisePart{Condition: c.Condition}, size)
		grow(byChunk, c.Chunk, NoisePart{Chunk: c.Chunk}, size)
		family := store.Family(c.Workload)
		grow(byFamily, family, NoisePart{Family: family}, size)
	}
	for _, cond := range m.Conditions {
		if p := byCondition[cond.Name]; p != nil {
			r.Noise.ByCondition = append(r.Noise.ByCondition, *p)
		}
	}
	r.Noise.ByChunk, r.Noise.ByFamily = inOrder(byChunk), inOrder(byFamily)
}

// inOrder is the parts by what they are parts of.
func inOrder[K cmp.Ordered](parts map[K]*NoisePart) []NoisePart {
	var out []NoisePart
	for _, at := range slices.Sorted(mapKeys(parts)) {
		out = append(out, *parts[at])
	}
	return out
}

func grow[K comparable](parts map[K]*NoisePart, at K, fresh NoisePart, size float64) {
	if parts[at] == nil {
		parts[at] = &fresh
	}
	parts[at].Percent = max(parts[at].Percent, size)
	parts[at].Cells++
}

// call decides which changes are beyond the noise line.
func (r *Result) call() {
	for i := range r.Cells {
		c := &r.Cells[i]
		limit, known := r.Limit(c.Key)
		c.Called = known && c.Change != nil && math.Abs(*c.Change) > limit
	}
}

// flip is a change whose sign one factor turns round.
type flip struct{ a, b *Cell }

// dependences finds the changes whose sign differs, beyond the noise line,
// between two cells that differ in one factor: the CPU model, a boot parameter,
// the sink.
func (r *Result) dependences(c *counter) {
	type subject struct {
		workload, kernel, metric string
		chunk                    int64
	}
	called := map[subject][]*Cell{}
	var order []subject
	for i := range r.Cells {
		cell := &r.Cells[i]
		if !cell.Called || cell.Kernel == r.Control {
			continue
		}
		s := subject{cell.Workload, cell.Kernel, cell.Metric, cell.Chunk}
		if called[s] == nil {
			order = append(order, s)
		}
		called[s] = append(called[s], cell)
	}
	flips := map[string][]flip{}
	for _, s := range order {
		for i, a := range called[s] {
			for _, b := range called[s][i+1:] {
				if factor := c.factor(a.Key, b.Key); factor != "" && (*a.Change > 0) != (*b.Change > 0) {
					flips[factor] = append(flips[factor], flip{a, b})
				}
			}
		}
	}
	for _, factor := range slices.SortedFunc(mapKeys(flips), compareFactors) {
		c.noteFlips(factor, flips[factor])
	}
}

// The factors that are not boot parameters.
const (
	factorCPU  = "the CPU model"
	factorSink = "the sink"
)

// compareFactors puts the CPU model first and the sink last.
func compareFactors(a, b string) int {
	order := func(f string) int { return slices.Index([]string{factorCPU, f, factorSink}, f) }
	return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(a, b))
}

// factor names the one thing in which two cells differ beside the kernel, or
// is empty when there are several.
func (c *counter) factor(a, b Key) string {
	ca, cb := c.conditions[a.Condition], c.conditions[b.Condition]
	cpu, parameters := ca.CPUModel != cb.CPUModel, differing(ca.Cmdline, cb.Cmdline)
	switch {
	case a.Sink != b.Sink && a.Condition == b.Condition:
		return factorSink
	case a.Sink != b.Sink:
		return ""
	case cpu && len(parameters) == 0:
		return factorCPU
	case !cpu && len(parameters) > 0:
		return strings.Join(parameters, " and ")
	}
	return ""
}

// differing names the boot parameters in which two command lines differ.
func differing(a, b string) []string {
	in, other := strings.Fields(a), strings.Fields(b)
	names := map[string]bool{}
	for _, pair := range [][2][]string{{in, other}, {other, in}} {
		for _, word := range pair[0] {
			if !slices.Contains(pair[1], word) {
				name, _, _ := strings.Cut(word, "=")
				names[name] = true
			}
		}
	}
	return slices.Sorted(mapKeys(names))
}

// noteFlips marks the cells and writes the note.
func (c *counter) noteFlips(factor string, flips []flip) {
	var cells []Key
	var list cases
	for _, f := range flips {
		for _, cell := range []*Cell{f.a, f.b} {
			if !slices.Contains(cell.DependsOn, factor) {
				cell.DependsOn = append(cell.DependsOn, factor)
				cells = append(cells, cell.Key)
			}
		}
		names, where := [2]string{f.a.Condition, f.b.Condition}, sinkSuffix(f.a.Sink)
		if factor == factorSink {
			names, where = [2]string{f.a.Sink, f.b.Sink}, ", "+f.a.Condition
		}
		list.add(fmt.Sprintf("%s%s, %s, %s | %s", f.a.Workload, where, f.a.Kernel, names[0], names[1]),
			fmt.Sprintf("%s %s | %s", f.a.What(), Percent(*f.a.Change), Percent(*f.b.Change)))
	}
	c.pending.add(Note{Kind: Depends, Text: "the sign depends on " + factor, Details: list.lines()}, cells)
}

// overlaps notes changes beyond the noise line although the two kernels'
// boots overlap.
func (r *Result) overlaps(c *counter) {
	var cells []Key
	for i := range r.Cells {
		cell := &r.Cells[i]
		if !cell.Called || cell.Kernel == r.Control {
			continue
		}
		key := cell.Key
		key.Kernel = r.Baseline
		base := r.Cell(key)
		if base.Boots+cell.Boots > 2 && cell.Value.Min <= base.Value.Max && base.Value.Min <= cell.Value.Max {
			cells = append(cells, cell.Key)
		}
	}
	if len(cells) > 0 {
		c.pending.add(Note{Kind: Overlap, Text: "beyond the noise line, but the two kernels' boots overlap"}, cells)
	}
}

// ermsStep is what ERMS adds to a user copy, in instructions a byte: rep movsq
// takes 1/8, rep movsb 1.
const ermsStep = 1 - 1.0/8

// userCopies compares conditions that differ in nothing but ERMS.
func (r *Result) userCopies(m store.Manifest) {
	for _, without := range m.Conditions {
		for _, with := range m.Conditions {
			if without.Cmdline != with.Cmdline || !addsERMS(without.CPUModel, with.CPUModel) {
				continue
			}
			for _, c := range r.Cells {
				key := c.Key
				key.Condition = with.Name
				other := r.Cell(key)
				if c.Condition != without.Name || c.Schedule != wire.ScheduleLockstep || other == nil {
					continue
				}
				copies := (other.Value.Median - c.Value.Median) / ermsStep
				r.UserCopies = append(r.UserCopies, UserCopies{c.Key, with.Name, copies})
			}
		}
	}
}

// addsERMS says whether model b is model a with the ERMS bit.
func addsERMS(a, b string) bool {
	without, with := strings.Split(a, ","), strings.Split(b, ",")
	i := slices.Index(with, "+erms")
	if i < 0 || slices.Contains(without, "+erms") {
		return false
	}
	with = slices.Delete(with, i, i+1)
	slices.Sort(without)
	slices.Sort(with)
	return slices.Equal(without, with)
}

// Percent prints a change as reports do: with its sign and one digit, two below
// 0.1 %.
func Percent(change float64) string {
	switch size := math.Abs(change); {
	case size < 0.005:
		return "0.00%"
	case size < 0.095:
		return fmt.Sprintf("%+.2f%%", change)
	}
	return fmt.Sprintf("%+.1f%%", change)
}

// Size prints a number of bytes as reports do: 4 KiB, 1 MiB.
func Size(bytes int64) string {
	for _, unit := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if bytes >= unit.size && bytes%unit.size == 0 {
			return strconv.FormatInt(bytes/unit.size, 10) + " " + unit.name
		}
	}
	return strconv.FormatInt(bytes, 10) + " B"
}
