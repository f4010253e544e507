package selftest

import (
	"context"
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
func at(file string, run func(context.Context, string) ([]Result, error)) Program {
	return Program{"test", func(ctx context.Context, _ string) ([]Result, error) { return run(ctx, file) }}
}

func TestRun(t *testing.T) {
	for _, tc := range []struct {
		name     string
		program  Program
		deadline time.Duration
		want     string // the values, in order
	}{
		{"a failed test, told by the status too", at(script(t, "echo ok 1 a; echo not ok 2 b; exit 1"), runCOW), time.Hour, "pass, fail"},
		{"it isn't there", at("/no/such/program", runCOW), time.Hour, "fork/exec /no/such/program: no such file or directory"},
		{"it dies", at(script(t, "echo ok 1 a; kill -9 $$"), runCOW), time.Hour, "pass, signal: killed"},
		{"it hangs", at(script(t, "echo ok 1 a; exec sleep 1000"), runCOW), 100 * time.Millisecond, "pass, hangs for 100ms"},
		{"its variants", at(script(t, `echo ok 1 "$1 $2"; test "$1" = -V || echo not ok 2`), runTLS), time.Hour, "pass"},
		{"nothing leaks", at(script(t, ""), runDefaultRead), time.Hour, "pass"},
		{"something leaks", at(script(t, "echo x"), runDefaultRead), time.Hour, "fail"},
		{"splice gives what read does", at(script(t, `head -c "$2" "$1"`), runSpliceRead), time.Hour, strings.Repeat("pass, ", 7) + "pass"},
		{"splice gives something else", at(script(t, `echo "$1"`), runSpliceRead), time.Hour, strings.Repeat("fail, ", 7) + "fail"},
	} {
		var values []string
		for _, r := range tc.program.Run(tc.deadline) {
			values = append(values, r.Value)
		}
		if diff := cmp.Diff(tc.want, strings.Join(values, ", ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}
