package bundle

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, name, text string, mode fs.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return name
}

// cc compiles a C source, which is a program where it has a main.
func cc(t *testing.T, out, source string, flags ...string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		t.Fatal(err)
	}
	args := slices.Concat([]string{"-x", "c", "-O1", "-o", out, write(t, out+".c", source, 0o644), "-x", "none"}, flags)
	if text, err := exec.CommandContext(t.Context(), "gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc %q: %v\n%s", args, err, text)
	}
	return out
}

const (
	useF = "int f(void); int main(void) { return f(); }\n"
	defF = "int f(void) { return 0; }\n"
)

func collect(t *testing.T, p Program) ([]File, error) {
	t.Helper()
	p.Name = "bench"
	return Collect(t.Context(), t.TempDir(), p, func(line string) { t.Log(line) })
}

func paths(files []File) []string {
	var names []string
	for _, f := range files {
		names = append(names, f.Path)
	}
	return names
}

// The loader and all libraries come along, also those of libraries, and those
// that lie beside the program go beside it.
func TestDynamicProgram(t *testing.T) {
	dir := t.TempDir()
	cc(t, dir+"/lib/libg.so", "int g(void) { return 0; }\n", "-shared", "-fPIC", "-Wl,-soname,libg.so")
	cc(t, dir+"/lib/libf.so", "int g(void); int f(void) { return g(); }\n", "-shared", "-fPIC", dir+"/lib/libg.so", "-Wl,-rpath,$ORIGIN", "-Wl,-soname,libf.so")
	cc(t, dir+"/bin/prog", useF, dir+"/lib/libf.so", "-Wl,-rpath,$ORIGIN/../lib", "-Wl,-rpath-link,"+dir+"/lib")
	files, err := collect(t, Program{Command: []string{"prog"}, Files: []string{dir + "/bin/prog"}})
	if err != nil {
		t.Fatal(err)
	}
	got := paths(files)
	for _, want := range []string{"/own/prog", "/own/libf.so", "/own/libg.so", "/lib64/ld-linux-x86-64.so.2"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing: %q", want, got)
		}
	}
	if !slices.ContainsFunc(got, func(p string) bool { return filepath.Base(p) == "libc.so.6" }) {
		t.Errorf("libc is missing: %q", got)
	}
	again, err := collect(t, Program{Command: []string{"prog"}, Files: []string{dir + "/bin/prog"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(files, again); diff != "" {
		t.Errorf("collected again (-first +second):\n%s", diff)
	}
}

func TestStaticProgramAndFiles(t *testing.T) {
	dir := t.TempDir()
	prog := cc(t, dir+"/prog", "int main(void) { return 0; }\n", "-static")
	write(t, dir+"/data", "x", 0o644)
	script := write(t, dir+"/run.sh", "#!/own/prog -x\n", 0o755)
	files, err := collect(t, Program{Command: []string{"bin/run", "a"}, Files: []string{prog, dir + "/data:/srv/data", script + ":/own/bin/run"}})
	if err != nil {
		t.Fatal(err)
	}
	type short struct {
		Path string
		Mode uint64
		From string
	}
	var got []short
	for _, f := range files {
		got = append(got, short{f.Path, f.Mode, f.From})
	}
	want := []short{{"/own/bin/run", 0o755, script}, {"/own/prog", 0o755, prog}, {"/srv/data", 0o644, dir + "/data"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Each has one thing wrong; the message is one line with the way out.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	static := cc(t, dir+"/static", "int main(void) { return 0; }\n", "-static")
	text, err := os.ReadFile(static)
	if err != nil {
		t.Fatal(err)
	}
	foreign := slices.Clone(text)
	foreign[18], foreign[19] = 183, 0 // e_machine: EM_AARCH64
	write(t, dir+"/foreign", string(foreign), 0o755)
	write(t, dir+"/damaged", string(text[:40]), 0o755)
	write(t, dir+"/plain", "hello", 0o755)
	write(t, dir+"/quiet", string(text), 0o644)
	write(t, dir+"/sh", "#!/bin/sh\n", 0o755)
	cc(t, dir+"/gone/libnowhere.so", defF, "-shared", "-fPIC", "-Wl,-soname,libnowhere.so")
	cc(t, dir+"/lost", useF, dir+"/gone/libnowhere.so")
	cc(t, dir+"/gone/unnamed.so", defF, "-shared", "-fPIC")
	cc(t, dir+"/moved", useF, dir+"/gone/unnamed.so")
	cc(t, dir+"/odd", "int main(void) { return 0; }\n", "-Wl,--dynamic-linker=/lib/ld-none.so.1")
	if err := os.RemoveAll(dir + "/gone"); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		command string
		files   []string
		want    string
	}{
		{"no file", "x", []string{dir + "/x"}, dir + "/x: no such file: build it first, or mend the entry in files"},
		{"a folder", "x", []string{dir}, dir + " is not a regular file: name each file"},
		{"no command", "x", []string{static}, "command: x is not in the VM: name its file under files, or its package under packages (there is: /own/static)"},
		{"nothing at all", "/bin/true", nil, "command: /bin/true is not in the VM: name its file under files, or its package under packages (there is: nothing)"},
		{"not executable", "quiet", []string{dir + "/quiet"}, dir + "/quiet may not be executed: chmod +x"},
		{"another architecture", "foreign", []string{dir + "/foreign"}, dir + "/foreign is neither an x86-64 program nor a script: another architecture: it is for EM_AARCH64, ELFCLASS64"},
		{"damaged", "damaged", []string{dir + "/damaged"}, dir + "/damaged is neither an x86-64 program nor a script: a damaged ELF file"},
		{"no program", "plain", []string{dir + "/plain"}, dir + "/plain is neither an x86-64 program nor a script: no ELF file, and its first line isn't that of a script"},
		{"no shell", "sh", []string{dir + "/sh"}, `its interpreter "/bin/sh" is not in the VM, which has no shell of its own: add packages: [busybox-static]`},
		{"no library", "lost", []string{dir + "/lost"}, "/lost needs the library libnowhere.so, which isn't here: name it under files"},
		{"no library at its path", "moved", []string{dir + "/moved"}, "/moved needs the library " + dir + "/gone/unnamed.so, which isn't here: name it under files"},
		{"no loader", "odd", []string{dir + "/odd"}, "/odd needs the loader /lib/ld-none.so.1, which isn't here: link it statically"},
		{"two for one", "static", []string{static, dir + "/plain:/own/static"}, "/own/static would be both " + static + " and " + dir + "/plain"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := collect(t, Program{Command: []string{tc.command}, Files: tc.files})
			var wrong *Error
			if !errors.As(err, &wrong) || wrong.ExitStatus() != 2 {
				t.Fatalf("got %v, want an *Error", err)
			}
			if got := err.Error(); !strings.Contains(got, tc.want) || strings.Contains(got, "\n") || !strings.HasPrefix(got, "program bench: ") {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

// Links are followed as if the tree were the whole file system.
func TestRootFollowsLinksWithin(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/usr/lib/real.so.1", "x", 0o644)
	for name, target := range map[string]string{"lib": "usr/lib", "usr/lib/abs.so": "/lib/real.so.1", "usr/lib/up.so": "../../../../lib/real.so.1", "loop": "loop", "out": "/etc/passwd"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"/lib/real.so.1": "usr/lib/real.so.1", "/lib/abs.so": "usr/lib/real.so.1", "/lib/up.so": "usr/lib/real.so.1", "/loop": "", "/out": "", "/none": ""} {
		got, err := root{dir: dir}.open(name)
		if want == "" {
			if err == nil {
				t.Errorf("%s leads to %s", name, got)
			}
			continue
		}
		if err != nil || got != filepath.Join(dir, want) {
			t.Errorf("%s: %s, %v; want %s", name, got, err, want)
		}
	}
}
