package images

import (
	"fmt"
	"maps"
	"slices"
)

// Copies is what a kernel declares of a copy path.
type Copies struct {
	// PerByte is how often the CPU copies a byte from the source to the
	// receiver's user memory.
	PerByte float64
	// ByReference: skbs hold the source's own pages.
	ByReference bool
	// Refused: the kernel doesn't offer the path; the system call fails.
	Refused bool
}

// copiesDeclared is patches/expect.yaml's key `copies`.
type copiesDeclared struct {
	Base struct {
		Paths       map[string]float64 `yaml:"paths"`
		ByReference []string           `yaml:"by_reference"`
	} `yaml:"base"`
	Series map[string]copiesChanged `yaml:"series"`
}

// copiesChanged is what one series makes of base.
type copiesChanged struct {
	Adds     map[string]float64 `yaml:"adds"`
	Makes    map[string]float64 `yaml:"makes"`
	Ordinary []string           `yaml:"ordinary"`
	Refuses  []string           `yaml:"refuses"`
}

// ExpectedCopies returns what a kernel with this stack of series declares, by
// copy path, out of patches/expect.yaml. It is nil where a series, such as a
// user's own, isn't declared there: that kernel is described, not judged.
func ExpectedCopies(series []string) (map[string]Copies, error) {
	e, err := declarations()
	if err != nil {
		return nil, err
	}
	return e.Copies.of(series), nil
}

func (d copiesDeclared) of(series []string) map[string]Copies {
	expected := map[string]Copies{}
	for p, n := range d.Base.Paths {
		expected[p] = Copies{PerByte: n, ByReference: slices.Contains(d.Base.ByReference, p)}
	}
	for _, name := range series {
		s, declared := d.Series[name]
		if !declared {
			return nil
		}
		for p, n := range s.Adds {
			change(expected, p, func(c *Copies) { c.PerByte += n })
		}
	}
	// What a series makes of a path doesn't depend on where it stands in the
	// stack.
	for _, name := range series {
		s := d.Series[name]
		for p, n := range s.Makes {
			change(expected, p, func(c *Copies) { c.PerByte = n })
		}
		for _, p := range s.Ordinary {
			change(expected, p, func(c *Copies) { c.ByReference = false })
		}
		for _, p := range s.Refuses {
			change(expected, p, func(c *Copies) { *c = Copies{Refused: true} })
		}
	}
	return expected
}

func change(all map[string]Copies, path string, by func(*Copies)) {
	c := all[path]
	by(&c)
	all[path] = c
}

// check finds what the form alone can't: a path of a series that base has not,
// and numbers that are no count of copies.
func (d copiesDeclared) check() error {
	for _, p := range d.Base.ByReference {
		if _, ok := d.Base.Paths[p]; !ok {
			return fmt.Errorf("copies.base.by_reference: %q is not among copies.base.paths", p)
		}
	}
	if err := checkCounts("copies.base.paths", d.Base.Paths, d.Base.Paths); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(d.Series)) {
		s, key := d.Series[name], "copies.series."+name
		if err := checkCounts(key+".adds", s.Adds, d.Base.Paths); err != nil {
			return err
		}
		if err := checkCounts(key+".makes", s.Makes, d.Base.Paths); err != nil {
			return err
		}
		for _, p := range slices.Concat(s.Ordinary, s.Refuses) {
			if _, ok := d.Base.Paths[p]; !ok {
				return fmt.Errorf("%s: %q is not among copies.base.paths", key, p)
			}
		}
	}
	return nil
}

func checkCounts(key string, counts, base map[string]float64) error {
	for _, p := range slices.Sorted(maps.Keys(counts)) {
		if _, ok := base[p]; !ok {
			return fmt.Errorf("%s: %q is not among copies.base.paths", key, p)
		}
		// Not every path copies, and a fan-out copies a part: 1+1/N.
		if n := counts[p]; !(n >= 0 && n <= 16) {
			return fmt.Errorf("%s: %s: %v is no number of copies: use 0 to 16", key, p, n)
		}
	}
	return nil
}
