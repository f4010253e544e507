package report

import (
	"fmt"
	"strconv"
	"strings"

	"splicelab/results/stats"
)

// crossovers are the tables of where one way becomes cheaper than another.
func (d *document) crossovers(r *stats.Result) {
	if len(r.Crossovers) == 0 {
		return
	}
	d.heading("Crossovers: at which chunk size does what begin to pay?")
	text := "From small chunks to large ones: cheaper or dearer, then the chunk size at which that turns round," +
		" interpolated between two measured sizes, linear in its logarithm."
	if r.Noise.Known {
		text += fmt.Sprintf(" In brackets: from where to where the two differ by less than the noise line, %.2f%%.", r.Noise.Percent)
	} else {
		text += " Without a control there is no noise line, and nothing is known of their uncertainty."
	}
	d.text(text + " Behind it: the change at the smallest and at the largest chunk.")
	for _, condition := range r.Conditions {
		d.crossoverTable(r, condition, "Each path against reading and writing, on the same kernel, "+condition+".", false)
		d.crossoverTable(r, condition, "Kernel against kernel: the baseline, and those whose series it adds to, "+condition+".", true)
	}
}

func (d *document) crossoverTable(r *stats.Result, condition, text string, byKernel bool) {
	g := &grid{header: []string{"path", "sink", "kernel", "against", "from small chunks to large", "smallest", "largest"}, labels: 7, groups: 2, leftAligned: 5}
	for _, x := range r.Crossovers {
		if x.Condition != condition || (x.Kernel != x.Against.Kernel) != byKernel {
			continue
		}
		_, rival, _ := strings.Cut(x.Against.Workload, "/")
		if byKernel {
			rival = x.Against.Kernel
		}
		g.rows = append(g.rows, []string{
			x.Workload, dash(x.Sink), x.Kernel, rival, crossoverText(r, x),
			stats.Percent(x.Changes[0]), stats.Percent(x.Changes[len(x.Changes)-1]),
		})
	}
	if len(g.rows) > 0 {
		d.text(text)
		d.grid(g)
	}
}

// crossoverText is one line: dearer, 3.2 KiB (3.1-3.4), cheaper.
func crossoverText(r *stats.Result, x stats.Crossover) string {
	var parts []string
	if x.EvenTo > 0 {
		parts = append(parts, "even to "+about(x.EvenTo))
	}
	parts = append(parts, string(x.Starts))
	for _, c := range x.Crossings {
		at := about(c.At)
		if r.Noise.Known {
			at += " (" + between(c.Low, c.High) + ")"
		}
		parts = append(parts, at, string(c.Above))
	}
	if x.EvenFrom > 0 {
		parts = append(parts, "even from "+about(x.EvenFrom))
	}
	if len(parts) == 1 {
		return parts[0] + " throughout"
	}
	return strings.Join(parts, ", ")
}

// about prints a chunk size that was computed to three digits.
func about(bytes float64) string {
	unit := "B"
	for _, larger := range []string{"KiB", "MiB", "GiB"} {
		if bytes < 1024 {
			break
		}
		bytes, unit = bytes/1024, larger
	}
	digits := 2
	for _, step := range []float64{10, 100} {
		if bytes >= step {
			digits--
		}
	}
	return strconv.FormatFloat(bytes, 'f', digits, 64) + " " + unit
}

// between prints a range of such sizes, the unit once where it is one.
func between(low, high float64) string {
	from, to := about(low), about(high)
	number, unit, _ := strings.Cut(from, " ")
	if strings.HasSuffix(to, " "+unit) {
		from = number
	}
	return from + "-" + to
}

// crossoverRows are the crossovers as rows of csvHeader: the chunk is the one at
// which the two change places, and chunk_low to chunk_high where they can't be
// told apart.
func crossoverRows(r *stats.Result) [][]string {
	var rows [][]string
	for _, x := range r.Crossovers {
		row := func(chunk, low, high float64, flag string) {
			values := map[string]string{
				"workload": x.Workload, "schedule": "crossover", "sink": x.Sink, "condition": x.Condition, "kernel": x.Kernel,
				"against": x.Against.Workload + " on " + x.Against.Kernel, "flags": flag,
			}
			for column, v := range map[string]float64{"chunk": chunk, "chunk_low": low, "chunk_high": high} {
				if v > 0 {
					values[column] = strconv.FormatFloat(v, 'f', 0, 64)
				}
			}
			rows = append(rows, csvRow(values))
		}
		if len(x.Crossings) == 0 {
			row(0, 0, 0, string(x.Starts)+" throughout")
		}
		for _, c := range x.Crossings {
			row(c.At, c.Low, c.High, string(c.Above)+" above")
		}
	}
	return rows
}
