package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"splicelab/results/stats"
	"splicelab/results/store"
)

// writeMarkdown writes the document as GitHub's Markdown.
func writeMarkdown(w io.Writer, m store.Manifest, r *stats.Result) error {
	var b strings.Builder
	for i, block := range newDocument(m, r).blocks {
		if i > 0 {
			b.WriteByte('\n')
		}
		block.markdown(&b, i == 0)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (b block) markdown(w *strings.Builder, first bool) {
	switch {
	case b.heading != "" && first:
		fmt.Fprintf(w, "# %s\n", escape(b.heading))
	case b.heading != "":
		fmt.Fprintf(w, "## %s\n", escape(b.heading))
	case b.text != "":
		fmt.Fprintln(w, escape(b.text))
	case b.code != nil:
		fmt.Fprintf(w, "```\n%s\n```\n", strings.Join(b.code, "\n"))
	case b.facts != nil:
		for _, f := range b.facts {
			if len(f.lines) == 1 {
				fmt.Fprintf(w, "- %s: `%s`\n", f.name, f.lines[0])
				continue
			}
			fmt.Fprintf(w, "- %s:\n", f.name)
			for _, line := range f.lines {
				fmt.Fprintf(w, "  - `%s`\n", line)
			}
		}
	case b.grid != nil:
		fmt.Fprintln(w, b.grid.markdown())
	case b.notes != nil:
		for _, n := range b.notes {
			fmt.Fprintf(w, "- [%d] %s\n", n.Number, escape(n.Text))
			for _, detail := range n.Details {
				fmt.Fprintf(w, "  - %s\n", escape(detail))
			}
		}
	}
}

func (g *grid) markdown() string {
	t := table.NewWriter()
	var header table.Row
	var columns []table.ColumnConfig
	for c, name := range g.header {
		header = append(header, name)
		align := text.AlignRight
		if c < g.leftAligned {
			align = text.AlignLeft
		}
		columns = append(columns, table.ColumnConfig{Number: c + 1, Align: align, AlignHeader: align})
	}
	t.SetColumnConfigs(columns)
	t.AppendHeader(header)
	for _, cells := range g.rows {
		var row table.Row
		for _, cell := range cells {
			row = append(row, escape(strings.Join(strings.Fields(cell), " ")))
		}
		t.AppendRow(row)
	}
	return t.RenderMarkdown()
}

// escape keeps a text from being taken for markup: two tildes strike text out,
// stars set it, angle brackets are HTML.
func escape(s string) string {
	return strings.NewReplacer("~", `\~`, "*", `\*`, "<", `\<`, "`", "\\`").Replace(s)
}
