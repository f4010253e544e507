package bundle

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// deb builds a package of files, by path and text.
func deb(t *testing.T, dir, name, version string, files map[string]string) {
	t.Helper()
	tree := filepath.Join(t.TempDir(), name)
	write(t, tree+"/DEBIAN/control", "Package: "+name+"\nVersion: "+version+"\nArchitecture: amd64\nMaintainer: x <x@localhost>\nDescription: x\n", 0o644)
	for path, text := range files {
		write(t, tree+path, text, 0o755)
	}
	out := filepath.Join(dir, name+"_"+strings.ReplaceAll(version, ":", "%3a")+"_amd64.deb")
	if text, err := exec.CommandContext(t.Context(), "dpkg-deb", "--root-owner-group", "--build", tree, out).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

// aptGet puts a program in apt-get's place: what it downloads is in dir. It
// returns the file in which its calls are counted.
func aptGet(t *testing.T, script string) (calls string) {
	t.Helper()
	bin := t.TempDir()
	calls = filepath.Join(bin, "calls")
	write(t, bin+"/apt-get", "#!/bin/sh\necho \"$@\" >>"+calls+"\nfor a; do case $a in Dir::Cache::archives=*) to=${a#*=};; esac; done\n"+script, 0o755)
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	return calls
}

// A package's programs come with what they need; of the packages it depends on,
// only what is needed comes, and nothing is fetched twice.
func TestPackages(t *testing.T) {
	archive, cache := t.TempDir(), t.TempDir()
	prog := cc(t, t.TempDir()+"/prog", "int main(void) { return 0; }\n", "-static")
	binary, err := os.ReadFile(prog)
	if err != nil {
		t.Fatal(err)
	}
	deb(t, archive, "tool", "1:2.0-1", map[string]string{"/usr/bin/tool": string(binary), "/usr/share/doc/tool/README": "x"})
	deb(t, archive, "other", "3", map[string]string{"/usr/bin/unasked": string(binary)})
	calls := aptGet(t, "cp "+archive+"/*.deb \"$to\"\n")
	p := Program{Name: "bench", Command: []string{"tool"}, Packages: []string{"tool=1:2.0-1"}}
	for range 2 {
		files, err := Collect(t.Context(), cache, p, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"/usr/bin/tool"}, paths(files)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if files[0].From != "tool 1:2.0-1" {
			t.Errorf("from %q", files[0].From)
		}
	}
	text, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n != 1 || !strings.HasSuffix(string(text), " -- tool=1:2.0-1\n") {
		t.Errorf("apt-get was called %d times: %s", n, text)
	}
}

func TestPackagesThatCannotBeHad(t *testing.T) {
	p := Program{Name: "bench", Command: []string{"tool"}, Packages: []string{"tool"}}
	aptGet(t, "echo Reading; echo 'E: Unable to locate package tool' >&2; exit 100\n")
	check := func(want string) {
		t.Helper()
		cache := t.TempDir()
		_, err := Collect(t.Context(), cache, p, func(string) {})
		var host *HostError
		if !errors.As(err, &host) || host.ExitStatus() != 3 || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
		if left, _ := filepath.Glob(cache + "/packages/*"); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	}
	check("program bench: packages: tool can't be had (Unable to locate package tool): run apt-get update, or unpack them yourself and name their files under files")
	t.Setenv("PATH", t.TempDir())
	check("program bench: packages: this host has no apt-get for tool: unpack it yourself and name its files under files")
}
