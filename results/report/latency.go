package report

import (
	"fmt"
	"slices"
	"strconv"

	"splicelab/results/stats"
	"splicelab/workloads/wire"
)

// latencies are the tables of what requests wait for, one for each condition.
func (d *document) latencies(r *stats.Result) {
	var conditions []string
	for _, l := range r.Latencies {
		if !slices.Contains(conditions, l.Condition) {
			conditions = append(conditions, l.Condition)
		}
	}
	for _, condition := range conditions {
		d.heading("Ping-pong, " + condition + ": what a request for one chunk waits for, in thousand instructions")
		d.grid(latencyGrid(r, condition))
	}
	if len(conditions) == 0 {
		return
	}
	text := "p50 / p99 / max over the requests of a cell, between two processes on one CPU: both changes of process are in it. The change is that of p50."
	if r.LatencyNoise > 0 {
		text += fmt.Sprintf(" ~ within %.2f%%, the control's largest.", r.LatencyNoise)
	} else {
		text += " No control was measured, so a change carries a question mark."
	}
	d.text(text)
}

func latencyGrid(r *stats.Result, condition string) *grid {
	var rows []stats.Row
	var kernels []string
	of := map[stats.Key]*stats.Latency{}
	for i := range r.Latencies {
		l := &r.Latencies[i]
		if l.Condition != condition || l.Kernel == r.Control {
			continue
		}
		of[l.Key] = l
		if row := (stats.Row{Workload: l.Workload, Sink: l.Sink, Chunk: l.Chunk}); !slices.Contains(rows, row) {
			rows = append(rows, row)
		}
		if !slices.Contains(kernels, l.Kernel) {
			kernels = append(kernels, l.Kernel)
		}
	}
	g := newGrid(r, kernels, "path", "sink", "chunk")
	g.groups, g.leftAligned = 2, 2
	for _, row := range rows {
		g.rows = append(g.rows, []string{row.Workload, dash(row.Sink), stats.Size(row.Chunk)})
	}
	for _, k := range kernels {
		g.column(len(rows), func(i int) (string, []int) {
			row := rows[i]
			l := of[stats.Key{Workload: row.Workload, Schedule: wire.SchedulePingPong, Sink: row.Sink, Chunk: row.Chunk, Condition: condition, Kernel: k}]
			if l == nil {
				return "-", nil
			}
			return latencyText(r, l), nil
		})
	}
	return g
}

func latencyText(r *stats.Result, l *stats.Latency) string {
	text := thousands(l.P50) + " / " + thousands(l.P99) + " / " + thousands(l.Max)
	switch {
	case l.Change == nil:
		return text
	case r.LatencyNoise == 0:
		return text + " " + stats.Percent(*l.Change) + "?"
	case !l.Called:
		return text + " ~"
	}
	return text + " " + stats.Percent(*l.Change)
}

func thousands(v float64) string { return strconv.FormatFloat(v/1000, 'f', 1, 64) }

// latencyRows are the ping-pongs as rows of csvHeader.
func latencyRows(r *stats.Result) [][]string {
	var rows [][]string
	for _, l := range r.Latencies {
		rows = append(rows, csvRow(map[string]string{
			"workload": l.Workload, "schedule": l.Schedule, "sink": l.Sink, "chunk": strconv.FormatInt(l.Chunk, 10),
			"condition": l.Condition, "kernel": l.Kernel, "samples": strconv.Itoa(l.Samples),
			"wait_p50": insns(l.P50), "wait_p99": insns(l.P99), "wait_max": insns(l.Max),
			"change_percent": optional(l.Change),
		}))
	}
	return rows
}

func insns(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

func optional(v *float64) string {
	if v == nil {
		return ""
	}
	return exact(*v)
}
