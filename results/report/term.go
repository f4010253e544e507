package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"splicelab/results/stats"
	"splicelab/results/store"
)

// The widths of the plain-text report, in columns: tables may take the whole,
// prose stays shorter to be read, and both survive a mail.
const (
	tableWidth = 120
	proseWidth = 100
	columnGap  = 2
)

// writeTerm writes plain text: no colours, no box drawing.
func writeTerm(w io.Writer, m store.Manifest, r *stats.Result) error {
	return newDocument(m, r).term(w)
}

func (d *document) term(w io.Writer) error {
	var b strings.Builder
	for i, block := range d.blocks {
		if i > 0 {
			b.WriteByte('\n')
		}
		block.term(&b)
	}
	var out strings.Builder
	for line := range strings.Lines(b.String()) {
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (b block) term(w *strings.Builder) {
	switch {
	case b.heading != "":
		lines := fold(b.heading, proseWidth)
		longest := 0
		for _, line := range lines {
			longest = max(longest, utf8.RuneCountInString(line))
		}
		fmt.Fprintln(w, strings.Join(lines, "\n"))
		fmt.Fprintln(w, strings.Repeat("=", longest))
	case b.text != "":
		fmt.Fprintln(w, strings.Join(fold(b.text, proseWidth), "\n"))
	case b.code != nil:
		for _, line := range b.code {
			fmt.Fprintln(w, "  "+line)
		}
	case b.facts != nil:
		termFacts(w, b.facts)
	case b.grid != nil:
		for i, part := range b.grid.split(tableWidth) {
			if i > 0 {
				fmt.Fprintln(w)
			}
			fmt.Fprintln(w, part.term())
		}
	case b.notes != nil:
		for _, n := range b.notes {
			fmt.Fprintln(w, strings.Join(fold(fmt.Sprintf("[%d] %s", n.Number, n.Text), proseWidth), "\n    "))
			for _, detail := range n.Details {
				fmt.Fprintln(w, "      "+strings.Join(foldList(detail, proseWidth), "\n          "))
			}
		}
	}
}

func termFacts(w *strings.Builder, facts []fact) {
	width := 0
	for _, f := range facts {
		width = max(width, len(f.name))
	}
	for _, f := range facts {
		name := f.name + ":"
		for _, line := range f.lines {
			// A line that is too long goes on further in; within the others the
			// blanks stay as they are.
			parts := []string{line}
			if width+3+utf8.RuneCountInString(line) > tableWidth {
				parts = foldList(line, tableWidth-width-7)
			}
			for i, part := range parts {
				fmt.Fprintf(w, "%-*s  %s%s\n", width+1, name, strings.Repeat("    ", min(i, 1)), part)
				name = ""
			}
		}
	}
}

// widths are the columns' widths, each header folded at its dashes to be no
// wider than needed.
func (g *grid) widths() []int {
	out := make([]int, len(g.header))
	for c := range g.header {
		for _, row := range g.rows {
			out[c] = max(out[c], utf8.RuneCountInString(row[c]))
		}
		for _, line := range foldName(g.header[c], out[c]) {
			out[c] = max(out[c], utf8.RuneCountInString(line))
		}
	}
	return out
}

// foldName breaks a kernel's name behind dashes into lines of at most width
// characters, where it has any.
func foldName(name string, width int) []string {
	var lines []string
	line := ""
	for _, part := range strings.SplitAfter(name, "-") {
		if line != "" && utf8.RuneCountInString(line+part) > width {
			lines = append(lines, line)
			line = ""
		}
		line += part
	}
	return append(lines, line)
}

// split makes several tables of one that is too wide, the labels and the
// baseline in each, and about as many columns in one as in the other.
func (g *grid) split(limit int) []*grid {
	widths := g.widths()
	labels := 0
	for c := range g.labels {
		labels += widths[c] + columnGap
	}
	others := len(g.header) - g.labels
	for parts := 1; parts < others; parts++ {
		share := (others + parts - 1) / parts
		fits := true
		for from := g.labels; from < len(g.header); from += share {
			used := labels - columnGap
			for _, w := range widths[from:min(from+share, len(widths))] {
				used += columnGap + w
			}
			fits = fits && used <= limit
		}
		if fits {
			return g.inParts(share)
		}
	}
	return g.inParts(1)
}

// inParts makes tables of share columns beside the labels.
func (g *grid) inParts(share int) []*grid {
	var parts []*grid
	for from := g.labels; from == g.labels || from < len(g.header); from += share {
		parts = append(parts, g.pick(from, min(from+share, len(g.header))))
	}
	return parts
}

// pick is the table of the labels and the columns from one to another.
func (g *grid) pick(from, to int) *grid {
	choose := func(row []string) []string { return slices.Concat(row[:g.labels], row[from:to]) }
	part := &grid{header: choose(g.header), labels: g.labels, groups: g.groups, leftAligned: g.leftAligned}
	for _, row := range g.rows {
		part.rows = append(part.rows, choose(row))
	}
	return part
}

// term lays the table out.
func (g *grid) term() string {
	t := table.NewWriter()
	t.SetStyle(plainStyle())
	widths := g.widths()
	var header table.Row
	var columns []table.ColumnConfig
	for c, name := range g.header {
		header = append(header, strings.Join(foldName(name, widths[c]), "\n"))
		align := text.AlignRight
		if c < g.leftAligned {
			align = text.AlignLeft
		}
		columns = append(columns, table.ColumnConfig{Number: c + 1, Align: align, AlignHeader: align, VAlignHeader: text.VAlignBottom})
	}
	t.SetColumnConfigs(columns)
	t.AppendHeader(header)
	var before []string
	for i, row := range g.rows {
		if g.breakBefore(i) {
			t.AppendRow(table.Row{""})
		}
		t.AppendRow(g.blankRepeats(before, row))
		before = row
	}
	return t.Render()
}

// breakBefore says whether a blank line sets row i apart: where a group of
// several rows begins or ends, and where another family begins.
func (g *grid) breakBefore(i int) bool {
	if i == 0 || g.groups == 0 || g.rows[i-1][0] == g.rows[i][0] {
		return false
	}
	same := func(a, b int) bool { return a >= 0 && b < len(g.rows) && g.rows[a][0] == g.rows[b][0] }
	return same(i-2, i-1) || same(i, i+1) || store.Family(g.rows[i-1][0]) != store.Family(g.rows[i][0])
}

// blankRepeats leaves out the group labels that the row above has already.
func (g *grid) blankRepeats(before, row []string) table.Row {
	var out table.Row
	same := before != nil
	for c, cell := range row {
		same = same && c < g.groups && before[c] == cell
		if same {
			cell = ""
		}
		out = append(out, cell)
	}
	return out
}

// plainStyle is a rule below the header and blanks between columns.
func plainStyle() table.Style {
	s := table.StyleDefault
	s.Box.PaddingLeft, s.Box.PaddingRight = "", strings.Repeat(" ", columnGap)
	s.Box.MiddleHorizontal = "-"
	s.Format = table.FormatOptions{Header: text.FormatDefault, Row: text.FormatDefault}
	s.Options = table.Options{SeparateHeader: true}
	return s
}
