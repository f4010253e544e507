package report

import (
	"fmt"
	"slices"
	"strconv"

	"splicelab/results/stats"
	"splicelab/workloads/wire"
)

// sides is the table of what each side costs, under the first condition; CSV
// and JSON have all.
func (d *document) sides(r *stats.Result) {
	if len(r.Conditions) == 0 {
		return
	}
	condition := r.Conditions[0]
	kernels := measuredUnder(r, r.Kernels, condition)
	g, keys := rowGrid(r, kernels, wire.ScheduleLockstep, condition)
	sided := false
	for _, k := range kernels {
		g.column(len(keys), func(i int) (string, []int) {
			key := keys[i]
			key.Kernel = k
			c := r.Cell(key)
			if c == nil || c.Sender+c.Receiver == 0 {
				return "-", nil
			}
			sided = true
			return number(c.Sender) + " + " + number(c.Receiver), nil
		})
	}
	if !sided {
		return
	}
	d.heading("Cost by side, lock-step, " + condition + ": sender + receiver, instructions per byte")
	d.grid(g)
	d.text("What ran in either's calls, softirqs included: on loopback TCP's receive path runs within the sender's, and its acknowledgements within the receiver's.")
}

// calls is the table of system calls, packets and fragments.
func (d *document) calls(r *stats.Result) {
	if !slices.ContainsFunc(r.Accounts, func(a stats.Account) bool { return a.Syscalls > 0 }) {
		return
	}
	rows, kernels := accountShape(r)
	g := newGrid(r, kernels, "path", "sink", "chunk")
	g.groups, g.leftAligned = 1, 2
	for _, row := range rows {
		g.rows = append(g.rows, []string{row.Workload, dash(row.Sink), stats.Size(row.Chunk)})
	}
	for _, k := range kernels {
		g.column(len(rows), func(i int) (string, []int) {
			at := slices.IndexFunc(r.Accounts, func(a stats.Account) bool { return a.Kernel == k && accountRow(&a) == rows[i] })
			if at < 0 || r.Accounts[at].Refused {
				return "-", nil
			}
			a := r.Accounts[at]
			text := trimmed(a.Syscalls)
			if a.Skbs > 0 {
				text += fmt.Sprintf(" (%s in %s)", trimmed(a.Fragments), trimmed(a.Skbs))
			}
			return text, nil
		})
	}
	d.heading("System calls per MiB, both sides (fragments in packets per MiB)")
	d.grid(g)
	d.text("Counted in the accounts' boots. Fragments are those of the packets that a network device, loopback included, hands to the receive path; what passes none, AF_UNIX and pipes, has no figure here.")
}

// trimmed prints a count with one digit behind the point where it isn't whole.
func trimmed(v float64) string {
	if v == float64(int64(v)) {
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}
