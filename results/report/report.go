// Package report prints what was measured. The same stored data give the same
// bytes: no clock, no terminal, no map's order has a part in them.
//
// The terminal's and Markdown's reports are two renderings of one document
// (document.go); CSV and JSON print the values themselves. A new format is one
// file and its line in formats.
package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"splicelab/results/stats"
	"splicelab/results/store"
)

// ErrFormat: a format that is none.
var ErrFormat = errors.New("unknown report format")

// format is one way to print a report.
type format struct {
	name      string
	extension string // of the file in the run's folder
	write     func(io.Writer, store.Manifest, *stats.Result) error
}

// formats lists them all; the first is the default.
func formats() []format {
	return []format{
		{"term", "txt", writeTerm},
		{"md", "md", writeMarkdown},
		{"csv", "csv", writeCSV},
		{"json", "json", writeJSON},
	}
}

// Formats are the names that Write takes.
func Formats() []string {
	var names []string
	for _, f := range formats() {
		names = append(names, f.name)
	}
	return names
}

// Write prints the report of a count run. ErrFormat: see Formats.
func Write(w io.Writer, formatName string, m store.Manifest, r *stats.Result) error {
	for _, f := range formats() {
		if f.name != formatName {
			continue
		}
		if err := f.write(w, m, r); err != nil {
			return fmt.Errorf("write %s report: %w", f.name, err)
		}
		return nil
	}
	return fmt.Errorf("%w: %q: use %s", ErrFormat, formatName, strings.Join(Formats(), ", "))
}

// WriteFiles writes the report in every format into a run's folder, each file
// replaced atomically, and returns their paths: report.txt, report.md, …
func WriteFiles(dir string, m store.Manifest, r *stats.Result) ([]string, error) {
	var names []string
	for _, f := range formats() {
		var buf bytes.Buffer
		if err := Write(&buf, f.name, m, r); err != nil {
			return names, err
		}
		name := filepath.Join(dir, "report."+f.extension)
		if err := renameio.WriteFile(name, buf.Bytes(), 0o644); err != nil {
			return names, fmt.Errorf("write %s report: %w", f.name, err)
		}
		names = append(names, name)
	}
	return names, nil
}

// Headline prints the summary alone, as the last thing of a run on a terminal:
// what is wrong, the summary table, the noise line.
func Headline(w io.Writer, m store.Manifest, r *stats.Result) error {
	d := document{}
	d.warnings(m, r)
	d.summary(r, r.Kernels)
	d.noise(r)
	d.programNoise(r)
	return d.term(w)
}

// First prints the first comparison of a run, the baseline against one kernel,
// while the rest is still being built. r is of the samples so far.
func First(w io.Writer, r *stats.Result, kernel string) error {
	d := document{}
	d.summary(r, []string{r.Baseline, kernel})
	if r.Noise.Known || len(r.ProgramNoise) > 0 {
		d.noise(r)
		d.programNoise(r)
	} else {
		d.text("A first look: the control isn't measured yet, so there is no noise line, and changes carry a question mark.")
	}
	return d.term(w)
}
