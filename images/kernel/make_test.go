package kernel

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The logs are recorded ones, of 6.12.117 and gcc 12.2: make's whole output.
func TestExplainLog(t *testing.T) {
	tests := map[string]struct {
		lines []string // of a CompileError
		host  string   // or a HostError
	}{
		"undeclared.log": {lines: []string{
			"fs/splice.c:204:23: error: 'MSG_NONE' undeclared (first use in this function); did you mean 'BUG_NONE'?",
			"fs/splice.c:809:23: error: 'MSG_NONE' undeclared (first use in this function); did you mean 'BUG_NONE'?",
			"fs/splice.c:1462:23: error: 'MSG_NONE' undeclared (first use in this function); did you mean 'BUG_NONE'?",
			"fs/splice.c:1521:23: error: 'MSG_NONE' undeclared (first use in this function); did you mean 'BUG_NONE'?",
			"fs/splice.c:1550:23: error: 'MSG_NONE' undeclared (first use in this function); did you mean 'BUG_NONE'?",
			"fs/splice.c:1892:23: error: 'MSG_NONE' undeclared (first use in this function); did you mean 'BUG_NONE'?",
		}},
		"undefined.log": {lines: []string{"splice.c:(.text+0x20e2): undefined reference to `nobody_has_this'"}},
		"nospace.log":   {host: "no space left on the file system of kernel.log: free 4 GB there, or set SPLICELAB_CACHE to a folder elsewhere"},
		"killed.log":    {host: "not enough memory to compile kernel mine: use fewer jobs, or free memory (log: kernel.log)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			log, err := os.ReadFile(filepath.Join("testdata", "logs", name))
			if err != nil {
				t.Fatal(err)
			}
			err = explainLog("mine", string(log), "kernel.log")
			var compile *CompileError
			var host *HostError
			switch {
			case errors.As(err, &compile):
				if diff := cmp.Diff(&CompileError{Kernel: "mine", Lines: tt.lines, Log: "kernel.log"}, compile); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			case errors.As(err, &host):
				if host.Error() != tt.host {
					t.Errorf("%v, want %s", host, tt.host)
				}
			default:
				t.Errorf("error %v (%T)", err, err)
			}
		})
	}
}

// Of a log that says nothing else, make's own words are told.
func TestExplainLogOfMakeAlone(t *testing.T) {
	err := explainLog("mine", "  CC  a.o\nmake[1]: *** No rule to make target 'fs/new.o', needed by 'fs/built-in.a'.  Stop.\nmake: *** [Makefile:236: __sub-make] Error 2\n", "log")
	want := "kernel mine does not compile: make[1]: *** No rule to make target 'fs/new.o', needed by 'fs/built-in.a'.  Stop. (log: log)"
	if err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestLineWriter(t *testing.T) {
	var got []string
	w := &lineWriter{line: func(l string) { got = append(got, l) }}
	for _, piece := range []string{"  CC", "      a.o\n  C", "C b.o\n\n", "rest"} {
		if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	if diff := cmp.Diff([]string{"  CC      a.o", "  CC b.o", ""}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSignature links one object in several ways.
func TestSignature(t *testing.T) {
	dir := t.TempDir()
	link := func(name, source string, args ...string) string {
		t.Helper()
		c, out := filepath.Join(dir, name+".c"), filepath.Join(dir, name)
		if err := os.WriteFile(c, []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("gcc", append([]string{"-nostdlib", "-static", "-Wl,-e,0", "-o", out, c}, args...)...)
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("gcc: %v: %s", err, text)
		}
		sum, err := signature(out)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	const source = "int value = 1;\nint area[10];\nint f(void) { return value; }\n"
	base := link("base", source, "-Wl,--build-id=0x1111")
	for name, sum := range map[string]string{
		"build id":     link("id", source, "-Wl,--build-id=0x2222"),
		"symbol table": link("strip", source, "-Wl,--build-id=0x1111", "-s"),
	} {
		if sum != base {
			t.Errorf("another %s is another signature", name)
		}
	}
	for name, sum := range map[string]string{
		"code": link("code", strings.Replace(source, "return value", "return value+1", 1), "-Wl,--build-id=0x1111"),
		"data": link("data", strings.Replace(source, "value = 1", "value = 2", 1), "-Wl,--build-id=0x1111"),
		"bss":  link("bss", strings.Replace(source, "[10]", "[1000]", 1), "-Wl,--build-id=0x1111"),
	} {
		if sum == base {
			t.Errorf("other %s is the same signature", name)
		}
	}
	if _, err := signature(filepath.Join(dir, "base.c")); err == nil {
		t.Error("a file that is no ELF has a signature")
	}
}

// The estimate of a full build is the last one's count; what a build that was
// cut off had compiled counts, what another configuration left doesn't.
func TestProgressOfAFullBuild(t *testing.T) {
	var said events
	b := NewBuilder(t.TempDir(), said.add)
	spec := testSpec(t, "base")
	first := func() Event {
		for _, e := range said {
			if e.Step == StepCompile {
				return e
			}
		}
		t.Fatal("nothing was compiled")
		return Event{}
	}
	img := build(t, b, spec)
	if diff := cmp.Diff(Event{Kernel: "base", Step: StepCompile, Total: firstBuildObjects, Full: true}, first()); diff != "" {
		t.Errorf("the first build (-want +got):\n%s", diff)
	}

	// Cut off after two of three objects.
	out := filepath.Join(b.treePath(img.Source.SHA256), "out", "minimal")
	for _, name := range []string{"vmlinux", "net/socket.o"} {
		if err := os.Remove(filepath.Join(out, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Dir(img.Vmlinux)); err != nil {
		t.Fatal(err)
	}
	said = nil
	build(t, b, spec)
	if diff := cmp.Diff(Event{Kernel: "base", Step: StepCompile, Done: 2, Total: 3, Full: true}, first()); diff != "" {
		t.Errorf("going on (-want +got):\n%s", diff)
	}

	said = nil
	spec.Fragments = append(spec.Fragments, Text{Name: "more.config", Text: "CONFIG_MORE=y\n"})
	build(t, b, spec)
	if diff := cmp.Diff(Event{Kernel: "base", Step: StepCompile, Done: 0, Total: 3, Full: true}, first()); diff != "" {
		t.Errorf("another configuration (-want +got):\n%s", diff)
	}
}
