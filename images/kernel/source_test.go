package kernel

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// archive is a Debian archive in small: programs that stand in for apt's and
// dpkg's, and note that they were called.
type archive struct {
	dir      string
	versions string // what the package lists have, the highest first
}

func newArchive(t *testing.T, versions ...string) archive {
	t.Helper()
	a := archive{dir: t.TempDir()}
	for _, v := range versions {
		a.versions += "linux-source-6.12 | " + v + " | http://archive bookworm/main amd64 Packages\n"
	}
	for name, script := range map[string]string{
		"apt-cache": "cat <<'END'\n" + a.versions + "END\n",
		// A package is a folder here: what dpkg-deb would unpack.
		"apt-get": `echo "$@" >> ` + a.dir + `/calls; test "$1" = download || exit 9; v=${3#*=}
mkdir -p pkg.deb/usr/src; exec cp ` + a.dir + `/$v.tar.xz pkg.deb/usr/src/linux-source-6.12.tar.xz`,
		"dpkg-deb": `test "$1" = --extract || exit 9; cp -r "$2" "$3"`,
		// Their versions order as text.
		"dpkg": `test "$1 $3" = "--compare-versions gt" || exit 9; test "$2" != "$4" -a "$(printf '%s\n' "$2" "$4" | sort | tail -1)" = "$2"`,
	} {
		if err := os.WriteFile(filepath.Join(a.dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", a.dir+":"+os.Getenv("PATH"))
	return a
}

// publish puts the small tree into the archive as version v and returns its
// tarball's hash. Each version has another.
func (a archive) publish(t *testing.T, v string) string {
	t.Helper()
	spec := makeTarball(t)
	name := filepath.Join(a.dir, v+".tar.xz")
	if err := copyFile(spec.Path, name); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(v); err != nil {
		t.Fatal(err)
	}
	sum, err := hashFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func (a archive) calls(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(a.dir, "calls"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

const pin, newer = "6.12.117-1~deb12u1", "6.12.119-1~deb12u1"

func pinned(sum, url string) SourceSpec {
	return SourceSpec{Kind: SourceDebian, Package: "linux-source-6.12", Version: pin, SHA256: sum, URL: url}
}

func TestDebianPinInTheArchive(t *testing.T) {
	a := newArchive(t, newer, pin)
	sum := a.publish(t, pin)
	b := NewBuilder(t.TempDir(), nil)
	got, err := b.Resolve(context.Background(), pinned(sum, ""))
	if err != nil {
		t.Fatal(err)
	}
	want := Source{Spec: pinned(sum, ""), Version: pin, SHA256: sum, From: FromArchive, Tarball: b.tarball(sum)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if want := "download -q linux-source-6.12=" + pin + "\n"; a.calls(t) != want {
		t.Errorf("apt-get was called with %q, want %q", a.calls(t), want)
	}

	// Another run: the same hash is the same thing, whether the pin names it or
	// the cache remembers it.
	for _, spec := range []SourceSpec{pinned(sum, ""), pinned("", "")} {
		got, err := NewBuilder(b.Cache, nil).Resolve(context.Background(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if got.From != FromCache || got.SHA256 != sum {
			t.Errorf("from %q, sha256 %s", got.From, got.SHA256)
		}
	}
	if strings.Count(a.calls(t), "download") != 1 {
		t.Errorf("downloaded again: %s", a.calls(t))
	}

	// A damaged tarball isn't served.
	if err := os.Truncate(b.tarball(sum), 100); err != nil {
		t.Fatal(err)
	}
	var said events
	got, err = NewBuilder(b.Cache, said.add).Resolve(context.Background(), pinned(sum, ""))
	if err != nil || got.From != FromArchive || len(said.notes()) != 1 {
		t.Errorf("from %q, %v, notes %q", got.From, err, said.notes())
	}
}

func TestDebianHashMismatch(t *testing.T) {
	a := newArchive(t, pin)
	sum := a.publish(t, pin)
	other := strings.Repeat("0", 64)
	b := NewBuilder(t.TempDir(), nil)
	_, err := b.Resolve(context.Background(), pinned(other, ""))
	var bad *SourceError
	if !errors.As(err, &bad) || !strings.Contains(bad.Detail, "its sha256 is "+sum+", and "+other+" was asked for") {
		t.Errorf("error %v", err)
	}
	if exists(b.tarball(sum)) || exists(b.tarball(other)) {
		t.Error("the wrong tarball was kept")
	}
}

func TestDebianURLWhenTheArchiveMovedOn(t *testing.T) {
	a := newArchive(t, newer)
	sum := a.publish(t, pin)
	server := httptest.NewServer(http.FileServer(http.Dir(a.dir)))
	defer server.Close()
	b := NewBuilder(t.TempDir(), nil)
	got, err := b.Resolve(context.Background(), pinned(sum, server.URL+"/"+pin+".tar.xz"))
	if err != nil {
		t.Fatal(err)
	}
	if got.From != FromURL || got.Version != pin || got.SHA256 != sum || got.PinMissed != "" {
		t.Errorf("got %+v", got)
	}
	if a.calls(t) != "" {
		t.Errorf("apt-get was called: %s", a.calls(t))
	}
}

// The lists name the pin, and the archive has it no more.
func TestDebianListsOutOfDate(t *testing.T) {
	a := newArchive(t, newer, pin)
	sum := a.publish(t, pin)
	server := httptest.NewServer(http.FileServer(http.Dir(a.dir)))
	defer server.Close()
	url := server.URL + "/moved.tar.xz"
	if err := os.Rename(filepath.Join(a.dir, pin+".tar.xz"), filepath.Join(a.dir, "moved.tar.xz")); err != nil {
		t.Fatal(err)
	}
	got, err := NewBuilder(t.TempDir(), nil).Resolve(context.Background(), pinned(sum, url))
	if err != nil || got.From != FromURL || got.SHA256 != sum {
		t.Errorf("got %+v, %v", got, err)
	}
	newest := a.publish(t, newer)
	got, err = NewBuilder(t.TempDir(), nil).Resolve(context.Background(), pinned(sum, ""))
	if err != nil || got.From != FromArchiveNewer || got.SHA256 != newest || !strings.Contains(got.PinMissed, "apt-get download") {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestDebianNewerIsSaidAloud(t *testing.T) {
	a := newArchive(t, newer)
	sum := a.publish(t, newer)
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	spec := pinned(strings.Repeat("0", 64), server.URL+"/gone.tar.xz")
	cache := t.TempDir()
	want := "pin not met: linux-source-6.12 6.12.117-1~deb12u1 is not to be had (the archive has 6.12.119-1~deb12u1 alone; kernel source: " +
		server.URL + "/gone.tar.xz: the server says 404 Not Found); built from 6.12.119-1~deb12u1 instead, whose figures are not those of the pin"
	for range 2 { // the second time from the cache, and still said
		var said events
		got, err := NewBuilder(cache, said.add).Resolve(context.Background(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if got.From != FromArchiveNewer || got.Version != newer || got.SHA256 != sum {
			t.Errorf("got %+v", got)
		}
		if diff := cmp.Diff([]string{want}, said.notes()); diff != "" || got.PinMissed != want {
			t.Errorf("%q (-want +got):\n%s", got.PinMissed, diff)
		}
	}
	if strings.Count(a.calls(t), "download") != 1 {
		t.Errorf("apt-get was called with %q", a.calls(t))
	}
}

func TestDebianNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		versions []string
		want     string
	}{
		"not in the lists": {nil, "kernel source: linux-source-6.12 6.12.117-1~deb12u1 is not to be had: the package lists have no linux-source-6.12; no URL to fall back on, and nothing newer; run apt-get update, or name a tarball of the same upstream version as the source"},
		"older alone":      {[]string{"6.12.115-2~deb12u1"}, "kernel source: linux-source-6.12 6.12.117-1~deb12u1 is not to be had: the archive has 6.12.115-2~deb12u1 alone; no URL to fall back on, and nothing newer; run apt-get update, or name a tarball of the same upstream version as the source"},
	} {
		t.Run(name, func(t *testing.T) {
			newArchive(t, tt.versions...)
			_, err := NewBuilder(t.TempDir(), nil).Resolve(context.Background(), pinned("", ""))
			if err == nil || err.Error() != tt.want {
				t.Errorf("error\n%v, want\n%s", err, tt.want)
			}
		})
	}
}

func TestTarball(t *testing.T) {
	spec := makeTarball(t)
	noSum, wrong, gone := spec, spec, spec
	noSum.SHA256 = ""
	wrong.SHA256 = strings.Repeat("0", 64)
	gone.Path = "/nowhere/linux.tar.xz"
	for want, spec := range map[string]SourceSpec{
		"its sha256 is missing":        noSum,
		"it isn't the same source":     wrong,
		"/nowhere/linux.tar.xz is not": gone,
	} {
		_, err := NewBuilder(t.TempDir(), nil).Resolve(context.Background(), spec)
		var bad *SourceError
		if !errors.As(err, &bad) || !strings.Contains(bad.Detail, want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// A tarball by URL becomes a kernel; the second time it is in the cache. What
// the server hasn't got, or has as something else, is said.
func TestTarballFromURL(t *testing.T) {
	local := makeTarball(t)
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(local.Path))))
	defer server.Close()
	spec := SourceSpec{Kind: SourceTarball, URL: server.URL + "/" + filepath.Base(local.Path), SHA256: local.SHA256}
	b := NewBuilder(t.TempDir(), nil)
	img := build(t, b, Spec{Name: "base", Line: "6.12", Profile: "minimal", Source: spec, Fragments: fragments})
	if img.Source.From != FromURL || img.Source.SHA256 != local.SHA256 || img.Release != "6.12.117" {
		t.Errorf("release %s of %+v", img.Release, img.Source)
	}
	wrong, gone := spec, spec
	wrong.SHA256 = strings.Repeat("0", 64)
	gone.URL += ".gone"
	for want, spec := range map[string]SourceSpec{"it isn't the same source": wrong, "404": gone} {
		_, err := NewBuilder(t.TempDir(), nil).Resolve(t.Context(), spec)
		var bad *SourceError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	server.Close()
	again, err := NewBuilder(b.Cache, nil).Resolve(t.Context(), spec)
	if err != nil || again.From != FromCache || again.SHA256 != local.SHA256 {
		t.Errorf("without the server: from %q, %v", again.From, err)
	}
}

// One tree, as a plain folder and as a revision: two sources, each the same
// every time, both buildable.
func TestGitAndTree(t *testing.T) {
	dir := makeTree(t, t.TempDir())
	git := func(args ...string) string {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=x", "-c", "user.email=x@localhost"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "--quiet")
	git("add", ".")
	git("commit", "--quiet", "-m", "one")
	for name, spec := range map[string]SourceSpec{
		"git":  {Kind: SourceGit, Path: dir, Rev: "HEAD"},
		"tree": {Kind: SourceTree, Path: dir},
	} {
		t.Run(name, func(t *testing.T) {
			b := NewBuilder(t.TempDir(), nil)
			img := build(t, b, Spec{Name: "base", Profile: "minimal", Source: spec, Fragments: fragments})
			again, err := NewBuilder(t.TempDir(), nil).Resolve(context.Background(), spec)
			if err != nil || again.SHA256 != img.Source.SHA256 {
				t.Errorf("a second time: %s, %v; want %s", again.SHA256, err, img.Source.SHA256)
			}
			if name == "git" && img.Source.Version != git("rev-parse", "HEAD") {
				t.Errorf("version %s", img.Source.Version)
			}
			if err := os.WriteFile(filepath.Join(dir, "fs/splice.c"), []byte("int "+name+";\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			git("commit", "--quiet", "-a", "-m", name)
			changed, err := NewBuilder(t.TempDir(), nil).Resolve(context.Background(), spec)
			if err != nil || changed.SHA256 == img.Source.SHA256 {
				t.Errorf("after a change: %s, %v", changed.SHA256, err)
			}
		})
	}
	_, err := NewBuilder(t.TempDir(), nil).Resolve(context.Background(), SourceSpec{Kind: SourceGit, Path: dir, Rev: "nope"})
	var bad *SourceError
	if !errors.As(err, &bad) {
		t.Errorf("a revision that isn't there: %v", err)
	}
}

// A revision that was archived before is taken from the cache: the same
// commit by another name, too.
func TestGitFromTheCache(t *testing.T) {
	dir := makeTree(t, t.TempDir())
	commit := gitIn(t, dir)("one")
	b := NewBuilder(t.TempDir(), nil)
	first, err := b.Resolve(context.Background(), SourceSpec{Kind: SourceGit, Path: dir, Rev: "HEAD"})
	if err != nil || first.From != FromPath {
		t.Fatalf("from %q, %v", first.From, err)
	}
	again, err := NewBuilder(b.Cache, nil).Resolve(context.Background(), SourceSpec{Kind: SourceGit, Path: dir, Rev: commit})
	if err != nil || again.From != FromCache || again.SHA256 != first.SHA256 || again.Version != commit {
		t.Errorf("from %q, version %s, sha256 %s (%v), want the first one's, %s", again.From, again.Version, again.SHA256, err, first.SHA256)
	}
}
