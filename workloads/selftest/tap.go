package selftest

import (
	"fmt"
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
	// What mm/cow tests; its results only say what came of it.
	contextLine = regexp.MustCompile(`^# \[RUN\] (.*)$`)
	// What kselftest_harness.h is about to test, by its whole name.
	beginLine = regexp.MustCompile(`^#  RUN +(\S+) \.\.\.$`)
)

// tap reads what a program of kselftest prints: TAP 13 with the kernel's habits
// (tools/testing/selftests/kselftest.h). Lines that are none are passed over.
type tap struct {
	seen    map[string]bool // names of results
	planned int
	context string
	// running is the test that has begun and not ended; empty between two, and
	// for a program that doesn't tell.
	running string
}

// line takes one line; ok says that it is a test's result.
func (t *tap) line(text string) (res Result, ok bool) {
	text = strings.ToValidUTF8(strings.TrimRight(text, " \t\r"), "?")
	if m := planLine.FindStringSubmatch(text); m != nil {
		// More than an int holds is no plan.
		if _, err := fmt.Sscan(m[1], &t.planned); err != nil {
			t.planned = 0
		}
	}
	if m := contextLine.FindStringSubmatch(text); m != nil {
		t.context, t.running = m[1], m[1]
	}
	if m := beginLine.FindStringSubmatch(text); m != nil {
		t.running = m[1]
	}
	m := resultLine.FindStringSubmatch(text)
	if m == nil {
		return Result{}, false
	}
	res = result(m[1] != "", m[2])
	if t.context != "" {
		res.Test = strings.TrimSpace(t.context + ": " + res.Test)
	}
	t.context, t.running = "", ""
	return t.once(res), true
}

// end is the result of a plan that wasn't fulfilled, if it wasn't.
func (t *tap) end() (res Result, ok bool) {
	if n := len(t.seen); n < t.planned {
		return t.once(Result{Test: "(plan)", Value: fmt.Sprintf("%d of %d tests", n, t.planned)}), true
	}
	return Result{}, false
}

// once gives a result a name that isn't among those seen.
func (t *tap) once(res Result) Result {
	if t.seen == nil {
		t.seen = map[string]bool{}
	}
	name := res.Test
	for n := 2; t.seen[res.Test]; n++ {
		res.Test = fmt.Sprintf("%s (%d)", name, n)
	}
	t.seen[res.Test] = true
	return res
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
