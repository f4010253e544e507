package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var fragments = []Text{
	{Name: "common.config", Text: "# comment\nCONFIG_NET=y\nCONFIG_SIZE=4\n"},
	{Name: "minimal.config", Text: "# CONFIG_HARDENED is not set\n"},
}

// spec returns a kernel of the small tree.
func testSpec(t *testing.T, name string, s ...Series) Spec {
	t.Helper()
	return Spec{Name: name, Line: "6.12", Profile: "minimal", Source: makeTarball(t), Series: s, Fragments: fragments}
}

func build(t *testing.T, b *Builder, s Spec) *Image {
	t.Helper()
	img, err := b.Build(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// compiled are the objects that a list of events saw compiled.
func (e events) compiled() int {
	first, last := -1, 0
	for _, x := range e {
		if x.Step == StepCompile {
			if first < 0 {
				first = x.Done
			}
			last = x.Done
		}
	}
	return last - first
}

func (e events) steps() []Step {
	var steps []Step
	for _, x := range e {
		steps = append(steps, x.Step)
	}
	return slices.Compact(steps)
}

func TestBuild(t *testing.T) {
	var said events
	b := NewBuilder(t.TempDir(), said.add)
	spec := testSpec(t, "base")
	base := build(t, b, spec)
	if diff := cmp.Diff([]Step{StepSource, StepUnpack, StepPatch, StepConfigure, StepPrepare, StepCompile, StepLink, StepStore, StepDone}, said.steps()); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if got := said.compiled(); got != 3 {
		t.Errorf("%d objects compiled, want all 3", got)
	}
	if base.Release != "6.12.117" || base.Cached || !strings.HasPrefix(base.Compiler, "gcc") {
		t.Errorf("release %q, cached %v, compiler %q", base.Release, base.Cached, base.Compiler)
	}

	said = nil
	spec.Name, spec.Series = "socket-copy", []Series{series("socket-copy", socketCopy)}
	patched := build(t, b, spec)
	if got := said.compiled(); got != 1 {
		t.Errorf("%d objects compiled for a patch of one file, want 1", got)
	}
	if patched.Signature == base.Signature || patched.VmlinuxSHA256 == base.VmlinuxSHA256 {
		t.Error("the patched kernel is the base")
	}

	said = nil
	spec.Name, spec.Series = "base", nil
	again := build(t, b, spec)
	if !again.Cached || again.Config != base.Config || !slices.Equal(said.steps(), []Step{StepCached}) {
		t.Errorf("cached %v, steps %v", again.Cached, said.steps())
	}

	// A patch that changes nothing that is loaded has base's signature.
	said = nil
	spec.Series = []Series{series("comment", strings.NewReplacer("-\tint flags = 1;", "-/* moves pages */", "+\tint flags = 0;", "+/* moves folios */",
		"@@ -3,7 +3,7 @@ int splice_flags;\n \n int splice_to_socket(int n)\n {\n", "@@ -1,2 +1,2 @@\n", " \n \tsplice_flags = flags;\n \treturn n + flags;\n", " int splice_flags;\n").Replace(socketCopy))}
	comment := build(t, b, spec)
	if comment.Key == base.Key || comment.Signature != base.Signature {
		t.Errorf("a comment changed: keys equal %v, signatures equal %v", comment.Key == base.Key, comment.Signature == base.Signature)
	}
	for _, tt := range []struct {
		img  *Image
		want []string
	}{{comment, nil}, {patched, []string{".text"}}} {
		if got, err := Differences(base, tt.img); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("base and %s differ in %q (%v), want %q", tt.img.Spec.Name, got, err, tt.want)
		}
	}

	// Elsewhere, and after other kernels: the same bytes.
	elsewhere := build(t, NewBuilder(t.TempDir(), nil), testSpec(t, "base"))
	if diff := cmp.Diff([]string{base.VmlinuxSHA256, base.BzImageSHA256}, []string{elsewhere.VmlinuxSHA256, elsewhere.BzImageSHA256}); diff != "" {
		t.Errorf("built elsewhere (-here +there):\n%s", diff)
	}
}

func TestEnvironmentDoesNotLeak(t *testing.T) {
	for _, name := range []string{"CFLAGS", "KCFLAGS", "ARCH", "CROSS_COMPILE", "LLVM", "KCONFIG_NOTIMESTAMP"} {
		t.Setenv(name, "leak")
	}
	t.Setenv("MAKEFLAGS", "--just-print")
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	b := NewBuilder(t.TempDir(), nil)
	img := build(t, b, testSpec(t, "base"))
	env, err := os.ReadFile(filepath.Join(b.treePath(img.Source.SHA256), "out", "minimal", "env.txt"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(env)
	if strings.Contains(text, "leak") || strings.Contains(text, "just-print") || strings.Contains(text, "de_DE") {
		t.Errorf("make saw:\n%s", text)
	}
	for _, want := range append(buildEnv, "LC_ALL=C", "TZ=UTC") {
		if !strings.Contains("\n"+text, "\n"+want+"\n") {
			t.Errorf("make did not see %s:\n%s", want, text)
		}
	}
}

func TestOptionThatDoesNotTake(t *testing.T) {
	b := NewBuilder(t.TempDir(), nil)
	spec := testSpec(t, "base")
	spec.Fragments = append(slices.Clone(fragments), Text{Name: "mine.config", Text: "\nCONFIG_NEVER=y\nCONFIG_SIZE=8\n"})
	_, err := b.Build(context.Background(), spec)
	var bad *ConfigError
	if !errors.As(err, &bad) {
		t.Fatalf("error %v (%T)", err, err)
	}
	want := []string{
		"CONFIG_SIZE=8 (mine.config:3) did not take: it is 4 in the final .config",
		"CONFIG_NEVER=y (mine.config:2) did not take: the final .config does not have it, so this kernel lacks it or what it depends on is off",
	}
	if diff := cmp.Diff(want, bad.Problems); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if bad.ExitStatus() != 2 {
		t.Errorf("exit status %d", bad.ExitStatus())
	}
}

func TestKernelThatDoesNotCompile(t *testing.T) {
	b := NewBuilder(t.TempDir(), nil)
	spec := testSpec(t, "broken", series("broken", strings.ReplaceAll(socketCopy, "+\tint flags = 0;", "+\tint flags = MSG_NONE;")))
	_, err := b.Build(context.Background(), spec)
	var bad *CompileError
	if !errors.As(err, &bad) {
		t.Fatalf("error %v (%T)", err, err)
	}
	want := []string{"fs/splice.c:6:21: error: ‘MSG_NONE’ undeclared (first use in this function)"}
	if diff := cmp.Diff(want, bad.Lines, cmp.Transformer("quotes", func(s string) string { return strings.NewReplacer("'", "", "‘", "", "’", "").Replace(s) })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if log, err := os.ReadFile(bad.Log); err != nil || !strings.Contains(string(log), "each undeclared identifier is reported only once") {
		t.Errorf("log %s: %v: %s", bad.Log, err, log)
	}
	if bad.ExitStatus() != 1 {
		t.Errorf("exit status %d", bad.ExitStatus())
	}
	// The tree is none the worse for it.
	spec.Name, spec.Series = "base", nil
	got := build(t, b, spec)
	want2 := build(t, NewBuilder(t.TempDir(), nil), testSpec(t, "base"))
	if got.VmlinuxSHA256 != want2.VmlinuxSHA256 {
		t.Error("base after a failed build is another kernel")
	}
}

func TestDamagedEntryIsBuiltAgain(t *testing.T) {
	damages := map[string]func(dir string) error{
		"a flipped bit": func(dir string) error {
			name := filepath.Join(dir, "vmlinux")
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			data[len(data)/2] ^= 1
			return os.WriteFile(name, data, 0o644)
		},
		"cut off":       func(dir string) error { return os.Truncate(filepath.Join(dir, "bzImage"), 10) },
		"no vmlinux":    func(dir string) error { return os.Remove(filepath.Join(dir, "vmlinux")) },
		"no image.json": func(dir string) error { return os.Remove(filepath.Join(dir, imageFile)) },
		"half of image.json": func(dir string) error {
			return os.Truncate(filepath.Join(dir, imageFile), 100)
		},
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			var said events
			b := NewBuilder(t.TempDir(), said.add)
			spec := testSpec(t, "base")
			good := build(t, b, spec)
			if err := damage(filepath.Dir(good.Vmlinux)); err != nil {
				t.Fatal(err)
			}
			said = nil
			again := build(t, b, spec)
			if again.Cached || again.VmlinuxSHA256 != good.VmlinuxSHA256 {
				t.Errorf("cached %v, the same vmlinux %v", again.Cached, again.VmlinuxSHA256 == good.VmlinuxSHA256)
			}
			if notes := said.notes(); len(notes) != 1 || !strings.Contains(notes[0], "kernel base in the cache is damaged") {
				t.Errorf("notes %q", notes)
			}
		})
	}
}

// What a kill during the storing leaves is never an entry.
func TestHalfStoredEntryIsNoEntry(t *testing.T) {
	b := NewBuilder(t.TempDir(), nil)
	spec := testSpec(t, "base")
	good := build(t, b, spec)
	entry := filepath.Dir(good.Vmlinux)
	if err := os.Rename(entry, filepath.Join(filepath.Dir(entry), ".new-"+good.Key)); err != nil {
		t.Fatal(err)
	}
	again := build(t, b, spec)
	if again.Cached || again.Key != good.Key {
		t.Errorf("cached %v, key %s", again.Cached, again.Key)
	}
}

// TestKilledWhileCompiling kills the builder's process while make has half an
// object written; make must end too, and the next build must not link the half.
func TestKilledWhileCompiling(t *testing.T) {
	cache := t.TempDir()
	spec := testSpec(t, "base")
	b := NewBuilder(cache, nil)
	base := build(t, b, spec)
	out := filepath.Join(b.treePath(base.Source.SHA256), "out")
	touch(t, filepath.Join(out, "slow"), time.Now())

	spec.Name, spec.Series = "socket-copy", []Series{series("socket-copy", socketCopy)}
	cmd := builderProcess(t, cache, spec)
	waitFor(t, filepath.Join(out, "halfway"))
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := os.Remove(filepath.Join(out, "slow")); err != nil {
		t.Fatal(err)
	}
	// make's own end would remove the half; write it once more, as if make had
	// been killed too. The lock is free once make has gone.
	tr := reopen(t, b, base.Source)
	if err := os.WriteFile(filepath.Join(out, "minimal", "fs", "splice.o"), []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	tr.close()

	got := build(t, b, spec)
	want := build(t, NewBuilder(t.TempDir(), nil), testSpec(t, "socket-copy", spec.Series...))
	if got.VmlinuxSHA256 != want.VmlinuxSHA256 {
		t.Error("the kernel built after the kill is another one")
	}
}

// TestLockOutlivesTheBuilder kills the builder's process while a compiler that
// SIGTERM doesn't end is at work: nobody else may build before it has ended.
func TestLockOutlivesTheBuilder(t *testing.T) {
	b := NewBuilder(t.TempDir(), nil)
	spec := testSpec(t, "base")
	src, err := b.Resolve(context.Background(), spec.Source)
	if err != nil {
		t.Fatal(err)
	}
	reopen(t, b, src).close()
	out := filepath.Join(b.treePath(src.SHA256), "out")
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	touch(t, filepath.Join(out, "stubborn"), time.Now())
	cmd := builderProcess(t, b.Cache, spec)
	waitFor(t, filepath.Join(out, "halfway"))
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	ctx, cancel := context.WithCancel(context.Background())
	lock, err := acquire(ctx, filepath.Join(b.treePath(src.SHA256), "lock"), cancel)
	if !errors.Is(err, context.Canceled) {
		lock.Close()
		t.Errorf("the lock was free while a compiler ran: %v", err)
	}
	if err := os.Remove(filepath.Join(out, "stubborn")); err != nil {
		t.Fatal(err)
	}
	build(t, b, spec)
}

// builderProcess starts a process of its own that builds spec.
func builderProcess(t *testing.T, cache string, spec Spec) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "KERNEL_TEST_BUILD="+string(text), "KERNEL_TEST_CACHE="+cache)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestCancelEndsMake(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b := NewBuilder(t.TempDir(), nil)
	spec := testSpec(t, "base")
	src, err := b.Resolve(ctx, spec.Source)
	if err != nil {
		t.Fatal(err)
	}
	reopen(t, b, src).close()
	out := filepath.Join(b.treePath(src.SHA256), "out")
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	touch(t, filepath.Join(out, "slow"), time.Now())
	go func() {
		for !exists(filepath.Join(out, "halfway")) {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	if _, err := b.Build(ctx, spec); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want the context's", err)
	}
	if err := os.Remove(filepath.Join(out, "slow")); err != nil {
		t.Fatal(err)
	}
	build(t, b, spec)
}

func waitFor(t *testing.T, name string) {
	t.Helper()
	for !exists(name) {
		time.Sleep(5 * time.Millisecond)
	}
}

func TestMissingToolsAreNamedTogether(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := NewBuilder(t.TempDir(), nil).Build(context.Background(), testSpecWithoutTools())
	var host *HostError
	if !errors.As(err, &host) {
		t.Fatalf("error %v (%T)", err, err)
	}
	want := []string{"make", "gcc", "binutils", "flex", "bison", "bc", "git", "tar", "xz-utils", "gzip", "lz4", "perl"}
	if diff := cmp.Diff(want, host.Packages); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if host.ExitStatus() != 3 {
		t.Errorf("exit status %d", host.ExitStatus())
	}
}

func testSpecWithoutTools() Spec {
	return Spec{Name: "base", Profile: "minimal", Source: SourceSpec{Kind: SourceTree, Path: "/nowhere"}}
}

func TestBadRequests(t *testing.T) {
	good := testSpec(t, "base")
	tests := map[string]struct {
		cache string
		edit  func(*Spec)
		want  string
	}{
		"cache with a blank": {"/tmp/my cache", func(*Spec) {}, `kernel source: cache folder "/tmp/my cache" holds a blank or a colon, which the kernel's makefiles refuse: set SPLICELAB_CACHE to another`},
		"relative cache":     {"cache", func(*Spec) {}, `kernel source: cache folder "cache" is not an absolute path`},
		"name with a slash":  {t.TempDir(), func(s *Spec) { s.Name = "../x" }, `kernel configuration: "../x" can't be the name of a kernel or a profile: letters, digits, dots and dashes can`},
		"unknown source":     {t.TempDir(), func(s *Spec) { s.Source.Kind = "svn" }, `kernel source: unknown kind "svn": debian, tarball, git and tree are known`},
		"fragment": {t.TempDir(), func(s *Spec) { s.Fragments = []Text{{Name: "mine.config", Text: "CONFIG_A=y\nNET=y\n"}} },
			`kernel configuration: mine.config:2: "NET=y" is neither CONFIG_X=y nor "# CONFIG_X is not set"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			spec := good
			tt.edit(&spec)
			_, err := NewBuilder(tt.cache, nil).Build(context.Background(), spec)
			var status interface{ ExitStatus() int }
			if !errors.As(err, &status) || status.ExitStatus() != 2 {
				t.Fatalf("error %v (%T) is not one of usage", err, err)
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestKey(t *testing.T) {
	src := Source{SHA256: strings.Repeat("a", 64)}
	spec := Spec{Name: "base", Fragments: fragments, Series: []Series{series("a", socketCopy, wrapper)}}
	of := func(edit func(*Spec, *Source, *string)) string {
		s, from, compiler := spec, src, "gcc 12"
		edit(&s, &from, &compiler)
		k, err := key(s, from, compiler)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	base := of(func(*Spec, *Source, *string) {})
	same := map[string]func(*Spec, *Source, *string){
		"name": func(s *Spec, _ *Source, _ *string) { s.Name = "other" },
		"comments": func(s *Spec, _ *Source, _ *string) {
			s.Fragments = []Text{{Text: "CONFIG_NET=y\n# why\nCONFIG_SIZE=4\n\n# CONFIG_HARDENED is not set\n"}}
		},
		"grouping": func(s *Spec, _ *Source, _ *string) {
			s.Series = []Series{series("x", socketCopy), series("y", wrapper)}
		},
	}
	for name, edit := range same {
		if of(edit) != base {
			t.Errorf("%s is part of the key", name)
		}
	}
	other := map[string]func(*Spec, *Source, *string){
		"source":   func(_ *Spec, s *Source, _ *string) { s.SHA256 = strings.Repeat("b", 64) },
		"compiler": func(_ *Spec, _ *Source, c *string) { *c = "gcc 13" },
		"option":   func(s *Spec, _ *Source, _ *string) { s.Fragments = fragments[:1] },
		"patch":    func(s *Spec, _ *Source, _ *string) { s.Series = []Series{series("a", socketCopy)} },
		"order":    func(s *Spec, _ *Source, _ *string) { s.Series = []Series{series("a", wrapper, socketCopy)} },
	}
	for name, edit := range other {
		if of(edit) == base {
			t.Errorf("%s is not part of the key", name)
		}
	}
}
