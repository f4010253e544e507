package stats

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// fewestChunks is how many chunk sizes a line through them needs before a point
// between two of them is worth a figure.
const fewestChunks = 4

// plainMethods move the bytes through user memory by read and write alone: what
// a program does that knows nothing of splicing.
var plainMethods = []string{"read-send", "read-write", "write"}

// Way is a copy path on a kernel.
type Way struct {
	Workload string `json:"workload"`
	Kernel   string `json:"kernel"`
}

// Crossover is where a way of moving bytes becomes cheaper or dearer than
// another, over the chunk sizes that both were measured at.
type Crossover struct {
	Way
	Against   Way    `json:"against"`
	Sink      string `json:"sink,omitempty"`
	Condition string `json:"condition"`
	// Smallest and Largest are the chunk sizes that were looked at, in bytes;
	// Changes how much Way costs more than Against there and at those between,
	// in percent, in their order.
	Smallest int64     `json:"smallest"`
	Largest  int64     `json:"largest"`
	Changes  []float64 `json:"changes_percent"`
	// Starts says how the two compare from the smallest chunk on, beyond the
	// noise line: cheaper, dearer, or even where they never differ by it.
	Starts Standing `json:"starts"`
	// EvenTo and EvenFrom bound the sizes at either end within which the two
	// don't differ by the noise line, in bytes; 0 where they do at that end.
	EvenTo    float64    `json:"even_to,omitempty"`
	EvenFrom  float64    `json:"even_from,omitempty"`
	Crossings []Crossing `json:"crossings,omitempty"`
}

// Standing is how one way compares with another.
type Standing string

// The standings.
const (
	Cheaper Standing = "cheaper"
	Dearer  Standing = "dearer"
	Even    Standing = "even"
)

// Crossing is one chunk size at which two ways change places.
type Crossing struct {
	// At is where they cost the same, interpolated between the two measured
	// sizes Between, linear in the logarithm of the size, in bytes. From Low to
	// High the two differ by less than the noise line: where in there they
	// change places can't be said.
	At      float64  `json:"at"`
	Low     float64  `json:"low"`
	High    float64  `json:"high"`
	Between [2]int64 `json:"between"`
	// Above is how they compare at larger chunks.
	Above Standing `json:"above"`
}

// crossovers compares, lock-step: each path with the plain one of its family on
// the same kernel, and each path that a kernel's patches touch with the same
// path on the baseline and on the kernels whose series the kernel adds to.
func (r *Result) crossovers(c *counter) {
	lines := r.lines()
	order := slices.SortedFunc(mapKeys(lines), func(a, b line) int {
		return cmp.Or(
			cmp.Compare(c.conditionRank(a.condition), c.conditionRank(b.condition)),
			cmp.Compare(a.condition, b.condition),
			c.compareRows(Key{Workload: a.Workload, Sink: a.sink}, Key{Workload: b.Workload, Sink: b.sink}),
			cmp.Compare(c.kernelRank(a.Kernel), c.kernelRank(b.Kernel)),
			cmp.Compare(a.Kernel, b.Kernel),
		)
	})
	for _, byKernel := range []bool{false, true} {
		for _, a := range order {
			rivals := plainRivals(a.Way)
			if byKernel {
				rivals = c.kernelRivals(a.Way)
			}
			for _, rival := range rivals {
				other := lines[line{rival, a.sink, a.condition}]
				if c.idle(a.Way, rival) || len(other) == 0 {
					continue
				}
				x := Crossover{Way: a.Way, Against: rival, Sink: a.sink, Condition: a.condition}
				if x.compare(lines[a], other, r.Noise.Percent) {
					r.Crossovers = append(r.Crossovers, x)
				}
			}
		}
	}
}

// line is a way's costs over chunk sizes.
type line struct {
	Way
	sink, condition string
}

// lines returns the lock-step cells' costs by chunk, the control's left out.
func (r *Result) lines() map[line]map[int64]float64 {
	all := map[line]map[int64]float64{}
	for _, c := range r.Cells {
		if c.Schedule != wire.ScheduleLockstep || c.Kernel == r.Control {
			continue
		}
		l := line{Way{c.Workload, c.Kernel}, c.Sink, c.Condition}
		if all[l] == nil {
			all[l] = map[int64]float64{}
		}
		all[l][c.Chunk] = c.Value.Median
	}
	return all
}

// plainRivals are the plain paths of the same family on the same kernel, of a
// path that isn't one.
func plainRivals(w Way) []Way {
	family := store.Family(w.Workload)
	if slices.Contains(plainMethods, strings.TrimPrefix(w.Workload, family+"/")) {
		return nil
	}
	var list []Way
	for _, m := range plainMethods {
		list = append(list, Way{family + "/" + m, w.Kernel})
	}
	return list
}

// kernelRivals are the same path on the baseline and on the largest stacks of
// series that the kernel's own contains.
func (c *counter) kernelRivals(w Way) []Way {
	if w.Kernel == c.m.Baseline {
		return nil
	}
	list := []Way{{w.Workload, c.m.Baseline}}
	var below []string
	for _, k := range c.kernels {
		if k != c.m.Baseline && k != c.m.Control && contains(c.series(w.Kernel), c.series(k)) {
			below = append(below, k)
		}
	}
	for _, k := range below {
		covered := slices.ContainsFunc(below, func(other string) bool { return contains(c.series(other), c.series(k)) })
		if !covered {
			list = append(list, Way{w.Workload, k})
		}
	}
	return list
}

func (c *counter) series(kernel string) []string {
	var names []string
	for _, k := range c.m.Kernels {
		if k.Spec.Name == kernel {
			for _, s := range k.Spec.Series {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// contains says whether a stack has all series of a smaller one that isn't
// empty.
func contains(stack, part []string) bool {
	if len(part) == 0 || len(part) >= len(stack) {
		return false
	}
	return !slices.ContainsFunc(part, func(s string) bool { return !slices.Contains(stack, s) })
}

// idle says that a comparison only repeats one of the baseline's: no patch
// touches either way.
func (c *counter) idle(a, b Way) bool {
	as := func(w Way) bool { return w.Kernel == c.m.Baseline || c.controls.has(w.Kernel, w.Workload) }
	return a.Kernel != c.m.Baseline && as(a) && as(b)
}

// compare fills in how two costs by chunk compare, and reports whether there
// are chunks enough.
func (x *Crossover) compare(a, b map[int64]float64, noise float64) bool {
	var chunks []int64
	for chunk := range a {
		if b[chunk] > 0 {
			chunks = append(chunks, chunk)
		}
	}
	if len(chunks) < fewestChunks {
		return false
	}
	slices.Sort(chunks)
	for _, chunk := range chunks {
		x.Changes = append(x.Changes, 100*(a[chunk]/b[chunk]-1))
	}
	x.Smallest, x.Largest = chunks[0], chunks[len(chunks)-1]
	x.cross(chunks, noise)
	return true
}

// cross walks along the lines between the changes at the sorted chunks. What
// counts is when they leave the band of the noise on the other side than they
// came in.
func (x *Crossover) cross(chunks []int64, noise float64) {
	standing := func(change float64) Standing {
		switch {
		case change > noise:
			return Dearer
		case change < -noise:
			return Cheaper
		}
		return Even
	}
	limit := map[Standing]float64{Dearer: noise, Cheaper: -noise}
	x.Starts = standing(x.Changes[0])
	last, left := x.Starts, 0.0
	var zeros []Crossing
	for i := 1; i < len(chunks); i++ {
		before, after := x.Changes[i-1], x.Changes[i]
		at := func(level float64) float64 {
			part := (level - before) / (after - before)
			return math.Exp2(math.Log2(float64(chunks[i-1]))*(1-part) + math.Log2(float64(chunks[i]))*part)
		}
		from, to := standing(before), standing(after)
		if from != to && from != Even {
			left, zeros = at(limit[from]), nil
		}
		if before != 0 && before*after <= 0 {
			zeros = append(zeros, Crossing{At: at(0), Between: [2]int64{chunks[i-1], chunks[i]}})
		}
		if from == to || to == Even {
			continue
		}
		entered := at(limit[to])
		switch {
		case last == Even:
			x.Starts, x.EvenTo = to, entered
		case last != to:
			crossing := zeros[len(zeros)/2]
			crossing.Low, crossing.High, crossing.Above = left, entered, to
			x.Crossings = append(x.Crossings, crossing)
		}
		last = to
	}
	if last != Even && standing(x.Changes[len(chunks)-1]) == Even {
		x.EvenFrom = left
	}
}
