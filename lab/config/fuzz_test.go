package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"splicelab/lab/config"
)

// FuzzParse: whatever a file says, it is either refused in one line, or its
// effective form means the same.
func FuzzParse(f *testing.F) {
	f.Add(rich)
	f.Add("kernels: [{name: base}]")
	f.Add("kernels: &a [{name: base}]\nconditions: *a")
	f.Add("name: \"a\\nb\"\n1: 2")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.Parse("f.yaml", text, known())
		if err != nil {
			var e *config.Error
			if !errors.As(err, &e) || strings.ContainsAny(err.Error(), "\n\r") {
				t.Fatalf("%q: not an error of one line: %q", text, err)
			}
			return
		}
		again, err := config.Parse("effective", c.Effective(), known())
		if err != nil {
			t.Fatalf("%q: its effective form is refused: %v\n%s", text, err, c.Effective())
		}
		if diff := cmp.Diff(c, again); diff != "" {
			t.Fatalf("%q: the effective form means something else (-first +second):\n%s", text, diff)
		}
	})
}
