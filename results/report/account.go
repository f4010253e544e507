package report

import (
	"fmt"
	"slices"
	"strings"

	"splicelab/results/stats"
	"splicelab/results/store"
)

// accounts is the table of copies, the proof above the figures: what each
// kernel does on each path.
func (d *document) accounts(r *stats.Result) {
	if len(r.Accounts) == 0 {
		return
	}
	rows, kernels := accountShape(r)
	g := newGrid(r, kernels, "path", "sink", "chunk")
	g.groups, g.leftAligned = 1, 2
	for _, row := range rows {
		g.rows = append(g.rows, []string{row.Workload, dash(row.Sink), stats.Size(row.Chunk)})
	}
	for _, k := range kernels {
		column := make([]*stats.Account, len(rows))
		for i := range r.Accounts {
			a := &r.Accounts[i]
			if at := slices.Index(rows, accountRow(a)); a.Kernel == k && at >= 0 {
				column[at] = a
			}
		}
		g.accountColumn(column)
	}
	d.heading("Copies: what each kernel does")
	d.text("Bytes that the CPU copies for each byte delivered, from the source to the receiver, all tasks and softirqs included: counted by probes, in boots of their own.")
	d.grid(g)
	d.text(accountLegend(r))
}

func accountRow(a *stats.Account) stats.Row {
	return stats.Row{Workload: a.Workload, Sink: a.Sink, Chunk: a.Chunk}
}

// accountShape returns the table's rows and columns; the control has none.
func accountShape(r *stats.Result) (rows []stats.Row, kernels []string) {
	for i := range r.Accounts {
		a := &r.Accounts[i]
		if row := accountRow(a); !slices.Contains(rows, row) {
			rows = append(rows, row)
		}
		if a.Kernel != r.Control && !slices.Contains(kernels, a.Kernel) {
			kernels = append(kernels, a.Kernel)
		}
	}
	return rows, kernels
}

// accountColumn adds one kernel's column; each part of a cell stands below the
// same part of the others.
func (g *grid) accountColumn(column []*stats.Account) {
	var model, reference int
	for _, a := range column {
		if a != nil {
			model, reference = max(model, len(modelText(a))), max(reference, len(referenceText(a)))
		}
	}
	g.column(len(column), func(i int) (string, []int) {
		a := column[i]
		switch {
		case a == nil:
			return "-", nil
		case a.Refused:
			return "refused", a.Notes
		case a.Disagree:
			return "disagree", a.Notes
		}
		text := fmt.Sprintf("%.2f%-*s%-*s", a.Copies, model, modelText(a), reference, referenceText(a))
		if a.Contradicts {
			text += " NOT " + declaredText(a)
		}
		return text, a.Notes
	})
}

func modelText(a *stats.Account) string {
	if a.Model == nil || a.Disagree {
		return ""
	}
	return fmt.Sprintf(" (%.2f)", max(0, *a.Model))
}

func referenceText(a *stats.Account) string {
	if a.Referenced > 0 {
		return " ref"
	}
	return ""
}

// declaredText is what the kernel declares, in the form of a cell.
func declaredText(a *stats.Account) string {
	switch d := a.Declared; {
	case d.Refused:
		return "refused"
	case d.ByReference:
		return fmt.Sprintf("%.2f ref", d.PerByte)
	default:
		return fmt.Sprintf("%.2f", d.PerByte)
	}
}

// accountLegend explains what the table uses.
func accountLegend(r *stats.Result) string {
	has := func(is func(stats.Account) bool) bool { return slices.ContainsFunc(r.Accounts, is) }
	var parts []string
	if has(func(a stats.Account) bool { return modelText(&a) != "" }) {
		parts = append(parts, "(n) of these, copies from or to user memory as the two CPU models count them; the probes' own count of user copies is the same within 0.05")
	}
	if has(func(a stats.Account) bool { return a.Referenced > 0 }) {
		parts = append(parts, "ref: skbs hold the source's own pages, elsewhere they don't"+cipherPages(has))
	}
	if has(func(a stats.Account) bool { return a.Headers > 0 }) {
		parts = append(parts, "headers before what is delivered are left out, though not of the instructions")
	}
	if has(func(a stats.Account) bool { return strings.Contains(store.Family(a.Workload), "-cold-") }) {
		parts = append(parts, "where the source is cold, its disk's driver copies once more, into the page cache, and no probe sees it")
	}
	if has(func(a stats.Account) bool { return a.Refused }) {
		parts = append(parts, "refused: the kernel doesn't offer this, as it declares")
	}
	if has(func(a stats.Account) bool { return a.Sink == r.HeadlineSink }) && has(func(a stats.Account) bool { return a.Sink != r.HeadlineSink && a.Sink != "" }) {
		parts = append(parts, "a receiver that discards copies nothing out")
	}
	if has(func(a stats.Account) bool { return a.Contradicts }) {
		parts = append(parts, "NOT: what the kernel declares instead")
	}
	for _, n := range r.Notes {
		if has(func(a stats.Account) bool { return slices.Contains(a.Notes, n.Number) }) {
			parts = append(parts, fmt.Sprintf("[%d] %s", n.Number, n.Text))
		}
	}
	if undeclared := undeclaredKernels(r); len(undeclared) > 0 {
		parts = append(parts, "nothing is declared for, and so nothing held against: "+strings.Join(undeclared, ", "))
	} else if !has(func(a stats.Account) bool { return a.Contradicts }) {
		parts = append(parts, "all of it is what the kernels declare, within 0.5%")
	}
	return strings.Join(parts, "; ") + "."
}

// cipherPages is what the pages are where none of the source's can be: kTLS
// sends what the cipher put out.
func cipherPages(has func(is func(stats.Account) bool) bool) string {
	if has(func(a stats.Account) bool { return store.Family(a.Workload) == "file-ktls" }) {
		return "; with kTLS they are the cipher's output"
	}
	return ""
}

// undeclaredKernels are those of which nothing is declared.
func undeclaredKernels(r *stats.Result) []string {
	var names []string
	for _, a := range r.Accounts {
		if a.Declared == nil && !slices.Contains(names, a.Kernel) {
			names = append(names, a.Kernel)
		}
	}
	return names
}
