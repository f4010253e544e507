package copypath

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"splicelab/workloads/wire"
)

// Another file's header, or a spoilt one, isn't this one's.
func TestHeadersAreChecked(t *testing.T) {
	c := openCell(t, "small-tcp", "sendfile", 4096)
	for i := range c.round / c.chunk {
		h := string(c.docs.header(i * c.chunk))
		if len(h) != headerBytes || !strings.HasSuffix(h, "\r\n\r\n") || i > 0 && h == string(c.docs.header(0)) {
			t.Fatalf("header %d: %q", i, h)
		}
	}
	if _, st := c.Lockstep(2*c.chunk, wire.SinkRead); st.Err() != nil {
		t.Fatal(st.Err())
	}
	if err := c.check(c.chunk, c.chunk); err != nil {
		t.Fatalf("as it arrived: %v", err)
	}
	c.docs.header(c.chunk)[headerBytes/2] ^= 1
	if err := c.check(c.chunk, c.chunk); !errors.Is(err, ErrIntegrity) {
		t.Errorf("got %v, want %v", err, ErrIntegrity)
	}
}

// What is open or there after a cell would fail the next one, or slow it down.
func TestSmallFilesAreClosedAndRemoved(t *testing.T) {
	f, err := Lookup("small-tcp")
	if err != nil {
		t.Fatal(err)
	}
	src := openSource(t)
	for _, m := range f.Methods {
		c, err := Open(withFewChunks(f), m, 4096, src)
		if err != nil {
			t.Fatal(err)
		}
		// A file fails after it was opened, too.
		before := openFiles(t)
		if err := c.Warm(c.TransferBytes()); err != nil {
			t.Fatal(err)
		}
		tx := c.tx
		c.tx = -1
		if st := c.method.send(c, 0, c.chunk); !errors.Is(st.Err(), unix.EBADF) {
			t.Errorf("%s: got %v, want EBADF", m.Name, st.Err())
		}
		c.tx = tx
		if after := openFiles(t); after != before {
			t.Errorf("%s: %d open files, then %d", m.Name, before, after)
		}
		dir := c.docs.dir
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %s is still there: %v", m.Name, dir, err)
		}
	}
}

func TestASmallFileThatChangedFails(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(file string) error
		want   unix.Errno
	}{
		{"gone", os.Remove, unix.ENOENT},
		{"longer", func(file string) error { return os.Truncate(file, 1<<20) }, unix.EBADMSG},
		{"empty", func(file string) error { return os.Truncate(file, 0) }, unix.EBADMSG},
	} {
		c := openCell(t, "small-tcp", "read-send-once", 4096)
		if err := tc.change(unix.BytePtrToString(&c.docs.paths[0])); err != nil {
			t.Fatal(err)
		}
		if _, st := c.Lockstep(c.chunk, wire.SinkRead); !errors.Is(st.Err(), tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, st.Err(), tc.want)
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}
