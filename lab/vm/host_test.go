package vm

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestSocketDir(t *testing.T) {
	long := t.TempDir() + strings.Repeat("/"+strings.Repeat("x", 40), 3)
	if err := os.MkdirAll(long, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tmp := range []string{t.TempDir(), long, "/does/not/exist"} {
		t.Setenv("TMPDIR", tmp)
		dir, err := socketDir()
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o700 || len(dir)+2 > maxSocketPath {
			t.Errorf("TMPDIR=%s: %s has mode %v and %d bytes", tmp, dir, info.Mode().Perm(), len(dir))
		}
	}
}

func TestRoom(t *testing.T) {
	if err := roomError("/runs", minRoom); err != nil {
		t.Errorf("enough: %v", err)
	}
	err := roomError("/runs", 1<<20)
	if err == nil || err.Error() != "/runs has 1024 KiB left: no space left on device: free some space or choose another folder for the run" {
		t.Errorf("too little: %v", err)
	}
	if err := checkRoom("/does/not/exist/f"); err == nil {
		t.Error("a folder that isn't there has room")
	}
}

func TestTailBuffer(t *testing.T) {
	var b tailBuffer
	for range 3 {
		b.Write([]byte(strings.Repeat("x", tailLimit/2) + "\n"))
	}
	b.Write([]byte("end\n"))
	if s := b.String(); len(s) > tailLimit || !strings.HasSuffix(s, "x\nend") {
		t.Errorf("kept %d bytes, ending in %q", len(s), s[len(s)-10:])
	}
}

func TestParseStat(t *testing.T) {
	const line = "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 250 31 0 0 20 0 3 0 12345 0 0"
	got, err := parseStat(line)
	if err != nil || got != 2810*time.Millisecond {
		t.Errorf("%v, %v; want 2.81s", got, err)
	}
	for _, bad := range []string{"", "42 (a", "42 (a) S 1 2 3", strings.Replace(line, "250", "x", 1)} {
		if got, err := parseStat(bad); err == nil {
			t.Errorf("parseStat(%q) = %v", bad, got)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("42 (a) S 1 42 42 0 -1 4194304 100 0 0 0 250 31 0 0")
	f.Fuzz(func(t *testing.T, line string) {
		if d, err := parseStat(line); err == nil && d < 0 {
			t.Errorf("%q: negative time %v", line, d)
		}
	})
}
