package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"splicelab/results/stats"
	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// programSummary is the programs' part of the summary: what the lab itself
// measured of them, under every condition.
func (d *document) programSummary(r *stats.Result, kernels []string) {
	g, keys := programGrid(r, kernels, r.Conditions, func(row stats.Row) bool {
		return row.Metric == stats.MetricPerOp || row.Metric == stats.MetricPerRun
	})
	if len(keys) == 0 {
		return
	}
	g.fill(r, kernels, keys)
	d.text(fmt.Sprintf("Programs: CPU instructions of all tasks from a program's start to its end, for each iteration that it printed or for the whole run, and the change against %s.", r.Baseline))
	d.grid(g)
	d.legend(r, kernels, keys)
}

// programs are their tables with all metrics, and what they are.
func (d *document) programs(m store.Manifest, r *stats.Result) {
	if len(m.Programs) == 0 {
		return
	}
	d.heading("Programs")
	for _, p := range m.Programs {
		d.facts(programFacts(p))
	}
	for _, condition := range r.Conditions {
		kernels := measuredUnder(r, r.Kernels, condition)
		g, keys := programGrid(r, kernels, []string{condition}, func(stats.Row) bool { return true })
		if len(keys) == 0 {
			continue
		}
		g.fill(r, kernels, keys)
		d.heading(fmt.Sprintf("Programs, %s: change against %s", condition, r.Baseline))
		d.grid(g)
	}
	d.text("A program's own times and rates are by the guest's clock, in which an instruction takes 1 ns and waiting counts.")
}

// programFacts tell what was run, and with which files.
func programFacts(p store.Program) []fact {
	var words, files []string
	for _, a := range p.Command {
		words = append(words, ShellWord(a))
	}
	command := slices.Collect(strings.Lines(strings.Join(words, " ")))
	for i := range command {
		command[i] = strings.TrimRight(command[i], "\n")
	}
	for _, f := range p.Files {
		files = appendNew(files, f.From)
	}
	name := store.OwnFamily + "/" + p.Name
	if p.About != "" {
		name += ": " + p.About
	}
	return []fact{
		{"Program", []string{name}},
		{"Command", command},
		{"Files", []string{strings.Join(files, ", ")}},
		{"Initramfs", []string{"sha256 " + p.Initramfs.SHA256}},
	}
}

// programGrid starts a table with one row for each program, metric and
// condition that was measured.
func programGrid(r *stats.Result, kernels, conditions []string, shown func(stats.Row) bool) (*grid, []stats.Key) {
	labels := []string{"program", "metric"}
	if len(conditions) > 1 {
		labels = append(labels, "condition")
	}
	g := newGrid(r, kernels, labels...)
	g.groups = len(labels) - 1
	var keys []stats.Key
	for _, row := range r.Rows {
		if row.Metric == "" || !shown(row) {
			continue
		}
		for _, condition := range conditions {
			key := stats.Key{Workload: row.Workload, Schedule: wire.ScheduleProgram, Condition: condition, Metric: row.Metric}
			if !anyMeasured(r, kernels, key) {
				continue
			}
			cells := []string{pathLabel(row), row.Metric}
			if len(conditions) > 1 {
				cells = append(cells, shortCondition(r, condition))
			}
			keys = append(keys, key)
			g.rows = append(g.rows, cells)
		}
	}
	return g, keys
}

// programNoise is the noise line of each of the programs' metrics.
func (d *document) programNoise(r *stats.Result) {
	var list []string
	for i, n := range r.ProgramNoise {
		text := fmt.Sprintf("%s %.2f%%", n.Metric, n.Percent)
		if i == 0 || r.ProgramNoise[i-1].Workload != n.Workload {
			text = n.Workload + " " + text
		}
		list = append(list, text)
	}
	if len(list) > 0 {
		d.text(fmt.Sprintf("Noise lines of programs: %s: the largest change of the control %s, and 0.1%% at least. No smaller change is called one.", strings.Join(list, ", "), r.Control))
	}
}

// cellNumber prints a cell's value.
func cellNumber(c *stats.Cell) string {
	if c.Metric == "" {
		return number(c.Value.Median)
	}
	return figure(c.Value.Median)
}

// figure prints a value of any size with the digits that a resolution of 0.01 %
// needs.
func figure(v float64) string {
	size := math.Abs(v)
	switch {
	case size >= 1e12 || size < 1e-3 && size > 0:
		return strconv.FormatFloat(v, 'e', 4, 64)
	case size >= 1e4:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case size >= 1:
		return strconv.FormatFloat(v, 'f', 4-int(math.Log10(size)), 64)
	}
	return strconv.FormatFloat(v, 'f', 5, 64)
}
