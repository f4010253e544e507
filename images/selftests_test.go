package images

import (
	"strings"
	"testing"
)

// Each series says what it changes of the kernel's own tests, be it nothing.
func TestSelftestChangesOfEverySeries(t *testing.T) {
	for _, line := range Lines() {
		for _, name := range SeriesNames(line) {
			if _, declared, err := SelftestChanges([]string{name}); err != nil || !declared {
				t.Errorf("%s of line %s: declared %v, %v", name, line, declared, err)
			}
		}
	}
	if changes, declared, err := SelftestChanges(nil); err != nil || !declared || len(changes) != 0 {
		t.Errorf("base changes %v (declared %v, %v)", changes, declared, err)
	}
	if _, declared, err := SelftestChanges([]string{"no-sendfile", "mine"}); err != nil || declared {
		t.Errorf("a series of the user's: declared %v, %v", declared, err)
	}
}

func TestSelftestChangeOf(t *testing.T) {
	c := SelftestChange{Tests: []string{"net/tls tls.*.sendfile", "splice/splice_read /proc/1/comm, 2 bytes"}}
	for _, tc := range []struct {
		program, test string
		want          bool
	}{
		{"net/tls", "tls.12_aes_gcm.sendfile", true},
		{"net/tls", "tls.12_aes_gcm.multi_chunk_sendfile", false},
		{"net/tls", "tls.sendfile", false},
		{"mm/cow", "tls.12_aes_gcm.sendfile", false},
		{"splice/splice_read", "/proc/1/comm, 2 bytes", true},
	} {
		if got := c.Of(tc.program, tc.test); got != tc.want {
			t.Errorf("%s %s: %v", tc.program, tc.test, got)
		}
	}
}

func TestParseSelftestsErrors(t *testing.T) {
	for text, want := range map[string]string{
		"series: {a: [{tests: [x y], comes_to: fail}]}":           "f.yaml: series a, change 1: it needs tests, comes_to and why",
		"series: {a: [{tests: [x], comes_to: fail, why: b}]}":     `f.yaml: series a, change 1: "x" is no glob of a program, a blank and a test`,
		"series: {a: [{tests: ['x ['], comes_to: fail, why: b}]}": `f.yaml: series a, change 1: "x [" is no glob of a program, a blank and a test`,
		"series: {a: [{test: [x y]}]}":                            "field test not found",
	} {
		if _, err := parseSelftests("f.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func FuzzParseSelftests(f *testing.F) {
	f.Add([]byte("series: {a: [{tests: [x y], comes_to: fail, why: b}]}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parseSelftests("f.yaml", text)
		for name, changes := range all {
			for _, c := range changes {
				if err == nil && c.check() != nil {
					t.Errorf("series %s: %+v", name, c)
				}
			}
		}
	})
}
