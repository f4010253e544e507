package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"splicelab/lab/config"
)

// known is a lab with the parts that the shipped configurations name.
func known() config.Known {
	return config.Known{
		Profiles: []string{"minimal"},
		Lines:    []string{"6.12", "7.3"},
		Series: func(line string) []string {
			return map[string][]string{
				"6.12": {"base-shifted", "no-sendfile", "sendfile-onecopy", "socket-copy", "splice-copy", "vmsplice-wrapper"},
				"7.3":  {"vmsplice-wrapper"},
			}[line]
		},
		Probes: []string{"T1", "T5", "P1"},
		Paths: []string{
			"file-tcp/sendfile", "file-tcp/splice", "file-tcp/read-send", "file-tcp/mmap-send",
			"file-unix/sendfile", "file-unix/splice", "file-unix/read-send", "file-unix/mmap-send",
			"ext4-tcp/sendfile", "xfs-tcp/sendfile",
			"small-tcp/sendfile", "ext4-cold-tcp/sendfile", "xfs-cold-tcp/sendfile", "file-remap-tcp/mmap-send", "huge-tcp/zerocopy",
			"user-pipe/vmsplice", "user-pipe/write",
			"file-udp/sendfile", "file-udp-dummy/sendfile", "file-veth/sendfile", "file-veth-nosg/sendfile", "file-ktls/sendfile",
			"user-tcp/send", "user-tee-tcp/tee",
		},
	}
}

// clearEnv removes what the caller's environment sets of the lab's variables.
func clearEnv(t *testing.T) {
	t.Helper()
	t.Setenv(config.CacheVariable, "")
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, config.EnvPrefix) {
			t.Setenv(name, "")
		}
	}
}

func TestShippedConfigurationsLoad(t *testing.T) {
	clearEnv(t)
	if diff := cmp.Diff([]string{"lab", "latency", "net", "onecopy", "patch", "smoke", "sources", "stress-ng", "sweep"}, config.Shipped()); diff != "" {
		t.Errorf("shipped configurations (-want +got):\n%s", diff)
	}
	for _, name := range config.Shipped() {
		t.Run(name, func(t *testing.T) {
			c, err := config.Load(config.Options{File: name, Known: known()})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".effective.yaml", c.Effective())
		})
	}
}

// golden compares got with a file of testdata; UPDATE_GOLDEN=1 writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// rich names every key, with values that are none of the defaults.
const rich = `
name: rich
mode: count
line: "6.12"
profile: minimal
baseline: plain
control: shifted
kernels:
  - name: plain
    series: []
  - name: both
    series: [splice-copy, socket-copy]
    expect: [T1=old, "T5=old,old"]
  - name: shifted
    series: [base-shifted]
workloads: [file-tcp, "*/write", own/bench]
programs:
  - name: bench
    about: a program, and what lies beside it
    command: [bench, --size, "4096", "", "two words"]
    files: [build/bench, "/a/data:/own/data"]
    packages: [busybox-static, stress-ng=0.15.06-2]
  - name: plain
    command: [/own/plain]
    files: [plain]
chunks: [1, 4096, 64K, 1M, 16MiB]
reps: 7
seeds: [0, 18446744073709551615]
conditions:
  - name: one
    cpu: qemu64,+erms
    cmdline: [init_on_alloc=1, "opt=a,b"]
    kernels: [plain, both]
  - name: two, or "so"
    cpu: max
    cmdline: [init_on_free=10, opt=abc]
memory_mib: 300
jobs: 3
repeat_trials: 2
sample_cache: false
force: true
cell_deadline: 5
boot_cpu_deadline: 90s
boot_wall_deadline: 2h30m
out: some/where
cache: /else/where
sources:
  - {line: "6.12", kind: tarball, path: "/a b/linux.tar.xz", sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef}
  - {line: "7.3", kind: git, url: "https://example.org/linux.git", rev: v7.3}
`

func TestEffectiveLoadsBackToTheSameValue(t *testing.T) {
	text := strings.Replace(rich, `two, or "so"`, "two + more", 1)
	first, err := config.Parse("rich.yaml", text, known())
	if err != nil {
		t.Fatal(err)
	}
	second, err := config.Parse("manifest", first.Effective(), known())
	if err != nil {
		t.Fatalf("%v in\n%s", err, first.Effective())
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("loaded back (-first +second):\n%s", diff)
	}
	golden(t, "rich.effective.yaml", first.Effective())
}

// TestParseIsNotMoved shows that a manifest's configuration stays what it was,
// whatever the environment says.
func TestParseIsNotMoved(t *testing.T) {
	t.Setenv("LAB_REPS", "99")
	t.Setenv("LAB_TYPO", "1")
	t.Setenv(config.CacheVariable, "/elsewhere")
	c, err := config.Parse("m", "kernels: [{name: base}]", known())
	if err != nil {
		t.Fatal(err)
	}
	if c.Reps == 99 || c.Cache != "" {
		t.Errorf("reps %d, cache %q come from the environment", c.Reps, c.Cache)
	}
}

func TestPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(file, []byte("kernels: [{name: base}]\nreps: 4\njobs: 4\nmemory_mib: 400"), 0o666); err != nil {
		t.Fatal(err)
	}
	clearEnv(t)
	t.Setenv("LAB_REPS", "5")
	t.Setenv("LAB_JOBS", "5")
	t.Setenv("LAB_CHUNKS", "4K, 8K")
	t.Setenv("LAB_SEEDS", "3")
	t.Setenv("LAB_SAMPLE_CACHE", "false")
	t.Setenv("LAB_BOOT_CPU_DEADLINE", "30s")
	t.Setenv("LAB_CACHE", "/second")
	t.Setenv(config.CacheVariable, "/first")
	got, err := config.Load(config.Options{
		File: file, Known: known(),
		Settings: []config.Setting{{Flag: "--jobs", Key: "jobs", Value: 6}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want, err := config.Parse("mine.yaml", `
kernels: [{name: base}]
reps: 5
jobs: 6
memory_mib: 400
chunks: [4KiB, 8KiB]
seeds: [3]
sample_cache: false
boot_cpu_deadline: 30s
cache: /first`, known())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCacheDir(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/user/cache")
	for cache, want := range map[string]string{"": "/user/cache/splicelab", "/a": "/a"} {
		if got, err := (config.Config{Cache: cache}).CacheDir(); err != nil || got != want {
			t.Errorf("cache %q: %q, %v, want %q", cache, got, err, want)
		}
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if _, err := (config.Config{}).CacheDir(); err == nil || !strings.Contains(err.Error(), config.CacheVariable) {
		t.Errorf("without a home: %v, want a word about %s", err, config.CacheVariable)
	}
}

// badFiles are files with one thing wrong, and the whole line that says so.
func TestBadFiles(t *testing.T) {
	const kernels = "kernels: [{name: base}, {name: deopt, series: [splice-copy]}]\n"
	const one = "kernels: [{name: base}]\nconditions: [{name: a, cpu: max, "
	for _, test := range []struct{ text, want string }{
		{"", `f.yaml: is empty: name what it changes, such as workloads`},
		{"- a\n- b", `f.yaml: is not a list of keys and values, such as reps: 3`},
		{"kernels: []", `f.yaml:1: kernels: there are none: name at least the baseline, such as kernels: [{name: base}]`},
		{"a: [", `f.yaml: line 1: did not find expected node content`},
		{kernels + "---\nreps: 2", `f.yaml: has more than one YAML document: keep one`},
		{kernels + "reps: 1\nreps: 2", `f.yaml: line 3: mapping key "reps" already defined at line 2`},
		{kernels + "Reps: 2", `f.yaml:2: Reps: keys are in lower case: reps`},
		{kernels + "reps:", `f.yaml:2: reps: has no value: give it one, or leave the key out`},
		{kernels + "rep: 2", `f.yaml:2: rep: unknown key: did you mean reps?`},
		{kernels + "wrkloads: ['*']", `f.yaml:2: wrkloads: unknown key: did you mean workloads?`},
		{"kernels:\n  - name: base\n    serie: [a]", `f.yaml:3: kernels[0].serie: unknown key: did you mean series?`},
		{"kernels:\n  - name: base\n    qqqqqqq: [a]", `f.yaml:3: kernels[0].qqqqqqq: unknown key: there are name, series, patches, patch_version, expect`},
		{"kernels:\n  - name: base\n  - base", `f.yaml:3: kernels[1]: is not an entry with keys: name, series, patches, patch_version, expect`},
		{"kernels:\n  - name: base\n  - name: base", `f.yaml:3: kernels[1].name: "base" is there twice: each needs a name of its own`},
		{"kernels: [{name: a/b}]", `f.yaml:1: kernels[0].name: "a/b" can't be a name: use up to 64 of a-z, 0-9, '.', '+', '-', with a letter or digit first`},
		{"kernels: [{name: base}, {name: sendfile-depot}]", `f.yaml:1: kernels[1].name: unknown kernel "sendfile-depot": did you mean sendfile-deopt? (one of your own says its series or patches; series: [] is none)`},
		{"kernels: [{name: base, series: [splice-cpy]}]", `f.yaml:1: kernels[0].series[0]: unknown series "splice-cpy": did you mean splice-copy?`},
		{"kernels: [{name: base, series: [splice-copy, splice-copy]}]", `f.yaml:1: kernels[0].series[1]: series splice-copy is there twice: it would be applied twice`},
		{"kernels: [{name: base, expect: [T1]}]", `f.yaml:1: kernels[0].expect[0]: "T1" is not PROBE=VALUE, such as T1=old`},
		{"kernels: [{name: base, expect: [T9=old]}]", `f.yaml:1: kernels[0].expect[0]: unknown probe "T9": did you mean T1?`},
		{"kernels: [{name: base, expect: [T1=old, T1=new]}]", `f.yaml:1: kernels[0].expect[1]: probe T1 is there twice`},
		{kernels + "baseline: bse", `f.yaml:2: baseline: unknown kernel "bse": did you mean base?`},
		{kernels + "control: shifted", `f.yaml:2: control: unknown kernel "shifted": there are base, deopt`},
		{kernels + "control: base", `f.yaml:2: control: base is the baseline: the control is another build of it, or ""`},
		{kernels + "line: 6.12", `f.yaml:2: line: is the number 6.12 here: put quotes around it`},
		{kernels + "line: '6.13'", `f.yaml:2: line: unknown kernel line "6.13": did you mean 6.12?`},
		{kernels + "line: '7.3'\nsources: [{line: '6.12', kind: tree, path: /x}]", `f.yaml:2: line: sources has no entry for line 7.3, only for 6.12`},
		{kernels + "profile: minimum", `f.yaml:2: profile: unknown profile "minimum": did you mean minimal?`},
		{kernels + "mode: time", `f.yaml:2: mode: time isn't there yet: count is the only mode so far`},
		{kernels + "mode: coutn", `f.yaml:2: mode: unknown mode "coutn": did you mean count?`},
		{kernels + "workloads: [file-tpc/*]", `f.yaml:2: workloads[0]: "file-tpc/*" matches no copy path: did you mean file-tcp/*?`},
		{kernels + "workloads: ['file-tcp/send']", `f.yaml:2: workloads[0]: "file-tcp/send" matches no copy path: did you mean file-tcp/sendfile?`},
		{kernels + "workloads: ['[']", `f.yaml:2: workloads[0]: "[/*" is not a glob: use *, ? and [a-z]`},
		{kernels + "workloads: []", `f.yaml:2: workloads: there are none: "*" means all`},
		{kernels + "chunks:\n  - 4KiB\n  - 64 elephants", `f.yaml:4: chunks[1]: "64 elephants" is not a size: say 4KiB, 64K, 1MiB or a number of bytes`},
		{kernels + "chunks: [64KB]", `f.yaml:2: chunks[0]: "64KB" is not a size: say 4KiB, 64K, 1MiB or a number of bytes`},
		{kernels + "chunks: [0]", `f.yaml:2: chunks[0]: 0 is outside 1 B to 16MiB`},
		{kernels + "chunks: [-4096]", `f.yaml:2: chunks[0]: -4KiB is outside 1 B to 16MiB`},
		{kernels + "chunks: [17M]", `f.yaml:2: chunks[0]: 17MiB is outside 1 B to 16MiB`},
		{kernels + "chunks: [1024, 1KiB]", `f.yaml:2: chunks[1]: 1KiB is there twice`},
		{kernels + "chunks: []", `f.yaml:2: chunks: there are 0: name 1 to 64`},
		{kernels + "chunks: {a: 1}", `f.yaml:2: chunks: is not a list`},
		{kernels + "reps: 2.5", `f.yaml:2: reps: 2.5 is not a whole number`},
		{kernels + "reps: true", `f.yaml:2: reps: true is not a whole number`},
		{kernels + "reps: many", `f.yaml:2: reps: "many" is not a whole number`},
		{kernels + "reps: 0", `f.yaml:2: reps: 0 is outside 1 to 1000`},
		{kernels + "seeds: [1, 1]", `f.yaml:2: seeds[1]: 1 is there twice: it would give the same digits again`},
		{kernels + "seeds: [-1]", `f.yaml:2: seeds[0]: -1 is not a whole number from 0 up`},
		{kernels + "seeds: []", `f.yaml:2: seeds: there are none: name at least one, such as [1]`},
		{kernels + "jobs: -1", `f.yaml:2: jobs: -1 is outside 0 to 1024 (0: as many as cores and memory allow)`},
		{kernels + "memory_mib: 12", `f.yaml:2: memory_mib: 12 is outside 256 to 1048576 MiB`},
		{kernels + "sample_cache: perhaps", `f.yaml:2: sample_cache: "perhaps" is not true or false`},
		{kernels + "boot_cpu_deadline: 600", `f.yaml:2: boot_cpu_deadline: 600 has no unit: say 30s, 10m or 1h`},
		{kernels + "boot_cpu_deadline: soon", `f.yaml:2: boot_cpu_deadline: "soon" is not a duration such as 30s or 10m`},
		{kernels + "boot_wall_deadline: 1s", `f.yaml:2: boot_wall_deadline: 1s is shorter than boot_cpu_deadline (10m0s): a loaded host would change outcomes`},
		{kernels + "conditions: []", `f.yaml:2: conditions: there are none: name at least one`},
		{one + "chunks: [8KiB]}]", `f.yaml:2: conditions[0].chunks[0]: 8KiB is not among the configuration's chunks: leave it out, or add it there`},
		{one + "schedules: [lockstpe]}]", `f.yaml:2: conditions[0].schedules[0]: unknown schedule "lockstpe": did you mean lockstep?`},
		{one + "kernels: [bas]}]", `f.yaml:2: conditions[0].kernels[0]: unknown kernel "bas": did you mean base?`},
		{one + "cmdline: [a b]}]", `f.yaml:2: conditions[0].cmdline[0]: "a b" is not one boot option: make each an entry of the list, without blanks or quotes`},
		{one + "cmdline: [transparent_hugepage=never, transparent_hugepage=always, quiet]}]", `f.yaml:2: conditions[0].cmdline: "transparent_hugepage=never transparent_hugepage=always quiet" is longer than 54 characters: each boot's command line is filled up to one length, because the length alone moves figures`},
		{one + "cmdline: [a]}, {name: a, cpu: max, cmdline: [b]}]", `f.yaml:2: conditions[1].name: "a" is there twice: each needs a name of its own`},
		{kernels + "conditions: [{name: a, cpu: ''}]", `f.yaml:2: conditions[0].cpu: "" is not a CPU model: write it as for QEMU's -cpu, such as qemu64,+aes`},
		{kernels + "conditions: [{name: ' a', cpu: max}]", `f.yaml:2: conditions[0].name: " a" can't be a name: use up to 64 printable characters without quotes`},
		{kernels + "sources: [{line: '6.12', kind: deb}]", `f.yaml:2: sources[0].kind: unknown kind of source "deb": there are debian, tarball, git, tree`},
		{kernels + "sources: [{line: '6.12', kind: tree, path: a, suite: sid}]", `f.yaml:2: sources[0].suite: a tree source has none: only a debian source lies in a suite`},
		{kernels + "sources: [{line: '6.12', kind: debian, package: p, version: '1', suite: 'a b'}]", `f.yaml:2: sources[0].suite: "a b" is not the name of a suite, such as trixie-backports`},
		{kernels + "sources: [{line: '6.12', kind: tarball, path: a}]", `f.yaml:2: sources[0]: a tarball source needs sha256`},
		{kernels + "sources: [{line: '6.12', kind: tarball, path: a, url: b, sha256: c}]", `f.yaml:2: sources[0].path: url is there too: keep one of them`},
		{kernels + "sources: [{line: '6.12', kind: tarball, path: a, sha256: c}]", `f.yaml:2: sources[0].sha256: "c" is not a SHA-256: 64 of 0-9, a-f, as sha256sum prints it`},
		{kernels + "name: My Run", `f.yaml:2: name: "My Run" can't be a name: use up to 64 of a-z, 0-9, '.', '+', '-', with a letter or digit first`},
		{kernels + "programs: [{name: A, command: [a]}]", `f.yaml:2: programs[0].name: "A" can't be a name: use up to 64 of a-z, 0-9, '.', '+', '-', with a letter or digit first`},
		{kernels + "programs: [{name: a, command: [a]}, {name: a, command: [b]}]", `f.yaml:2: programs[1].name: "a" is there twice: each needs a name of its own`},
		{kernels + "programs: [{name: a}]", `f.yaml:2: programs[0].command: names no program: make it a list of arguments, such as [./bench, --size, 4096]`},
		{kernels + "programs: [{name: a, comand: [a]}]", `f.yaml:2: programs[0].comand: unknown key: did you mean command?`},
		{kernels + "programs: [{name: a, command: [a, 1.5]}]", `f.yaml:2: programs[0].command[1]: is the number 1.5 here: put quotes around it`},
		{kernels + "programs: [{name: a, command: [a], files: ['b:']}]", `f.yaml:2: programs[0].files[0]: "b:" is not HOST or HOST:GUEST, such as ./bench or ./data:/own/data`},
		{kernels + "programs: [{name: a, command: [a], files: ['b:c/d']}]", `f.yaml:2: programs[0].files[0]: "b:c/d": c/d is no absolute path of the guest, such as /own/data`},
		{kernels + "programs: [{name: a, command: [a], files: ['b:/proc/d']}]", `f.yaml:2: programs[0].files[0]: "b:/proc/d": /proc is the guest's own: put it under /own`},
		{kernels + "programs: [{name: a, command: [a], files: ['b:/init']}]", `f.yaml:2: programs[0].files[0]: "b:/init": /init is the guest's own: put it under /own`},
		{kernels + "programs: [{name: a, command: [a], packages: [a b]}]", `f.yaml:2: programs[0].packages[0]: "a b" is not the name of a Debian package, NAME or NAME=VERSION`},
		{kernels + "programs: [{name: a, command: [a], packages: [-x]}]", `f.yaml:2: programs[0].packages[0]: "-x" is not the name of a Debian package, NAME or NAME=VERSION`},
		{kernels + "programs: [{name: a, command: [" + strings.Repeat("x", 4000) + "]}]", `f.yaml:2: programs[0].command: is too long for a boot's plan of 4096 bytes: put it into a script, and that under files`},
		{kernels + "programs: [{name: a, command: [a]}]\nworkloads: [own/b]", `f.yaml:3: workloads[0]: "own/b" matches no copy path: did you mean own/a?`},
	} {
		_, err := config.Parse("f.yaml", test.text, known())
		checkOneLine(t, test.text, err, test.want)
	}
}

func checkOneLine(t *testing.T, what string, err error, want string) {
	t.Helper()
	var e *config.Error
	if !errors.As(err, &e) || e.ExitStatus() != 2 {
		t.Errorf("%s\nis accepted, or its error %v is no configuration error", what, err)
		return
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("%s\n(-want +got):\n%s", what, diff)
	}
}

func TestBadEnvironment(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"LAB_REPZ", "3", `LAB_REPZ: sets nothing: did you mean LAB_REPS? (unset it, or put lists of entries into a file for -c)`},
		{"LAB_CHUNKS", "4KiB,x", `LAB_CHUNKS: "x" is not a size: say 4KiB, 64K, 1MiB or a number of bytes`},
		{"LAB_REPS", "many", `LAB_REPS: "many" is not a whole number`},
		{"LAB_WORKLOADS", "file-tpc", `LAB_WORKLOADS: "file-tpc/*" matches no copy path: did you mean file-tcp/*?`},
		{"LAB_MODE", "time", `LAB_MODE: time isn't there yet: count is the only mode so far`},
	} {
		t.Run(test.name, func(t *testing.T) {
			clearEnv(t)
			t.Setenv(test.name, test.value)
			_, err := config.Load(config.Options{File: "smoke", Known: known()})
			checkOneLine(t, test.name+"="+test.value, err, test.want)
		})
	}
}

func TestBadFileNames(t *testing.T) {
	clearEnv(t)
	folder := t.TempDir()
	for name, want := range map[string]string{
		"configs/lbb.yaml":     `configs/lbb.yaml: no such file, and no shipped configuration of that name: did you mean lab?`,
		"/nowhere/x":           `/nowhere/x: no such file, and no shipped configuration of that name: there are lab, latency, net, onecopy, patch, smoke, sources, stress-ng, sweep`,
		"configs/default.yaml": `configs/default.yaml: no such file, and no shipped configuration of that name: there are lab, latency, net, onecopy, patch, smoke, sources, stress-ng, sweep`,
		folder:                 folder + `: can't be read: is a directory`,
	} {
		_, err := config.Load(config.Options{File: name, Known: known()})
		checkOneLine(t, name, err, want)
	}
}

func TestChoose(t *testing.T) {
	clearEnv(t)
	c, err := config.Load(config.Options{File: "lab", Known: known()})
	if err != nil {
		t.Fatal(err)
	}
	chosen, kept, err := c.Choose("--kernel", []string{"vmsplice-wrapper", "sendfile-deopt"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"base", "base-shifted"}, kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"base", "vmsplice-wrapper", "sendfile-deopt", "base-shifted"}, chosen.KernelNames()); diff != "" {
		t.Errorf("kernels (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"base", "vmsplice-wrapper", "sendfile-deopt"}, chosen.Conditions[2].Kernels); diff != "" {
		t.Errorf("the third condition's kernels (-want +got):\n%s", diff)
	}
	if len(c.Kernels) != 10 || len(c.Conditions[2].Kernels) != 5 {
		t.Errorf("the configuration chosen from has changed: %v", c)
	}
	// What was chosen is a configuration, too.
	if _, err := config.Parse("chosen", chosen.Effective(), known()); err != nil {
		t.Error(err)
	}
	_, _, err = c.Choose("--kernel", []string{"socket-cpy"})
	checkOneLine(t, "socket-cpy", err, `--kernel: unknown kernel "socket-cpy": did you mean socket-copy?`)
}

// TestChooseDropsEmptyConditions: a condition whose kernels are all gone would
// otherwise hold for every kernel.
func TestChooseDropsEmptyConditions(t *testing.T) {
	c, err := config.Parse("f", `
kernels: [{name: base}, {name: a, series: []}, {name: b, series: []}]
conditions: [{name: all, cpu: max}, {name: a only, cpu: max, kernels: [a]}]`, known())
	if err != nil {
		t.Fatal(err)
	}
	chosen, _, err := c.Choose("--kernel", []string{"b"})
	if err != nil {
		t.Fatal(err)
	}
	if len(chosen.Conditions) != 1 || chosen.Conditions[0].Name != "all" {
		t.Errorf("conditions %v, want all only", chosen.Conditions)
	}
}

func TestUseTarball(t *testing.T) {
	c, err := config.Parse("f", rich[:strings.Index(rich, "conditions")], known())
	if err != nil {
		t.Fatal(err)
	}
	hash := strings.Repeat("ab", 32)
	for place, want := range map[string]string{
		"/tmp/l.tar.xz":         `path:"/tmp/l.tar.xz" url:""`,
		"https://example.org/l": `path:"" url:"https://example.org/l"`,
	} {
		got, err := c.UseTarball("--tarball", place, hash)
		if err != nil {
			t.Fatal(err)
		}
		s := got.Source()
		if have := fmt.Sprintf("path:%q url:%q", s.Path, s.URL); have != want || s.Kind != "tarball" || s.SHA256 != hash {
			t.Errorf("%s: %+v, want %s", place, s, want)
		}
	}
	if c.Source().Kind != "debian" {
		t.Errorf("the configuration itself has changed: %+v", c.Source())
	}
	_, err = c.UseTarball("--tarball", "/tmp/l.tar.xz", "")
	checkOneLine(t, "no hash", err, `--tarball: a tarball source needs sha256`)
}

func TestFamilies(t *testing.T) {
	c := config.Config{Workloads: []string{"user-pipe/write", "file-*/splice"}}
	if diff := cmp.Diff([]string{"file-tcp", "file-unix", "user-pipe"}, c.Families(known().Paths)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if c.Shows("file-tcp/sendfile") || !c.Shows("file-tcp/splice") {
		t.Error("the globs choose other paths than they match")
	}
}

// A program is a family of its own, and its paths are relative to the file.
func TestPrograms(t *testing.T) {
	clearEnv(t)
	file := filepath.Join(t.TempDir(), "mine.yaml")
	text := "kernels: [{name: base}]\nworkloads: [own/*]\nprograms:\n" +
		"  - {name: a, command: [a], files: [x/a, '../b:/own/c', /d]}\n  - {name: b, command: [b]}\n"
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Options{File: file, Known: known()})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"own/a", "own/b"}, c.Families(c.Paths(known().Paths))); diff != "" {
		t.Errorf("families (-want +got):\n%s", diff)
	}
	dir := filepath.Dir(file)
	want := []string{dir + "/x/a", filepath.Dir(dir) + "/b:/own/c", "/d"}
	if diff := cmp.Diff(want, c.Program("own/a").Files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestDeclares(t *testing.T) {
	k := config.Kernel{Name: "mine", Expect: []string{"T1=old", "T5=old,old", "P9=a=b"}}
	if diff := cmp.Diff(map[string]string{"T1": "old", "T5": "old,old", "P9": "a=b"}, k.Declares()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := (config.Kernel{Name: "mine"}).Declares(); got != nil {
		t.Errorf("a kernel that declares nothing: %v", got)
	}
}

// Every configuration knows the ready kernels: by a name alone in a file, and
// by --kernel.
func TestReadyKernels(t *testing.T) {
	c, err := config.Parse("f", `
kernels: [{name: base}, {name: simple}, {name: socket-copy, series: []}, {name: splice-copy, patches: [fix.patch]}]`, known())
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Kernel{
		{Name: "base"}, {Name: "simple", Series: []string{"vmsplice-wrapper", "splice-copy", "socket-copy"}},
		{Name: "socket-copy"}, {Name: "splice-copy", Patches: []string{"fix.patch"}},
	}
	if diff := cmp.Diff(want, c.Kernels); diff != "" {
		t.Errorf("kernels of the file (-want +got):\n%s", diff)
	}
	chosen, _, err := c.Choose("--kernel", []string{"no-sendfile", "socket-copy"})
	if err != nil {
		t.Fatal(err)
	}
	want = []config.Kernel{{Name: "base"}, {Name: "socket-copy"}, {Name: "no-sendfile", Series: []string{"no-sendfile"}}}
	if diff := cmp.Diff(want, chosen.Kernels); diff != "" {
		t.Errorf("chosen (-want +got):\n%s", diff)
	}
	if again, err := config.Parse("effective", c.Effective(), known()); err != nil || !cmp.Equal(c, again) {
		t.Errorf("the effective form means something else: %v\n%s", err, cmp.Diff(c, again))
	}
}

// Every condition's options are of one length, the longest's too.
func TestBootOptions(t *testing.T) {
	for options, want := range map[string]string{
		"":                                   "lab.fill=" + strings.Repeat("-", 55),
		"init_on_alloc=1":                    "init_on_alloc=1 lab.fill=" + strings.Repeat("-", 39),
		"a=1 b=2 " + strings.Repeat("c", 46): "a=1 b=2 " + strings.Repeat("c", 46) + " lab.fill=",
	} {
		c, err := config.Parse("f", "conditions: [{name: a, cpu: max, cmdline: ["+strings.Join(strings.Fields(options), ", ")+"]}]", known())
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(c.Conditions[0].BootOptions(), " ")
		if diff := cmp.Diff(want, got); diff != "" || len(got) != 64 {
			t.Errorf("%d characters (-want +got):\n%s", len(got), diff)
		}
	}
}
