package exit_test

import (
	"errors"
	"fmt"
	"testing"

	"splicelab/lab/exit"
)

// hunk is an error with lines below it.
type hunk string

func (h hunk) Error() string   { return "it does not apply" }
func (h hunk) Excerpt() string { return string(h) }

func TestText(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{errors.New("plain"), "plain"},
		{hunk(""), "it does not apply"},
		{fmt.Errorf("kernel mine: %w", hunk("@@ -1 +1 @@\n-a\n+b\n")), "kernel mine: it does not apply\n@@ -1 +1 @@\n-a\n+b"},
		{exit.With(exit.Wrong, errors.Join(hunk("a\n"), errors.New("else"), hunk("b\n"))), "it does not apply\nelse\nit does not apply\na\nb"},
	} {
		if got := exit.Text(tt.err); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
