package selftest

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Result is one test's.
type Result struct {
	// Test is its name, once only in a program's list.
	Test  string
	Value string // Passed, Failed, Skipped or another word
}

// The values of a test that ran as tests do.
const (
	Passed  = "pass"
	Failed  = "fail"
	Skipped = "skip"
)

// maxLine bounds a line, in bytes.
const maxLine = 64 << 10

var (
	resultLine = regexp.MustCompile(`^(not )?ok \d+ ?(.*)$`)
	planLine   = regexp.MustCompile(`^1\.\.(\d+)`)
	runLine    = regexp.MustCompile(`^# \[RUN\] (.*)$`)
)

// Parse reads what a program of kselftest prints: TAP 13 with the kernel's
// habits (tools/testing/selftests/kselftest.h). Lines that are none are passed
// over. A plan that wasn't fulfilled is a result too.
func Parse(r io.Reader) ([]Result, error) {
	var list []Result
	seen := map[string]bool{}
	planned, running := 0, ""
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 4096), maxLine)
	for in.Scan() {
		line := strings.ToValidUTF8(strings.TrimRight(in.Text(), " \t\r"), "?")
		if m := planLine.FindStringSubmatch(line); m != nil {
			// More than an int holds is no plan.
			if _, err := fmt.Sscan(m[1], &planned); err != nil {
				planned = 0
			}
		}
		if m := runLine.FindStringSubmatch(line); m != nil {
			running = m[1]
		}
		m := resultLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		res := result(m[1] != "", m[2])
		if running != "" { // what mm/cow tests; its results only say what came of it
			res.Test = strings.TrimSpace(running + ": " + res.Test)
			running = ""
		}
		res.Test = once(res.Test, seen)
		list = append(list, res)
	}
	if len(list) < planned {
		list = append(list, Result{Test: once("(plan)", seen), Value: fmt.Sprintf("%d of %d tests", len(list), planned)})
	}
	if err := in.Err(); err != nil {
		return list, fmt.Errorf("the test's output: %w", err)
	}
	return list, nil
}

// once makes a name that isn't among those seen, and puts it there.
func once(name string, seen map[string]bool) string {
	unique := name
	for n := 2; seen[unique]; n++ {
		unique = fmt.Sprintf("%s (%d)", name, n)
	}
	seen[unique] = true
	return unique
}

// result reads a description with a directive in it: "name", "name # SKIP why",
// "# SKIP name".
func result(failed bool, text string) Result {
	res := Result{Value: Passed}
	if failed {
		res.Value = Failed
	}
	name, directive, found := strings.Cut(text, "# ")
	word, rest, _ := strings.Cut(directive, " ")
	if found && (word == "SKIP" || word == "XFAIL") {
		if res.Value = Skipped; word == "XFAIL" {
			res.Value = "xfail"
		}
		text = name
		if strings.TrimSpace(name) == "" {
			text = rest
		}
	}
	res.Test = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), "- "))
	return res
}
