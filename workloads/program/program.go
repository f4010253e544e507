// Package program reads what a user's own program says of itself: lines in Go's
// benchmark format,
//
//	BenchmarkName-1 N VALUE unit VALUE unit …
//
// among whatever else it prints. The format is that of package testing
// (https://go.dev/design/14313-benchmark-format).
package program

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/perf/benchfmt"

	"splicelab/workloads/wire"
)

// The limits of what is read.
const (
	// MaxOutput is how much a program may print, in bytes.
	MaxOutput = 1 << 20
	// MaxValues is how many figures it may print.
	MaxValues = 1000
	// maxName bounds names and units, in bytes: they are labels of tables.
	maxName = 100
)

// ErrOutput marks a line that begins as a benchmark's and isn't one, or one
// that can't be used.
var ErrOutput = errors.New("benchmark lines")

// Parse returns the benchmark lines in a program's output, in order; none is
// not an error. Lines of other kinds are passed over. The error is an ErrOutput,
// in one line.
func Parse(output []byte) ([]wire.Benchmark, error) {
	if len(output) > MaxOutput {
		return nil, fmt.Errorf("%w: the program printed more than %d bytes", ErrOutput, MaxOutput)
	}
	var list []wire.Benchmark
	values := 0
	in := benchfmt.NewReader(bytes.NewReader(withoutLongLines(output)), "output")
	for in.Scan() {
		switch r := in.Result().(type) {
		case *benchfmt.Result:
			if !isBenchmark("Benchmark" + r.Name.String()) {
				continue
			}
			b, err := convert(r)
			if err != nil {
				_, line := r.Pos()
				return nil, fmt.Errorf("%w: line %d: %v", ErrOutput, line, err)
			}
			if values += len(b.Values); values > MaxValues {
				return nil, fmt.Errorf("%w: more than %d figures", ErrOutput, MaxValues)
			}
			list = append(list, b)
		case *benchfmt.SyntaxError:
			if isBenchmark(lineAt(output, r.Line)) { // what is said of units isn't used
				return nil, fmt.Errorf("%w: line %d: %s", ErrOutput, r.Line, r.Msg)
			}
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrOutput, err)
	}
	return list, nil
}

// isBenchmark tells BenchmarkPipe from Benchmarking, as package testing does.
func isBenchmark(line string) bool {
	rest, ok := strings.CutPrefix(line, "Benchmark")
	first, _ := utf8.DecodeRuneInString(rest)
	return ok && !unicode.IsLower(first)
}

// withoutLongLines empties lines that the reader's buffer wouldn't hold
// (bufio.MaxScanTokenSize): no benchmark's line is that long.
func withoutLongLines(output []byte) []byte {
	const longest = 32 << 10
	var out []byte
	for line := range bytes.Lines(output) {
		if len(line) > longest {
			line = []byte{'\n'}
		}
		out = append(out, line...)
	}
	return out
}

// lineAt is line n of a text, counted from 1.
func lineAt(text []byte, n int) string {
	for line := range bytes.Lines(text) {
		if n--; n == 0 {
			return string(line)
		}
	}
	return ""
}

// convert copies a result out of the reader's buffers, with the figures as they
// were printed: the reader turns ns into seconds.
func convert(r *benchfmt.Result) (wire.Benchmark, error) {
	base, parts := r.Name.Parts()
	if n := len(parts); n > 0 && parts[n-1][0] == '-' {
		parts = parts[:n-1]
	}
	b := wire.Benchmark{Name: string(base) + string(bytes.Join(parts, nil)), N: int64(r.Iters)}
	if err := checkLabel("the name", b.Name); err != nil {
		return b, err
	}
	if b.N < 1 {
		return b, fmt.Errorf("%s: %d iterations, 1 and up are possible", b.Name, b.N)
	}
	for _, v := range r.Values {
		value := wire.Value{Value: v.Value, Unit: v.Unit}
		if v.OrigUnit != "" {
			value = wire.Value{Value: v.OrigValue, Unit: v.OrigUnit}
		}
		if err := checkLabel("a unit", value.Unit); err != nil {
			return b, err
		}
		if math.IsNaN(value.Value) || math.IsInf(value.Value, 0) {
			return b, fmt.Errorf("%s: %v %s is no figure", b.Name, value.Value, value.Unit)
		}
		b.Values = append(b.Values, value)
	}
	return b, nil
}

// checkLabel refuses what would spoil a table.
func checkLabel(what, label string) error {
	switch {
	case label == "":
		return fmt.Errorf("%s is empty", what)
	case len(label) > maxName:
		return fmt.Errorf("%s is longer than %d bytes", what, maxName)
	case !utf8.ValidString(label) || strings.ContainsFunc(label, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("%s %q is not printable", what, label)
	}
	return nil
}
