package report

import (
	"encoding/csv"
	"io"
	"slices"
	"strconv"
	"strings"

	"splicelab/results/stats"
	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// csvHeader names the columns. Values are in the metric, changes in percent,
// chunks in bytes. copies and by_reference are those of the account, per byte
// delivered, and so are the system calls, packets and fragments, per MiB; sender
// and receiver are the parts of median. A row of the schedule "crossover" is one
// (crossoverRows); one of "pingpong" has waits alone, in instructions.
var csvHeader = []string{
	"workload", "schedule", "sink", "chunk", "condition", "kernel", "boots", "samples",
	"median", "min", "max", "modes", "change_percent", "user_copies", "copies", "by_reference", "flags", "notes",
	"against", "chunk_low", "chunk_high", "metric",
	"sender", "receiver", "syscalls_per_mib", "skbs_per_mib", "fragments_per_mib",
	"wait_p50", "wait_p99", "wait_max",
}

// writeCSV writes one row a cell, the control kernel's among them. A stream
// cell has no median and no change; its modes are median x samples.
func writeCSV(w io.Writer, _ store.Manifest, r *stats.Result) error {
	copies := map[stats.Key]float64{}
	for _, u := range r.UserCopies {
		copies[u.Key] = u.Copies
	}
	out := csv.NewWriter(w)
	if err := out.Write(csvHeader); err != nil {
		return err
	}
	for i := range r.Cells {
		c := &r.Cells[i]
		userCopies := ""
		if v, ok := copies[c.Key]; ok {
			userCopies = exact(v)
		}
		all, referenced, calls := accountOf(r, c)
		sender, receiver := "", ""
		median, change := "", ""
		if c.Schedule != wire.ScheduleStream {
			median = exact(c.Value.Median)
		}
		if c.Schedule == wire.ScheduleLockstep {
			sender, receiver = exact(c.Sender), exact(c.Receiver)
		}
		if c.Change != nil {
			change = exact(*c.Change)
		}
		err := out.Write([]string{
			c.Workload, c.Schedule, c.Sink, strconv.FormatInt(c.Chunk, 10), c.Condition, c.Kernel,
			strconv.Itoa(c.Boots), strconv.Itoa(c.Samples),
			median, exact(c.Value.Min), exact(c.Value.Max), modesText(c.Modes),
			change, userCopies, all, referenced, strings.Join(flags(r, c), ";"), notesText(c.Notes),
			"", "", "", c.Unit,
			sender, receiver, calls[0], calls[1], calls[2],
			"", "", "",
		})
		if err != nil {
			return err
		}
	}
	if err := out.WriteAll(slices.Concat(crossoverRows(r), latencyRows(r))); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// csvRow is a row with values in the columns that are named.
func csvRow(values map[string]string) []string {
	cells := make([]string, len(csvHeader))
	for i, column := range csvHeader {
		cells[i] = values[column]
	}
	return cells
}

// accountOf is the account of a lock-step cell's copies, and of its system
// calls, packets and fragments, where there is one.
func accountOf(r *stats.Result, c *stats.Cell) (copies, referenced string, calls [3]string) {
	for _, a := range r.Accounts {
		if c.Schedule == wire.ScheduleLockstep && a.Workload == c.Workload && a.Sink == c.Sink && a.Chunk == c.Chunk && a.Kernel == c.Kernel && !a.Refused {
			for i, v := range []float64{a.Syscalls, a.Skbs, a.Fragments} {
				if v > 0 {
					calls[i] = exact(v)
				}
			}
			return exact(a.Copies), exact(a.Referenced), calls
		}
	}
	return "", "", calls
}

// exact prints a value to the resolution of one instruction in 1 GiB.
func exact(v float64) string { return strconv.FormatFloat(v, 'f', 9, 64) }

func modesText(modes []stats.Mode) string {
	var out []string
	for _, m := range modes {
		out = append(out, exact(m.Median)+"x"+strconv.Itoa(m.Samples))
	}
	return strings.Join(out, ";")
}

// flags says in words what a table says by marks.
func flags(r *stats.Result, c *stats.Cell) []string {
	var out []string
	switch {
	case c.Kernel == r.Baseline:
		out = append(out, "baseline")
	case c.Kernel == r.Control:
		out = append(out, "control kernel")
	case c.Control:
		out = append(out, "control row")
	}
	if _, known := r.Limit(c.Key); c.Change != nil && known && !c.Called {
		out = append(out, "within noise")
	}
	for _, factor := range c.DependsOn {
		out = append(out, "depends on "+factor)
	}
	return out
}

func notesText(notes []int) string {
	var out []string
	for _, n := range notes {
		out = append(out, strconv.Itoa(n))
	}
	return strings.Join(out, ";")
}
