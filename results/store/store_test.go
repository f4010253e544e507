package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"splicelab/images/kernel"
)

func manifest(boots ...string) Manifest {
	m := Manifest{
		Name: "test", Started: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC), Baseline: "base", Mode: "count",
		Kernels: []kernel.Image{{Spec: kernel.Spec{Name: "base", Series: []kernel.Series{{Name: "s", Patches: []kernel.Text{{
			Name: "0001.patch", Text: "From: A <a@b>\n+\tx && y\n"}}}}}}},
	}
	for i, name := range boots {
		m.Boots = append(m.Boots, Boot{Name: name, Kernel: "base", Family: "user-pipe", Condition: "qemu64", Seed: uint64(i)})
	}
	return m
}

func sample(boot string, rep int) Sample {
	return Sample{Kernel: "base", Workload: "user-pipe/write", Schedule: "lockstep", CPUModel: "qemu64", Profile: "minimal", Chunk: 4096,
		Bytes: 1 << 24, Mode: "count", Boot: boot, Rep: rep, Metrics: map[string]int64{"insns": int64(1000 + rep)}, Outcome: OK}
}

func done(name string) Boot { return Boot{Name: name, Kernel: "base", Outcome: OK} }

func create(t *testing.T, boots ...string) *Run {
	t.Helper()
	r, err := Create(filepath.Join(t.TempDir(), "run"), manifest(boots...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func commit(t *testing.T, r *Run, name string, reps int) {
	t.Helper()
	var list []Sample
	for rep := range reps {
		list = append(list, sample(name, rep))
	}
	if err := r.Commit(done(name), list); err != nil {
		t.Fatal(err)
	}
}

func reopen(t *testing.T, r *Run) *Run {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(r.Dir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close() })
	return again
}

func loadReps(t *testing.T, dir string) []string {
	t.Helper()
	_, samples, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range samples {
		out = append(out, fmt.Sprintf("%s/%d", s.Boot, s.Rep))
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	r := create(t, "a", "b", "c")
	commit(t, r, "b", 2)
	if err := r.Commit(Boot{Name: "a", Kernel: "base", Outcome: "hang", Detail: "why"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.Update(func(m *Manifest) { m.Notes = append(m.Notes, "said") }); err != nil {
		t.Fatal(err)
	}
	m, samples, err := Load(r.Dir()) // while it is open for writing
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.Manifest(), m); diff != "" {
		t.Errorf("manifest (-written +read):\n%s", diff)
	}
	if diff := cmp.Diff([]Sample{sample("b", 0), sample("b", 1)}, samples); diff != "" {
		t.Errorf("samples (-written +read):\n%s", diff)
	}
	if got := r.Pending(); len(got) != 1 || got[0].Name != "c" {
		t.Errorf("pending %v, want c alone", got)
	}
	if m.Boots[0].Detail != "why" || m.Notes[0] != "said" || !m.Started.Equal(manifest().Started) {
		t.Errorf("lost something: %+v", m)
	}
	text, err := os.ReadFile(filepath.Join(r.Dir(), ManifestName))
	if err != nil || !bytes.Contains(text, []byte("A <a@b>")) {
		t.Errorf("a patch is not readable in the manifest (%v)", err)
	}
}

// TestResume tears the run in every way in which a killed lab or a full disk
// leaves it, and goes on.
func TestResume(t *testing.T) {
	line := func(s Sample) string {
		text, _, err := encodeSamples(s.Boot, []Sample{s})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, tt := range []struct {
		name, tail string
		note       bool
	}{
		{"clean", "", false},
		{"torn line", line(sample("b", 0))[:40], true},
		{"whole samples of an unfinished boot", line(sample("b", 0)) + line(sample("b", 1)), true},
		{"zeros", strings.Repeat("\x00", 4096), true},
		{"garbage with a line's end", "garbage\n" + line(sample("b", 0)), true},
		{"a foreign boot", line(sample("other", 0)), true},
		{"a last line without its end", strings.TrimSpace(line(sample("b", 0))), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := create(t, "a", "b")
			commit(t, r, "a", 3)
			appendTo(t, filepath.Join(r.Dir(), SamplesName), tt.tail)
			left := filepath.Join(r.Dir(), "."+ManifestName+"123")
			appendTo(t, left, "half")

			r = reopen(t, r)
			if got := len(r.Notes()) > 0; got != tt.note {
				t.Errorf("notes %q, want some: %v", r.Notes(), tt.note)
			}
			if _, err := os.Stat(left); err == nil {
				t.Error("the leftover of a torn replacement is still there")
			}
			if got := r.Pending(); len(got) != 1 || got[0].Name != "b" {
				t.Fatalf("pending %v, want b alone", got)
			}
			commit(t, r, "b", 2)
			if diff := cmp.Diff([]string{"a/0", "a/1", "a/2", "b/0", "b/1"}, loadReps(t, r.Dir())); diff != "" {
				t.Error(diff)
			}
			r = reopen(t, r)
			if len(r.Notes()) > 0 {
				t.Errorf("a clean run has notes: %q", r.Notes())
			}
		})
	}
}

func appendTo(t *testing.T, file, text string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDamage: what was measured and is not as it was written any more is one
// line that names the place, for Load and Open alike.
func TestDamage(t *testing.T) {
	replace := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	for _, tt := range []struct {
		name, file string
		change     func(string) string
		want       string
		is         error
	}{
		{"a digit changed", SamplesName, replace("1001", "1002"), `samples.jsonl: damaged: the samples of boot "a"`, ErrDamaged},
		{"a line lost", SamplesName, func(s string) string { _, rest, _ := strings.Cut(s, "\n"); return rest }, `boot "a" has 1 of its 2 samples`, ErrDamaged},
		{"a line doubled", SamplesName, func(s string) string { return s + s }, `boot "a" has 4 of its 2 samples`, ErrDamaged},
		{"a line broken", SamplesName, func(s string) string { return s[:len(s)-9] + "\n" }, "samples.jsonl:2: damaged: ", ErrDamaged},
		{"a number for a name", SamplesName, replace(`"boot":"a"`, `"boot":1`), "samples.jsonl:1: damaged: ", ErrDamaged},
		{"a sample without a boot", SamplesName, replace(`"boot":"a"`, `"boot":""`), "samples.jsonl:1: damaged: the sample names no boot", ErrDamaged},
		{"empty samples", SamplesName, func(string) string { return "" }, `boot "a" has 0 of its 2 samples`, ErrDamaged},
		{"cut manifest", ManifestName, func(s string) string { return s[:len(s)/2] }, "it ends in the middle", ErrDamaged},
		{"empty manifest", ManifestName, func(string) string { return "" }, "manifest.json:1: damaged: it ends in the middle", ErrDamaged},
		{"manifest with a typo", ManifestName, replace(`"name"`, `"nome"`), `manifest.json:3: damaged: unknown field "nome"`, ErrDamaged},
		{"manifest with a wrong type", ManifestName, replace(`"test"`, `7`), "manifest.json:3: damaged: ", ErrDamaged},
		{"manifest with bad syntax", ManifestName, replace(`"mode": `, `"mode" `), "damaged: invalid character", ErrDamaged},
		{"two manifests", ManifestName, func(s string) string { return s + s }, "something stands behind the manifest's end", ErrDamaged},
		{"two boots of a name", ManifestName, replace(`"name": "b"`, `"name": "a"`), `two boots are called "a"`, ErrDamaged},
		{"no version", ManifestName, replace(`"version": 1`, `"version": 0`), "version is 0, want 1", ErrDamaged},
		{"a newer version", ManifestName, replace(`"version": 1`, `"version": 9`), "written by a newer lab", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := create(t, "a", "b")
			commit(t, r, "a", 2)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(r.Dir(), tt.file)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(tt.change(string(text))), 0o644); err != nil {
				t.Fatal(err)
			}
			_, _, err = Load(r.Dir())
			checkError(t, "Load", err, tt.want, tt.is)
			_, err = Open(r.Dir())
			checkError(t, "Open", err, tt.want, tt.is)
			// A failed Open holds no lock.
			if err := os.WriteFile(file, text, 0o644); err != nil {
				t.Fatal(err)
			}
			again, err := Open(r.Dir())
			if err != nil {
				t.Fatalf("after the repair: %v", err)
			}
			again.Close()
		})
	}
}

func checkError(t *testing.T, what string, err error, want string, is error) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("%s: no error, want %q", what, want)
	case !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n"):
		t.Errorf("%s: %q, want one line with %q", what, err, want)
	case is != nil && !errors.Is(err, is):
		t.Errorf("%s: %v is not %v", what, err, is)
	}
}

func TestMissingSamples(t *testing.T) {
	r := create(t, "a")
	if err := os.Remove(filepath.Join(r.Dir(), SamplesName)); err != nil {
		t.Fatal(err)
	}
	_, _, err := Load(r.Dir())
	checkError(t, "Load", err, "samples.jsonl: damaged: it is missing", ErrDamaged)
}

func TestRefusals(t *testing.T) {
	r := create(t, "a", "b")
	commit(t, r, "a", 1)
	_, err := Create(t.TempDir(), manifest("x", "x"))
	checkError(t, "Create with two boots of a name", err, `two boots are called "x"`, ErrDamaged)
	_, err = Open(r.Dir())
	checkError(t, "Open twice", err, "another lab writes this run: wait", ErrLocked)
	_, err = Create(r.Dir(), manifest())
	checkError(t, "Create in an open run", err, "another lab", ErrLocked)
	_, err = Open(t.TempDir())
	checkError(t, "Open of nothing", err, "not a run: it has no manifest.json", ErrNoRun)
	_, _, err = Load(filepath.Join(t.TempDir(), "absent"))
	checkError(t, "Load of nothing", err, "not a run", ErrNoRun)

	checkError(t, "unknown boot", r.Commit(done("x"), nil), `"x" is not planned`, ErrBoot)
	checkError(t, "boot twice", r.Commit(done("a"), nil), `"a" is done already`, ErrBoot)
	checkError(t, "no outcome", r.Commit(Boot{Name: "b"}, nil), `"b" has no outcome`, ErrBoot)
	checkError(t, "foreign sample", r.Commit(done("b"), []Sample{sample("a", 0)}), `says it is of boot "a"`, ErrBoot)
	checkError(t, "outcome by Update", r.Update(func(m *Manifest) { m.Boots[1].Outcome = OK }), `the outcome of "b"`, ErrBoot)
	checkError(t, "boot taken away", r.Update(func(m *Manifest) { m.Boots = m.Boots[1:] }), `the outcome of "a"`, ErrBoot)
	checkError(t, "boots of one name", r.Update(func(m *Manifest) { m.Boots = append(m.Boots, m.Boots[1]) }), "two boots", ErrDamaged)
	checkError(t, "Forget of nothing", r.Forget("x"), `"x" is not planned`, ErrBoot)
	if diff := cmp.Diff([]string{"a/0"}, loadReps(t, r.Dir())); diff != "" {
		t.Errorf("a refusal changed the samples: %s", diff)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Create(r.Dir(), manifest())
	checkError(t, "Create over a run", err, "there is a run already: resume it", ErrExists)
}

func TestForget(t *testing.T) {
	r := create(t, "a", "b", "c")
	for _, name := range []string{"a", "b"} {
		commit(t, r, name, 2)
	}
	if err := r.Commit(Boot{Name: "c", Kernel: "base", Outcome: "qemu died", Detail: "signal: killed"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.Forget("a", "c"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b/0", "b/1"}, loadReps(t, r.Dir())); diff != "" {
		t.Error(diff)
	}
	commit(t, r, "c", 1)
	commit(t, r, "a", 1)
	r = reopen(t, r)
	if diff := cmp.Diff([]string{"b/0", "b/1", "c/0", "a/0"}, loadReps(t, r.Dir())); diff != "" {
		t.Error(diff)
	}
	if got := r.Manifest().Boots[2]; got.Detail != "" {
		t.Errorf("the forgotten outcome's detail stays: %+v", got)
	}
}

// A boot that is forgotten is to be run again as it was planned.
func TestForgetKeepsThePlan(t *testing.T) {
	m := manifest("a")
	want := Boot{Name: "a", Kernel: "base", Families: []string{"user-pipe"}, Condition: "qemu64", Seed: 3, Repeat: 1, Mode: ModeAccount}
	m.Boots[0] = want
	r, err := Create(filepath.Join(t.TempDir(), "run"), m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	lost := want
	lost.Outcome, lost.Detail, lost.Taints, lost.HostCPU = "panic", "why", []string{"x"}, 1
	if err := errors.Join(r.Commit(lost, nil), r.Forget("a")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, r.Manifest().Boots[0]); diff != "" {
		t.Errorf("(-planned +forgotten):\n%s", diff)
	}
}

// TestSideBySide commits from several goroutines while others read: nothing is
// lost, and every reader sees whole boots only.
func TestSideBySide(t *testing.T) {
	var names []string
	for i := range 24 {
		names = append(names, fmt.Sprint("boot", i))
	}
	r := create(t, names...)
	var wg sync.WaitGroup
	errs := make(chan error, 100)
	for part := range slices.Chunk(names, 6) {
		wg.Go(func() {
			for _, name := range part {
				errs <- r.Commit(done(name), []Sample{sample(name, 0), sample(name, 1)})
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			_, samples, err := Load(r.Dir())
			if err == nil && len(samples)%2 != 0 {
				err = fmt.Errorf("%d samples: half a boot", len(samples))
			}
			errs <- err
			_ = r.Manifest().Boots[0].Done()
			errs <- r.Update(func(m *Manifest) { m.Reps++ })
		}
	})
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if got := loadReps(t, r.Dir()); len(got) != 48 {
		t.Errorf("%d samples, want 48", len(got))
	}
	if r.Manifest().Reps != 20 {
		t.Errorf("%d updates, want 20", r.Manifest().Reps)
	}
}

// TestStoredRun reads a run that an earlier build wrote: what is published must
// stay readable. Its numbers are made up.
func TestStoredRun(t *testing.T) {
	m, samples, err := Load(filepath.Join("testdata", "run"))
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "made-up" || len(m.Boots) != 2 || len(samples) != 3 {
		t.Fatalf("%q, %d boots, %d samples", m.Name, len(m.Boots), len(samples))
	}
	want := Sample{Kernel: "base", Workload: "file-tcp/sendfile", Schedule: "lockstep", Sink: "read", CPUModel: "qemu64", Profile: "minimal",
		Chunk: 65536, Bytes: 16777216, Mode: "count", Boot: "base_file-tcp_qemu64_s1_r0", Rep: 1, Seed: 1,
		Metrics: map[string]int64{"idle": 12, "insns": 11000001}, Outcome: "ok"}
	if diff := cmp.Diff(want, samples[1]); diff != "" {
		t.Errorf("sample 1 (-want +got):\n%s", diff)
	}
	text, err := os.ReadFile(filepath.Join("testdata", "run", ManifestName))
	if err != nil {
		t.Fatal(err)
	}
	again, err := encodeManifest(m)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), string(again)); diff != "" {
		t.Errorf("the manifest is written differently now (-before +now): is ManifestVersion still right?\n%s", diff)
	}
}

func TestNames(t *testing.T) {
	at := time.Date(2026, 7, 1, 1, 2, 3, 4, time.FixedZone("", 3600))
	if got, want := FolderName(at, "my run/../x"), "20260701T000203Z-my-run-..-x"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r := create(t)
	if got, want := r.Console("a b/../c"), filepath.Join(r.Dir(), "console", "a-b-..-c.log"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLinkLatest(t *testing.T) {
	runs := t.TempDir()
	link := filepath.Join(runs, "latest")
	for _, name := range []string{"1-a", "2-b"} {
		if err := LinkLatest(filepath.Join(runs, name)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(link); err != nil || got != name {
			t.Errorf("latest is %q, %v; want %s", got, err, name)
		}
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(link, 0o755); err != nil {
		t.Fatal(err)
	}
	checkError(t, "a folder in the way", LinkLatest(filepath.Join(runs, "3-c")), "is not a link: move it away", nil)
}

func TestCache(t *testing.T) {
	c := Cache{Dir: filepath.Join(t.TempDir(), "samples")}
	key := Key("kernel", "initramfs")
	if _, ok, err := c.Get(key); ok || err != nil {
		t.Fatalf("an empty cache has it: %v, %v", ok, err)
	}
	for _, stream := range []string{"line\nline\n", "", "\x00\xff"} {
		if err := c.Put(key, []byte(stream)); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := c.Get(key); err != nil || !ok || string(got) != stream {
			t.Errorf("got %q, %v, %v; want %q", got, ok, err, stream)
		}
	}
	_, _, err := c.Get("../../etc/passwd")
	checkError(t, "Get of a path", err, "is no key", nil)
	checkError(t, "Put of a path", c.Put("../x", nil), "is no key", nil)

	var off Cache
	if err := off.Put(key, []byte("x")); err != nil {
		t.Error(err)
	}
	if _, ok, err := off.Get(key); ok || err != nil {
		t.Errorf("a cache without a folder has it: %v, %v", ok, err)
	}
}

func TestCacheDamage(t *testing.T) {
	c := Cache{Dir: t.TempDir()}
	key, other := Key("a"), Key("b")
	if err := c.Put(key, []byte("stream")); err != nil {
		t.Fatal(err)
	}
	name, err := c.path(key)
	if err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	otherName, err := c.path(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(otherName), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, file, key string
		text            []byte
	}{
		{"changed", name, key, bytes.Replace(good, []byte("stream"), []byte("strean"), 1)},
		{"cut", name, key, good[:len(good)-1]},
		{"empty", name, key, nil},
		{"under another key's name", otherName, other, good},
	} {
		if err := os.WriteFile(tt.file, tt.text, 0o644); err != nil {
			t.Fatal(err)
		}
		got, ok, err := c.Get(tt.key)
		if ok || got != nil || !errors.Is(err, ErrCache) {
			t.Errorf("%s: got %q, %v, %v", tt.name, got, ok, err)
		}
		if err := c.Put(tt.key, []byte("again")); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := c.Get(tt.key); err != nil || !ok || string(got) != "again" {
			t.Errorf("%s: not replaced: %q, %v, %v", tt.name, got, ok, err)
		}
	}
}

func TestKey(t *testing.T) {
	seen := map[string][]string{}
	for _, parts := range [][]string{{}, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"ab", ""}, {"", "ab"}, {"a\x00b"}} {
		key := Key(parts...)
		if before, ok := seen[key]; ok {
			t.Errorf("%q and %q share a key", before, parts)
		}
		seen[key] = parts
	}
}

// FuzzSamples: whatever a sample file holds, reading it ends, never gives a
// sample of a boot that isn't done, and keeps exactly what was committed.
func FuzzSamples(f *testing.F) {
	good, sum, err := encodeSamples("a", []Sample{sample("a", 0), sample("a", 1)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, []byte{})
	f.Add([]byte{}, good[:20])
	f.Add([]byte("{}\n"), []byte("null\n[1]\n\"x\"\n"))
	f.Add(good, []byte(`{"boot":"b","chunk":1e99}`+"\n"))
	f.Fuzz(func(t *testing.T, head, tail []byte) {
		m := manifest("a", "b")
		m.Boots[0].Outcome, m.Boots[0].Samples, m.Boots[0].SamplesSHA256 = OK, 2, sum
		got, err := scanSamples("f", slices.Concat(head, tail), m)
		if err != nil {
			if !errors.Is(err, ErrDamaged) || strings.Contains(err.Error(), "\n") {
				t.Errorf("not one line of damage: %q", err)
			}
			return
		}
		if !bytes.Equal(bytes.Join(got.kept, nil), good) || len(got.samples) != 2 {
			t.Errorf("accepted %q, %d samples", got.kept, len(got.samples))
		}
	})
}

// FuzzPlainSamples: what the fast reader takes, it reads as encoding/json does.
func FuzzPlainSamples(f *testing.F) {
	s := sample("a", 0)
	s.Sink, s.Outcome, s.Metrics = "read", "send: broken pipe", map[string]int64{"insns": 0, "idle": 999_999_999_999_999_999}
	good, _, err := encodeSamples("a", []Sample{s})
	if err != nil {
		f.Fatal(err)
	}
	if got, ok := (&plainReader{names: interner{}}).read(good); !ok {
		f.Errorf("%s isn't plain: %+v", good, got)
	}
	f.Add(good)
	for _, line := range []string{
		"{}\n", "null\n", `{"boot":"b"}`, `{"boot":"b",}` + "\n", `{"boot":"b","Boot":"c"}` + "\n", `{"boot":"\u0062"}` + "\n", `{"boot":"b","rep":-1}` + "\n",
		`{"boot":"b","rep":01}` + "\n", `{"boot":"b","rep":1.5}` + "\n", `{"boot":"b","seed":18446744073709551615}` + "\n", `{"boot":"b","bytes":9999999999999999999}` + "\n",
		`{"boot":"b","metrics":{"a":1},"metrics":{"b":2}}` + "\n", `{"boot":"b","metrics":{}}` + "\n", `{"boot":"b"} ` + "\n", `{"boot":"b"}x` + "\n",
		`{"boot":"b","benchmarks":[{"name":"x","n":1,"values":[]}]}` + "\n", `{"boot":"b","boot":"c"}` + "\n", `{"boot":"b","metrics":{"a":1,"a":2}}` + "\n",
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, ok := (&plainReader{names: interner{}}).read(raw)
		if !ok {
			return
		}
		var want Sample
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatalf("%q is read as %+v, and is no sample: %v", raw, got, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-encoding/json +here):\n%s", raw, diff)
		}
	})
}

// FuzzManifest: a manifest that is read is one that is written the same way.
func FuzzManifest(f *testing.F) {
	m := manifest("a")
	m.Version = ManifestVersion
	text, err := encodeManifest(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version":1,"boots":[{}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := decodeManifest("f", text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %q", err)
			}
			return
		}
		once, err := encodeManifest(m)
		if err != nil {
			return // a year beyond 9999
		}
		back, err := decodeManifest("f", once)
		if err != nil {
			t.Fatalf("not read back: %v", err)
		}
		twice, err := encodeManifest(back)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%v\n%s\n%s", err, once, twice)
		}
	})
}
