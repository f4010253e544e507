package images

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUntouched(t *testing.T) {
	paths := []string{"file-tcp/sendfile", "file-tcp/read-send", "user-pipe/vmsplice", "user-pipe/write"}
	for _, tc := range []struct {
		series, want []string
	}{
		{[]string{"vmsplice-wrapper"}, []string{"file-tcp/sendfile", "file-tcp/read-send", "user-pipe/write"}},
		{[]string{"splice-copy", "socket-copy"}, []string{"file-tcp/read-send", "user-pipe/vmsplice", "user-pipe/write"}},
		{[]string{"vmsplice-wrapper", "socket-copy"}, []string{"file-tcp/read-send", "user-pipe/write"}},
		{[]string{"base-shifted"}, paths},
		{[]string{"socket-copy", "of-a-user"}, []string{}},
	} {
		got, err := Untouched(tc.series, paths)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tc.series, diff)
		}
	}
}

// A declaration of a series that isn't there would never be read.
func TestEverySeriesDeclaresItself(t *testing.T) {
	for _, line := range Lines() {
		for _, name := range SeriesNames(line) {
			if untouched, err := Untouched([]string{name}, []string{"file-tcp/read-send"}); err != nil || len(untouched) != 1 {
				t.Errorf("line %s: series %s: does it touch read and send? (%v)", line, name, err)
			}
		}
	}
}
