package stress

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestRun(t *testing.T) {
	if err := Run(t.TempDir(), 50*time.Millisecond); err != nil {
		t.Error(err)
	}
	if err := Run("/proc/no-such-folder", time.Hour); err == nil {
		t.Error("no error without a folder")
	}
}

// Each step does what it is to do with a file that is whole, and with one that
// isn't there.
func TestSteps(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := &stress{file: int(f.Fd())}
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for name, step := range map[string]func() error{
		"write": s.write, "splice": s.splice, "sendfile": s.sendfile, "punch": s.punch, "truncate": s.truncate,
	} {
		s.file = int(f.Fd())
		if err := step(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		s.file = -1
		if err := step(); !errors.Is(err, unix.EBADF) {
			t.Errorf("%s without a file: %v", name, err)
		}
	}
}
