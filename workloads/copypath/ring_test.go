package copypath

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Of a linked pair the one that failed is named, not the one that was
// cancelled for it.
func TestRingNamesWhatFailed(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f := fileUringTCP()
	for _, m := range f.Methods {
		for _, tc := range []struct {
			spoil func(c *Cell)
			want  string
		}{
			{func(c *Cell) { c.src = &Source{File: -1} }, map[string]string{"splice": "uring splice from the file", "read-send": "uring read"}[m.Name]},
			{func(c *Cell) { c.tx = -1 }, map[string]string{"splice": "uring splice to the socket", "read-send": "uring send"}[m.Name]},
		} {
			c, err := Open(f, m, 4096, openSource(t))
			if err != nil {
				t.Fatal(err)
			}
			tc.spoil(c)
			if st := m.send(c, 0, c.chunk); st.Op != tc.want || !errors.Is(st.Err(), unix.EBADF) {
				t.Errorf("%s: got %v, want EBADF of %s", m.Name, st.Err(), tc.want)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// Past the end of the file a read moves less than a chunk, and says so.
func TestRingTellsShortReads(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f := fileUringTCP()
	for _, m := range f.Methods {
		c, err := Open(f, m, 4096, openSource(t))
		if err != nil {
			t.Fatal(err)
		}
		if st := m.send(c, SourceBytes-1000, c.chunk); !st.Short {
			t.Errorf("%s: got %v, want a short one", m.Name, st)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
