package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func apply(t *testing.T, tr *tree, s ...Series) {
	t.Helper()
	if err := tr.apply(context.Background(), s); err != nil {
		t.Fatal(err)
	}
}

func TestApplyAndBack(t *testing.T) {
	_, _, tr := openTest(t)
	src := filepath.Join(tr.dir, "src")
	pristine := snapshot(t, src)

	apply(t, tr, series("every-kind", everyKind), series("socket-copy", socketCopy))
	want := make(map[string]string)
	for name, what := range pristine {
		want[name] = what
	}
	got := snapshot(t, src)
	for _, gone := range []string{"fs/read_write.c", "net/socket.c"} {
		delete(want, gone)
	}
	for _, name := range []string{"fs/sendfile.c", "fs/copy", "fs/copy/deep", "fs/copy/deep/notes.txt", "net/sock.c", "fs/splice.c", "scripts/run.sh"} {
		if got[name] == want[name] {
			t.Errorf("%s is as it was", name)
		}
		want[name] = got[name]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files that no patch touches (-pristine +patched):\n%s", diff)
	}
	if data, _ := os.ReadFile(filepath.Join(src, "net/sock.c")); !strings.Contains(string(data), "return n - 1;") {
		t.Errorf("net/sock.c holds %q", data)
	}
	if info, err := os.Stat(filepath.Join(src, "scripts/run.sh")); err != nil || info.Mode() != 0o644 {
		t.Errorf("scripts/run.sh: %v, %v", info.Mode(), err)
	}

	apply(t, tr)
	if diff := cmp.Diff(pristine, snapshot(t, src)); diff != "" {
		t.Errorf("back at base (-want +got):\n%s", diff)
	}
	if len(tr.touched()) > 0 {
		t.Errorf("the journal still names %v", tr.touched())
	}
}

// Only what differs is written: make goes by times.
func TestSwitchMovesOnlyTimesOfWhatDiffers(t *testing.T) {
	_, _, tr := openTest(t)
	src := filepath.Join(tr.dir, "src")
	times := func() map[string]time.Time {
		all := make(map[string]time.Time)
		for name := range snapshot(t, src) {
			info, err := os.Stat(filepath.Join(src, name))
			if err != nil {
				t.Fatal(err)
			}
			if !info.IsDir() {
				all[name] = info.ModTime()
			}
		}
		return all
	}
	moved := func(do ...Series) []string {
		before := times()
		apply(t, tr, do...)
		var names []string
		for name, at := range times() {
			if !at.Equal(before[name]) {
				names = append(names, name)
			}
		}
		return names
	}
	// Its context reaches what socket-copy changes; the stack changes one file.
	if diff := cmp.Diff([]string{"fs/splice.c"}, moved(series("a", socketCopy), series("b", wrapper))); diff != "" {
		t.Errorf("first switch (-want +got):\n%s", diff)
	}
	if got := moved(series("a", socketCopy), series("b", wrapper)); got != nil {
		t.Errorf("the same again wrote %v", got)
	}
	if got := moved(series("one", socketCopy, wrapper)); got != nil {
		t.Errorf("the same contents by other names wrote %v", got)
	}
	at := time.Now()
	if diff := cmp.Diff([]string{"fs/splice.c"}, moved()); diff != "" {
		t.Errorf("back (-want +got):\n%s", diff)
	}
	if now := times()["fs/splice.c"]; now.Before(at.Add(-time.Second)) {
		t.Errorf("the pristine file came back with its old time %v: make would not see it", now)
	}
}

func TestPatchThatDoesNotApply(t *testing.T) {
	conflict := strings.ReplaceAll(socketCopy, "int flags = 1;", "int flags = 7;")
	context1 := strings.Replace(wrapper, " int vmsplice(int n)\n", " int vmsplice(long n)\n", 1)
	tests := []struct {
		name string
		in   []Series
		want PatchError
	}{
		{
			name: "second hunk of a stack",
			in:   []Series{series("wrapper", wrapper), series("broken", socketCopy, conflict)},
			want: PatchError{Series: "broken", Patch: "0002-broken.patch", File: "fs/splice.c", Line: 3, Hunk: 1,
				Detail: "patch failed: fs/splice.c:3, fs/splice.c: patch does not apply",
				Reject: "diff a/fs/splice.c b/fs/splice.c\t(rejected hunks)\n@@ -3,7 +3,7 @@ int splice_flags;\n \n int splice_to_socket(int n)\n {\n-\tint flags = 7;\n+\tint flags = 0;\n \n \tsplice_flags = flags;\n \treturn n + flags;\n"},
		},
		{
			name: "one line of context differs: no fuzz",
			in:   []Series{series("fuzzy", context1)},
			want: PatchError{Series: "fuzzy", Patch: "0001-fuzzy.patch", File: "fs/splice.c", Line: 11, Hunk: 1,
				Detail: "patch failed: fs/splice.c:11, fs/splice.c: patch does not apply",
				Reject: "diff a/fs/splice.c b/fs/splice.c\t(rejected hunks)\n@@ -11,5 +11,5 @@ int splice_to_socket(int n)\n \n int vmsplice(long n)\n {\n-\treturn n;\n+\treturn n + 1;\n }\n"},
		},
		{
			name: "file isn't there",
			in:   []Series{series("elsewhere", strings.ReplaceAll(wrapper, "fs/splice.c", "mm/splice.c"))},
			want: PatchError{Series: "elsewhere", Patch: "0001-elsewhere.patch", Detail: "mm/splice.c: No such file or directory"},
		},
		{
			name: "cover letter",
			in:   []Series{series("cover", "Subject: [PATCH 0/2] what and why\n")},
			want: PatchError{Series: "cover", Patch: "0001-cover.patch", Detail: "no diff in it"},
		},
		{
			name: "out of the tree",
			in:   []Series{series("evil", strings.ReplaceAll(wrapper, "fs/splice.c", "../../lock"))},
			want: PatchError{Series: "evil", Patch: "0001-evil.patch",
				Detail: `line 1: file name "a/../../lock": a file below the tree is needed, as in a/fs/splice.c`},
		},
	}
	_, _, tr := openTest(t)
	apply(t, tr, series("socket-copy", socketCopy))
	before := snapshot(t, filepath.Join(tr.dir, "src"))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tr.apply(context.Background(), tt.in)
			var got *PatchError
			if !errors.As(err, &got) {
				t.Fatalf("error %v (%T)", err, err)
			}
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.ExitStatus() != 2 || strings.Contains(got.Error(), "\n") {
				t.Errorf("status %d, message %q", got.ExitStatus(), got)
			}
			if diff := cmp.Diff(before, snapshot(t, filepath.Join(tr.dir, "src"))); diff != "" {
				t.Errorf("the tree changed (-before +after):\n%s", diff)
			}
		})
	}
}

// A cache inside a git repository is the trap: git apply then silently passes
// over files that it believes outside its folder.
func TestApplyInsideARepository(t *testing.T) {
	b := NewBuilder(filepath.Join(t.TempDir(), "home", "cache"), nil)
	if out, err := exec.Command("git", "init", "--quiet", filepath.Dir(b.Cache)).CombinedOutput(); err != nil {
		t.Fatalf("git init: %v: %s", err, out)
	}
	src, err := b.Resolve(context.Background(), makeTarball(t))
	if err != nil {
		t.Fatal(err)
	}
	tr := reopen(t, b, src)
	apply(t, tr, series("socket-copy", socketCopy))
	data, err := os.ReadFile(filepath.Join(tr.dir, "src/fs/splice.c"))
	if err != nil || !strings.Contains(string(data), "flags = 0") {
		t.Errorf("the patch did nothing: %v, %s", err, data)
	}
}

// TestKilledWhileSwitching kills a process that switches for ever, at some
// moment, again and again; whatever it left, the next switch must end with the
// right tree.
func TestKilledWhileSwitching(t *testing.T) {
	b, src, tr := openTest(t)
	dir := filepath.Join(tr.dir, "src")
	pristine := snapshot(t, dir)
	stack := []Series{series("every-kind", everyKind), series("socket-copy", socketCopy)}
	apply(t, tr, stack...)
	patched := snapshot(t, dir)
	tr.close()

	for round := range 20 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMain$")
		cmd.Env = append(os.Environ(), "KERNEL_TEST_SWITCH="+b.Cache, "KERNEL_TEST_SHA256="+src.SHA256)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ready := make([]byte, 1)
		if _, err := out.Read(ready); err != nil {
			t.Fatalf("the switching process said nothing: %v", err)
		}
		time.Sleep(time.Duration(round) * 1700 * time.Microsecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()

		tr := reopen(t, b, src)
		want, what := pristine, []Series(nil)
		if round%2 == 1 {
			want, what = patched, stack
		}
		apply(t, tr, what...)
		if diff := cmp.Diff(want, snapshot(t, dir)); diff != "" {
			t.Fatalf("round %d (-want +got):\n%s", round, diff)
		}
		tr.close()
	}
}

// switchForEver is the process that TestKilledWhileSwitching kills.
func switchForEver(cache, sum string) error {
	b := NewBuilder(cache, nil)
	tr, err := b.openTree(context.Background(), "test", Source{SHA256: sum, Tarball: b.tarball(sum)})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		for _, s := range [][]Series{nil, {series("every-kind", everyKind), series("socket-copy", socketCopy)}, {series("wrapper", wrapper)}} {
			if err := tr.apply(context.Background(), s); err != nil {
				return err
			}
		}
	}
}

// What a kill in the middle of the writing leaves: the journal names the files,
// their contents are anything.
func TestJournalRepairs(t *testing.T) {
	b, src, tr := openTest(t)
	dir := filepath.Join(tr.dir, "src")
	pristine := snapshot(t, dir)
	apply(t, tr, series("every-kind", everyKind))
	tr.close()
	for name, content := range map[string]string{"fs/sendfile.c": "half", "fs/read_write.c": "neither", "net/socket.c": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tr = reopen(t, b, src)
	apply(t, tr)
	if diff := cmp.Diff(pristine, snapshot(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTreeIsUnpackedAgainWithItsOutput(t *testing.T) {
	for _, damage := range []string{"state.json", "src"} {
		t.Run(damage, func(t *testing.T) {
			b, src, tr := openTest(t)
			pristine := snapshot(t, filepath.Join(tr.dir, "src"))
			apply(t, tr, series("socket-copy", socketCopy))
			o, err := tr.output("minimal")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(o.dir, "splice.o"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			tr.close()
			if err := os.RemoveAll(filepath.Join(tr.dir, damage)); err != nil {
				t.Fatal(err)
			}
			tr = reopen(t, b, src)
			if diff := cmp.Diff(pristine, snapshot(t, filepath.Join(tr.dir, "src"))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if exists(filepath.Join(o.dir, "splice.o")) {
				t.Error("an object of the patched file is still there, newer than its source")
			}
		})
	}
}

func TestRepairOfOutput(t *testing.T) {
	_, _, tr := openTest(t)
	start := time.Now().Add(-time.Hour)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	const before, during, later = 0, 100, 101 // the mark is of second 50
	// name → second.
	files := map[string]int{
		"old.o": before, ".old.o.cmd": before,
		"whole.o": during, ".whole.o.cmd": later,
		"half.o":  during,                         // the compiler was writing it
		"again.o": during, ".again.o.cmd": before, // the same, over an older one
		"deps.o": during, ".deps.o.d": during, ".deps.o.cmd": later, // fixdep was
		".config": during, "generated.h": during,
	}
	tests := []struct {
		phase string
		gone  []string
	}{
		{phaseBuild, []string{"half.o", "again.o", "deps.o", ".deps.o.d", ".config", "generated.h"}},
		{phasePrepare, []string{"whole.o", ".whole.o.cmd", "half.o", "again.o", "deps.o", ".deps.o.d", ".deps.o.cmd", ".config", "generated.h"}},
	}
	for _, tt := range tests {
		t.Run(tt.phase, func(t *testing.T) {
			o, err := tr.output(tt.phase)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]bool{}
			for name, second := range files {
				want[name] = true
				touch(t, filepath.Join(o.dir, name), at(second))
			}
			for _, name := range tt.gone {
				delete(want, name)
			}
			touch(t, o.mark(tt.phase), at(50))
			if err := o.repair(); err != nil {
				t.Fatal(err)
			}
			got := map[string]bool{}
			for name, what := range snapshot(t, o.dir) {
				if what != "folder" {
					got[name] = true
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
			if exists(o.mark(tt.phase)) {
				t.Error("the mark is still there")
			}
		})
	}
}

func touch(t *testing.T, name string, at time.Time) {
	t.Helper()
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, at, at); err != nil {
		t.Fatal(err)
	}
}

// A git tree whose revision has moved on under a patch: merged by the blobs
// that the patch names, as git am -3 does it. A conflict is no merge.
func TestThreeWay(t *testing.T) {
	dir := makeTree(t, t.TempDir())
	commit := gitIn(t, dir)
	name := filepath.Join(dir, "fs/splice.c")
	edit := func(from, to string) {
		t.Helper()
		text, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(text), from) {
			t.Fatalf("%q is not in %s (%v)", from, name, err)
		}
		if err := os.WriteFile(name, []byte(strings.Replace(string(text), from, to, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	one := commit("init")
	edit("int flags = 1;", "int flags = 0;")
	two := commit("the patch")
	patch := gitOutput(t, dir, "diff", "--full-index", one, two)
	gitOutput(t, dir, "reset", "--quiet", "--hard", one)
	edit("\tsplice_flags = flags;", "\tsplice_flags = flags; /* near */")
	moved := commit("a neighbour")
	edit("int flags = 1;", "int flags = 2;")
	conflicting := commit("the same line")

	b := NewBuilder(filepath.Join(t.TempDir(), "cache"), nil)
	try := func(rev, patch string) (*tree, error) {
		src, err := b.Resolve(context.Background(), SourceSpec{Kind: SourceGit, Path: dir, Rev: rev})
		if err != nil {
			t.Fatal(err)
		}
		tr, err := b.openTree(context.Background(), "test", src)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.close()
		return tr, tr.apply(context.Background(), []Series{series("mine", patch)})
	}
	tr, err := try(moved, patch)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"mine/0001-mine.patch"}, tr.merged); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
	text, _ := os.ReadFile(filepath.Join(tr.dir, "src/fs/splice.c"))
	for _, want := range []string{"int flags = 0;", "/* near */"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the merged file lacks %q:\n%s", want, text)
		}
	}
	if tr, err := try(one, patch); err != nil || len(tr.merged) > 0 {
		t.Errorf("on its own base: %v, merged %q", err, tr.merged)
	}

	for what, p := range map[string]string{"a conflict": patch, "blobs that aren't there": strings.ReplaceAll(patch, "index ", "index 1")} {
		tr, err := try(conflicting, p)
		var bad *PatchError
		if !errors.As(err, &bad) || !strings.Contains(bad.Reject, "-\tint flags = 1;\n+\tint flags = 0;\n") || strings.Contains(bad.Reject, "<<<") {
			t.Errorf("%s: %v, reject:\n%s", what, err, bad.Excerpt())
		}
		if text, _ := os.ReadFile(filepath.Join(tr.dir, "src/fs/splice.c")); !strings.Contains(string(text), "int flags = 2;") {
			t.Errorf("%s changed the tree:\n%s", what, text)
		}
	}
}

// gitIn makes dir a repository and returns a function that commits all of it.
func gitIn(t *testing.T, dir string) (commit func(message string) string) {
	t.Helper()
	gitOutput(t, dir, "init", "--quiet")
	return func(message string) string {
		t.Helper()
		gitOutput(t, dir, "add", ".")
		gitOutput(t, dir, "commit", "--quiet", "-m", message)
		return strings.TrimSpace(gitOutput(t, dir, "rev-parse", "HEAD"))
	}
}

func gitOutput(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=x", "-c", "user.email=x@localhost"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return string(out)
}

// Whether patches apply is known without a build, and without a trace in the
// tree.
func TestCheck(t *testing.T) {
	b := NewBuilder(t.TempDir(), nil)
	img := build(t, b, testSpec(t, "base"))
	src := filepath.Join(b.treePath(img.Source.SHA256), "src")
	before := snapshot(t, src)
	spec := testSpec(t, "mine", series("mine", socketCopy))
	if err := b.Check(context.Background(), spec); err != nil {
		t.Error(err)
	}
	spec.Series = append(spec.Series, series("again", socketCopy))
	var bad *PatchError
	if err := b.Check(context.Background(), spec); !errors.As(err, &bad) || bad.Series != "again" {
		t.Errorf("the same patch twice: %v", err)
	}
	if diff := cmp.Diff(before, snapshot(t, src)); diff != "" {
		t.Errorf("the tree changed (-before +after):\n%s", diff)
	}
}
