package selftest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parse is all that a text comes to.
func parse(text string) []Result {
	var t tap
	var list []Result
	for line := range strings.Lines(text) {
		if res, ok := t.line(strings.TrimSuffix(line, "\n")); ok {
			list = append(list, res)
		}
	}
	if res, ok := t.end(); ok {
		list = append(list, res)
	}
	return list
}

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []Result
	}{
		{"nothing", "", nil},
		{"the harness", `TAP version 13
1..4
# Starting 4 tests from 2 test cases.
#  RUN           global.tls_v6ops ...
#            OK  global.tls_v6ops
ok 1 global.tls_v6ops
# tls.c:512:rekey:Expected 0 (0) == -1 (-1)
not ok 2 tls.12_aes_gcm.rekey
ok 3 tls.12_aes_gcm.splice # SKIP no such cipher
ok 4 tls.12_aes_gcm.slow # XFAIL known
# FAILED: 3 / 4 tests passed.
`, []Result{{"global.tls_v6ops", Passed}, {"tls.12_aes_gcm.rekey", Failed}, {"tls.12_aes_gcm.splice", Skipped}, {"tls.12_aes_gcm.slow", "xfail"}}},
		{"its own context, and names twice", `1..3
# [RUN] vmsplice() + unmap in child ... with base page
ok 1 No leak from parent into child
# [RUN] vmsplice() + unmap in child ... with THP
ok 2 # SKIP THP not supported
not ok 3 No leak
ok 4 No leak
`, []Result{
			{"vmsplice() + unmap in child ... with base page: No leak from parent into child", Passed},
			{"vmsplice() + unmap in child ... with THP: THP not supported", Skipped},
			{"No leak", Failed}, {"No leak (2)", Passed},
		}},
		{"cut off", "1..9\nok 1 - first\nok 2 sec", []Result{{"first", Passed}, {"sec", Passed}, {"(plan)", "2 of 9 tests"}}},
		{"no plan at all", "1..99999999999999999999\nokay 1 no\n ok 2 no\n", nil},
	} {
		if diff := cmp.Diff(tc.want, parse(tc.text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

// The test that runs is known from its beginning to its result.
func TestRunning(t *testing.T) {
	var p tap
	for _, step := range []struct{ line, running string }{
		{"TAP version 13", ""},
		{"#  RUN           tls.12_aes_gcm.rekey ...", "tls.12_aes_gcm.rekey"},
		{"# tls.c:1:rekey:Expected", "tls.12_aes_gcm.rekey"},
		{"not ok 1 tls.12_aes_gcm.rekey", ""},
		{"# [RUN] Basic COW", "Basic COW"},
		{"ok 2 No leak", ""},
	} {
		if p.line(step.line); p.running != step.running {
			t.Errorf("after %q %q runs, want %q", step.line, p.running, step.running)
		}
	}
}

// Whatever a program prints, no two results have one name, and none is empty.
func FuzzParse(f *testing.F) {
	f.Add("1..2\n# [RUN] a\nok 1 b\nnot ok 2 # SKIP c\n")
	f.Add("ok 1 x\nok 2 x\nok 3 x (2)\n")
	f.Fuzz(func(t *testing.T, text string) {
		seen := map[string]bool{}
		for _, r := range parse(text) {
			if seen[r.Test] || r.Value == "" {
				t.Errorf("%q, %q: there already, or without a value", r.Test, r.Value)
			}
			seen[r.Test] = true
		}
	})
}
