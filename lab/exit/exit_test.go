package exit_test

import (
	"errors"
	"fmt"
	"testing"

	"splicelab/lab/exit"
)

// foreign is an error of a package that doesn't know this one.
type foreign struct{}

func (foreign) Error() string   { return "foreign" }
func (foreign) ExitStatus() int { return 3 }

func TestStatusOf(t *testing.T) {
	plain := errors.New("plain")
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{plain, 1},
		{exit.Errorf(exit.Usage, "a: %w", plain), 2},
		{fmt.Errorf("around: %w", exit.Errorf(exit.Host, "b")), 3},
		{fmt.Errorf("around: %w", foreign{}), 3},
		{exit.With(exit.Usage, nil), 0},
		{exit.With(exit.Usage, plain), 2},
		// What failed knows better than its caller.
		{exit.With(exit.Usage, fmt.Errorf("around: %w", foreign{})), 3},
	} {
		if got := exit.StatusOf(test.err); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
	}
	if !errors.Is(exit.With(exit.Usage, plain), plain) {
		t.Error("the cause is lost")
	}
}
