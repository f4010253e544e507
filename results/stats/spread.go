package stats

import "slices"

// median is the middle of values, or the mean of the two middle ones. It
// leaves values as they are; of none it is 0.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// spread is the median and the extremes of values, which are not none.
func spread(values []float64) Spread {
	return Spread{Median: median(values), Min: slices.Min(values), Max: slices.Max(values)}
}

// A gap is clear when it is half the whole range at least, and more than twice
// the resolution of a free-running cell's values around one mode (2 %).
const (
	gapOfRange = 0.5
	gapOfValue = 0.02
)

// modes splits sorted values at their widest gap, if it is clear and leaves
// two values at least on either side: a single one is no group.
func modes(sorted []float64) []Mode {
	at, gap := 0, 0.0
	for i := 2; i <= len(sorted)-2; i++ {
		if g := sorted[i] - sorted[i-1]; g > gap {
			at, gap = i, g
		}
	}
	whole := sorted[len(sorted)-1] - sorted[0]
	if at == 0 || gap < gapOfRange*whole || gap < gapOfValue*median(sorted) {
		return []Mode{{spread(sorted), len(sorted)}}
	}
	return []Mode{
		{spread(sorted[:at]), at},
		{spread(sorted[at:]), len(sorted) - at},
	}
}
