package initrd

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/u-root/u-root/pkg/cpio"

	"splicelab/workloads/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

// source is an agent in small, for the toolchain that runs the test.
func source(edit func(fstest.MapFS)) fstest.MapFS {
	src := fstest.MapFS{
		"go.mod":                        {Data: []byte("module splicelab\n\ngo 1.26.0\n\ntoolchain " + runtime.Version() + "\n")},
		"go.sum":                        {},
		"workloads/guest/main.go":       {Data: []byte("package main\n\nimport \"splicelab/workloads/wire\"\n\nfunc main() { println(wire.Version) }\n")},
		"workloads/wire/wire.go":        {Data: []byte("package wire\n\nconst Version = 1\n")},
		"workloads/wire/wire_test.go":   {Data: []byte("package wire\n")},
		"workloads/wire/testdata/a.txt": {Data: []byte("a")},
	}
	if edit != nil {
		edit(src)
	}
	return src
}

func guest(t *testing.T, cache string, src fstest.MapFS) Guest {
	t.Helper()
	g, err := BuildGuest(context.Background(), cache, src)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGuestIsTheSameEverywhere(t *testing.T) {
	here := guest(t, t.TempDir(), source(nil))
	for name, value := range map[string]string{"GOFLAGS": "-tags=other -race", "CGO_ENABLED": "1", "GOAMD64": "v3", "GOARCH": "arm64", "GOEXPERIMENT": "none", "GOWORK": "/nowhere/go.work"} {
		t.Setenv(name, value)
	}
	there := guest(t, filepath.Join(t.TempDir(), "a", "longer", "path"), source(nil))
	if here.SHA256 != there.SHA256 || here.Size != there.Size {
		t.Errorf("here %+v, there %+v", here, there)
	}
	if here.Cached || here.GoVersion != runtime.Version() {
		t.Errorf("%+v", here)
	}
}

func TestGuestCache(t *testing.T) {
	cache := t.TempDir()
	first := guest(t, cache, source(nil))
	if again := guest(t, cache, source(nil)); !again.Cached || again.SHA256 != first.SHA256 || again.Path != first.Path {
		t.Errorf("first %+v, again %+v", first, again)
	}
	test := guest(t, cache, source(func(src fstest.MapFS) { src["workloads/wire/wire_test.go"].Data = []byte("package wire // more\n") }))
	if !test.Cached {
		t.Error("a test's source is part of the key")
	}
	other := guest(t, cache, source(func(src fstest.MapFS) {
		src["workloads/wire/wire.go"].Data = []byte("package wire\n\nconst Version = 2\n")
	}))
	if other.Cached || other.SHA256 == first.SHA256 {
		t.Errorf("another source gave %+v", other)
	}
	if err := os.WriteFile(first.Path, []byte("damaged"), 0o755); err != nil {
		t.Fatal(err)
	}
	if mended := guest(t, cache, source(nil)); mended.Cached || mended.SHA256 != first.SHA256 {
		t.Errorf("after damage %+v", mended)
	}
}

func TestGuestErrors(t *testing.T) {
	var noCompile *BuildError
	_, err := BuildGuest(context.Background(), t.TempDir(), source(func(src fstest.MapFS) {
		src["workloads/guest/main.go"].Data = []byte("package main\n\nfunc main() { nope() }\n")
	}))
	if !errors.As(err, &noCompile) || noCompile.ExitStatus() != 1 || !strings.Contains(err.Error(), "undefined: nope") {
		t.Errorf("a source that doesn't compile: %v", err)
	}
	if _, err := BuildGuest(context.Background(), t.TempDir(), source(func(src fstest.MapFS) { src["go.mod"].Data = []byte("module splicelab\n") })); err == nil {
		t.Error("a go.mod without a version is accepted")
	}
	t.Setenv("PATH", t.TempDir())
	var host *HostError
	if _, err := BuildGuest(context.Background(), t.TempDir(), source(nil)); !errors.As(err, &host) || host.ExitStatus() != 3 {
		t.Errorf("no go: %v", err)
	}
}

func TestToolchainOf(t *testing.T) {
	for in, want := range map[string]string{
		"module x\n\ngo 1.26.0\n\ntoolchain go1.26.8\n":      "go1.26.8",
		"module x\n// toolchain go1.1\ngo 1.26.1\n":          "go1.26.1",
		"toolchain go1.26.8 \r\nmodule x\n":                  "go1.26.8",
		"module x\nrequire y v1.0.0 // go 1.2\n":             "",
		"module x\nrequire (\n\ttoolchain/go1.2 v1.0.0\n)\n": "",
	} {
		got, err := toolchainOf([]byte(in))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
}

// fake is an agent's binary that isn't one: what is packed doesn't matter.
func fake(t *testing.T, content string) Guest {
	t.Helper()
	path := filepath.Join(t.TempDir(), "guest")
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	return Guest{Path: path, SHA256: sum([]byte(content)), Size: int64(len(content))}
}

// list prints every archive in a file, one behind the other.
func list(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for n := 1; len(data) > 0; n++ {
		fmt.Fprintf(&out, "archive %d\n", n)
		r := cpio.Newc.Reader(bytes.NewReader(data))
		last := int64(0)
		for {
			f, err := r.ReadRecord()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "%-12s ino %d mode %06o owner %d:%d links %d time %d size %d device %d:%d\n", f.Name, f.Ino, f.Mode, f.UID, f.GID, f.NLink, f.MTime, f.FileSize, f.Rmajor, f.Rminor)
			last = f.FilePos + int64(f.FileSize+3)&^3
		}
		// The trailer is a header of 110 bytes and the name, padded to four.
		data = data[last+124:]
	}
	return out.String()
}

func TestListing(t *testing.T) {
	i, err := Build(context.Background(), t.TempDir(), fake(t, "agent"))
	if err != nil {
		t.Fatal(err)
	}
	dst := filepath.Join(t.TempDir(), "initrd")
	if err := WithPlan(dst, i, bytes.Repeat([]byte("p"), wire.PlanSize)); err != nil {
		t.Fatal(err)
	}
	got := list(t, dst)
	const golden = "testdata/listing.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestInitramfsIsAFunctionOfTheAgent(t *testing.T) {
	ctx := context.Background()
	a, err := Build(ctx, t.TempDir(), fake(t, "agent"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Build(ctx, t.TempDir(), fake(t, "agent"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := Build(ctx, t.TempDir(), fake(t, "Agent"))
	if err != nil {
		t.Fatal(err)
	}
	if a.SHA256 != b.SHA256 || a.SHA256 == other.SHA256 || a.Size != other.Size {
		t.Errorf("a %+v, b %+v, other %+v", a, b, other)
	}
	wrong := fake(t, "agent")
	wrong.SHA256 = other.SHA256
	if _, err := Build(ctx, t.TempDir(), wrong); err == nil {
		t.Error("a binary with another hash was packed")
	}
}

// The kernel finds the very bytes of the agent as /init, whatever their length.
func TestInitRoundTrips(t *testing.T) {
	for _, size := range []int{0, 1, 2, 3, 4, 5, 4095, 4096, 1 << 20} {
		want := strings.Repeat("x", size)
		i, err := Build(context.Background(), t.TempDir(), fake(t, want))
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(i.Path)
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(data)) != i.Size || sum(data) != i.SHA256 || len(data)%4 != 0 {
			t.Errorf("size %d: %+v, file of %d bytes", size, i, len(data))
		}
		records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(data)))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, r := range records {
			if r.Name != "init" {
				continue
			}
			found = true
			got, err := io.ReadAll(io.NewSectionReader(r, 0, int64(r.FileSize)))
			if err != nil || string(got) != want {
				t.Errorf("size %d: /init holds %d bytes, %v", size, len(got), err)
			}
		}
		if !found {
			t.Errorf("size %d: no /init", size)
		}
	}
}

func TestWithPlan(t *testing.T) {
	i, err := Build(context.Background(), t.TempDir(), fake(t, "agent"))
	if err != nil {
		t.Fatal(err)
	}
	dst := filepath.Join(t.TempDir(), "initrd")
	sizes := make(map[int64]bool)
	for _, p := range []wire.Plan{
		{Version: wire.Version, Kind: wire.KindCount, Family: "file-tcp", Seed: 1},
		{Version: wire.Version, Kind: wire.KindCount, Family: "user-pipe", Seed: 1 << 60, Chunks: []int64{4096, 65536, 1 << 20}, Reps: 3},
	} {
		plan, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := WithPlan(dst, i, plan); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(dst)
		if err != nil {
			t.Fatal(err)
		}
		sizes[int64(len(data))] = true
		if !bytes.Contains(data[i.Size:], plan) || sum(data[:i.Size]) != i.SHA256 {
			t.Error("the file isn't the initramfs and the plan")
		}
	}
	if len(sizes) != 1 {
		t.Errorf("sizes %v, want one", sizes)
	}
	if err := WithPlan(dst, i, []byte("short")); !errors.Is(err, wire.ErrPlan) {
		t.Errorf("a plan of another size: %v", err)
	}
	if err := os.Truncate(i.Path, 8); err != nil {
		t.Fatal(err)
	}
	if err := WithPlan(dst, i, make([]byte, wire.PlanSize)); err == nil {
		t.Error("a damaged initramfs was used")
	}
}

// A program's files lie behind the lab's own initramfs, which stays as it was:
// the boots of copy paths keep their digits.
func TestWithFiles(t *testing.T) {
	ctx := context.Background()
	cache := t.TempDir()
	base, err := Build(ctx, cache, fake(t, "agent"))
	if err != nil {
		t.Fatal(err)
	}
	files := []File{{Path: "/usr/bin/tool", Mode: 0o755, Data: []byte("tool")}, {Path: "/own/data", Mode: 0o644, Data: []byte("x")}}
	i, err := With(ctx, cache, base, []string{"/own", "/a/b"}, files)
	if err != nil {
		t.Fatal(err)
	}
	got := list(t, i.Path)
	_, got, _ = strings.Cut(got, "archive 2\n")
	want := `a            ino 1 mode 040755 owner 0:0 links 1 time 0 size 0 device 0:0
a/b          ino 2 mode 040755 owner 0:0 links 1 time 0 size 0 device 0:0
own          ino 3 mode 040755 owner 0:0 links 1 time 0 size 0 device 0:0
own/data     ino 4 mode 100644 owner 0:0 links 1 time 0 size 1 device 0:0
usr          ino 5 mode 040755 owner 0:0 links 1 time 0 size 0 device 0:0
usr/bin      ino 6 mode 040755 owner 0:0 links 1 time 0 size 0 device 0:0
usr/bin/tool ino 7 mode 100755 owner 0:0 links 1 time 0 size 4 device 0:0
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	data, err := os.ReadFile(i.Path)
	if err != nil || sum(data[:base.Size]) != base.SHA256 || int64(len(data)) != i.Size {
		t.Errorf("it doesn't begin with the lab's own: %v", err)
	}
	kept, err := Cached(cache, i.SHA256)
	if err != nil || kept != i {
		t.Errorf("from the cache: %+v, %v; want %+v", kept, err, i)
	}
	if err := os.Truncate(i.Path, 8); err != nil {
		t.Fatal(err)
	}
	if _, err := Cached(cache, i.SHA256); err == nil {
		t.Error("a damaged initramfs is taken from the cache")
	}
}
