package selftest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// script is a program of a few lines.
func script(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// at is a program whose binary lies elsewhere.
func at(file string, run func(Limits, string, func(Result)) error) Program {
	return Program{"test", func(limits Limits, _ string, found func(Result)) error { return run(limits, file, found) }}
}

// harness is a program of kselftest_harness.h's kind: each test has a process
// and a group of its own, and the end of one is not that of the others.
const harness = `
run() {
	echo "#  RUN           $1 ..."
	shift
	setsid "$@" >/dev/null 2>&1 &
	if wait $!; then echo ok 1 "$name"; else echo not ok 1 "$name"; fi
}
echo 1..3
`

func TestRun(t *testing.T) {
	long := Limits{CPU: time.Hour, Test: time.Hour, Program: time.Hour}
	test, cpu, all := long, long, long
	// Long enough for a shell on a loaded machine.
	test.Test, cpu.CPU, all.Program = 3*time.Second, time.Second, 3*time.Second
	const three = harness + "name=a; run a true; name=b; run b %s; name=c; run c true"
	for _, tc := range []struct {
		name    string
		program Program
		limits  Limits
		want    string // the results, in order
	}{
		{"a failed test, told by the status too", at(script(t, "echo ok 1 a; echo not ok 2 b; exit 1"), runCOW), long, "a pass, b fail"},
		{"it isn't there", at("/no/such/program", runCOW), long, "(end) fork/exec /no/such/program: no such file or directory"},
		{"it dies", at(script(t, "echo ok 1 a; kill -9 $$"), runCOW), long, "a pass, (end) signal: killed"},
		{"a test sleeps", at(script(t, fmt.Sprintf(three, "sleep 1000")), runTLS), test, "a pass, b hung (killed after 3s of guest time), c pass"},
		{"a test spins", at(script(t, fmt.Sprintf(three, "sh -c 'while :; do :; done'")), runTLS), cpu, "a pass, b hung (killed after 1s of CPU time), c pass"},
		{"its tests are no processes of their own", at(script(t, "echo 1..2; echo ok 1 a; echo '# [RUN] b'; exec sleep 1000"), runCOW), test, "a pass, b hung (killed after 3s of guest time)"},
		{"nobody says which test", at(script(t, "echo 1..9; echo ok 1 a; exec sleep 1000"), runCOW), test, "a pass, (end) hung (killed after 3s of guest time), (plan) 2 of 9 tests"},
		{"the program takes too long", at(script(t, "echo ok 1 a; exec sleep 1000"), runCOW), all, "a pass, (end) hung (killed after 3s of guest time)"},
		{"what it leaves behind goes with it", at(script(t, "sleep 1000 & sleep 1000"), runCOW), test, "(end) hung (killed after 3s of guest time)"},
		{"a process out of its reach holds the pipe", at(script(t, "setsid sh -c 'setsid sleep 60 & sleep 60' & echo ok 1 a; exec sleep 1000"), runCOW), all, "a pass, (end) hung (killed after 3s of guest time)"},
		{"a line without an end", at(script(t, "echo ok 1 a; exec tr '\\0' x </dev/zero"), runCOW), long, "a pass, (end) the test's output: bufio.Scanner: token too long"},
		{"its variants", at(script(t, `echo ok 1 "$1"; test "$1" = -V || echo not ok 2`), runTLS), long, "-V pass"},
		{"nothing leaks", at(script(t, ""), runDefaultRead), long, "nothing is leaked pass"},
		{"something leaks", at(script(t, "echo x"), runDefaultRead), long, "nothing is leaked fail"},
		{"a single test hangs", at(script(t, "sleep 1000"), runDefaultRead), test, "nothing is leaked hung (killed after 3s of guest time)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var results []string
			tc.program.Run(tc.limits, func(r Result) { results = append(results, r.Test+" "+r.Value) })
			if diff := cmp.Diff(tc.want, strings.Join(results, ", ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// splice/splice_read is told by what it gives of each file.
func TestSpliceRead(t *testing.T) {
	for text, want := range map[string]string{`head -c "$2" "$1"`: Passed, `echo "$1"`: Failed} {
		var results []Result
		at(script(t, text), runSpliceRead).Run(Usual, func(r Result) { results = append(results, r) })
		if len(results) != 2*len(spliceRead) {
			t.Errorf("%s: %v", text, results)
		}
		for _, r := range results {
			if r.Value != want {
				t.Errorf("%s: %s: %s, want %s", text, r.Test, r.Value, want)
			}
		}
	}
}
