package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"splicelab/results/stats"
)

// newGrid starts a table with label columns and one column for each kernel.
func newGrid(r *stats.Result, kernels []string, labels ...string) *grid {
	g := &grid{header: slices.Concat(labels, kernels), labels: len(labels) + 1, leftAligned: len(labels)}
	if !slices.Contains(kernels, r.Baseline) {
		g.labels = len(labels) // no baseline to stay beside them
	}
	return g
}

// fill adds a column of values and changes for each kernel.
func (g *grid) fill(r *stats.Result, kernels []string, keys []stats.Key) {
	for _, k := range kernels {
		width := 0
		for _, key := range keys {
			key.Kernel = k
			if c := r.Cell(key); c != nil && c.Change != nil {
				width = max(width, len(changeText(r, c)))
			}
		}
		g.column(len(keys), func(i int) (string, []int) {
			key := keys[i]
			key.Kernel = k
			return valueText(r, r.Cell(key), width)
		})
	}
}

// column adds a cell to each of n rows, with the notes' numbers behind it in a
// space as wide as the widest, so that the figures stay below each other.
func (g *grid) column(n int, cell func(int) (string, []int)) {
	texts, marks := make([]string, n), make([]string, n)
	width := 0
	for i := range n {
		var notes []int
		texts[i], notes = cell(i)
		marks[i] = markText(notes)
		width = max(width, len(marks[i]))
	}
	for i := range n {
		g.rows[i] = append(g.rows[i], texts[i]+fmt.Sprintf("%-*s", width, marks[i]))
	}
}

// valueText is a lock-step cell: its value, and its change in a space of the
// given width.
func valueText(r *stats.Result, c *stats.Cell, width int) (string, []int) {
	if c == nil {
		return "-", nil
	}
	value := cellNumber(c)
	if width == 0 {
		return value, c.Notes
	}
	return fmt.Sprintf("%s %*s", value, width, changeText(r, c)), c.Notes
}

// changeText is ~ within the noise line, and carries a question mark where
// there is none.
func changeText(r *stats.Result, c *stats.Cell) string {
	_, known := r.Limit(c.Key)
	switch {
	case c.Change == nil:
		return ""
	case !known:
		return stats.Percent(*c.Change) + "?"
	case !c.Called:
		return "~"
	}
	return stats.Percent(*c.Change)
}

// rangeText is a stream cell: its range, and how many values each of its
// groups has when there are two.
func rangeText(c *stats.Cell) (string, []int) {
	if c == nil {
		return "-", nil
	}
	text := number(c.Value.Min)
	if high := number(c.Value.Max); high != text {
		text += "-" + high
	}
	if len(c.Modes) > 1 {
		var sizes []string
		for _, m := range c.Modes {
			sizes = append(sizes, strconv.Itoa(m.Samples))
		}
		text += " (" + strings.Join(sizes, "+") + ")"
	}
	return text, c.Notes
}

// number prints instructions per byte. The resolution is 0.1 % (design.md), so
// three digits behind the point serve down to 0.5.
func number(v float64) string {
	if text := strconv.FormatFloat(v, 'f', 3, 64); text != "-0.000" {
		return text
	}
	return "0.000"
}

func markText(notes []int) string {
	if len(notes) == 0 {
		return ""
	}
	var numbers []string
	for _, n := range notes {
		numbers = append(numbers, strconv.Itoa(n))
	}
	return "[" + strings.Join(numbers, ",") + "]"
}

// fold breaks text between words into lines of at most width characters.
func fold(text string, width int) []string { return foldWords(strings.Fields(text), width) }

// foldList does it behind commas and semicolons alone, so that what belongs
// together stays on one line.
func foldList(text string, width int) []string {
	var parts []string
	for part := range strings.SplitAfterSeq(strings.ReplaceAll(text, "; ", ";\n"), ", ") {
		for item := range strings.Lines(part) {
			parts = append(parts, strings.TrimSpace(item))
		}
	}
	return foldWords(parts, width)
}

func foldWords(words []string, width int) []string {
	var lines []string
	line := ""
	for _, word := range words {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// oneLine is the first line of a text.
func oneLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
