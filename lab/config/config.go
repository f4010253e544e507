// Package config turns files, the environment and flags into one typed,
// validated value.
package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"splicelab/images/kernel"
	"splicelab/results/store"
)

// Config is one effective configuration. configs/default.yaml says what each
// key is for.
type Config struct {
	Name     string `mapstructure:"name" yaml:"name"`
	Mode     string `mapstructure:"mode" yaml:"mode"`
	Line     string `mapstructure:"line" yaml:"line"`
	Profile  string `mapstructure:"profile" yaml:"profile"`
	Baseline string `mapstructure:"baseline" yaml:"baseline"`
	// Control is the kernel that shows the noise; empty when there is none.
	Control string `mapstructure:"control" yaml:"control"`
	// Kernels are all kernels of the run, baseline and control among them, in
	// the order in which they are built.
	Kernels []Kernel `mapstructure:"kernels" yaml:"kernels"`
	// Workloads are path.Match globs over source-sink/method and own/program.
	Workloads []string `mapstructure:"workloads" yaml:"workloads,flow"`
	// Programs are the user's own workloads.
	Programs   []Program   `mapstructure:"programs" yaml:"programs,omitempty"`
	Chunks     []Size      `mapstructure:"chunks" yaml:"chunks,flow"`
	Reps       int         `mapstructure:"reps" yaml:"reps"`
	Seeds      []uint64    `mapstructure:"seeds" yaml:"seeds,flow"`
	Conditions []Condition `mapstructure:"conditions" yaml:"conditions"`
	MemoryMiB  int         `mapstructure:"memory_mib" yaml:"memory_mib"` // of one VM
	// Jobs is the number of VMs side by side; 0 means as many as cores and
	// memory allow.
	Jobs int `mapstructure:"jobs" yaml:"jobs"`
	// RepeatTrials is how many trials of the first condition are booted twice.
	RepeatTrials int `mapstructure:"repeat_trials" yaml:"repeat_trials"`
	// Account adds boots that count the copies of each kernel and family.
	Account     bool `mapstructure:"account" yaml:"account"`
	SampleCache bool `mapstructure:"sample_cache" yaml:"sample_cache"`
	// Force measures kernels that are not what they declare, too.
	Force bool `mapstructure:"force" yaml:"force"`
	// CellDeadline is in seconds of guest time.
	CellDeadline int `mapstructure:"cell_deadline" yaml:"cell_deadline"`
	// BootCPUDeadline is in CPU time of QEMU.
	BootCPUDeadline  time.Duration `mapstructure:"boot_cpu_deadline" yaml:"boot_cpu_deadline"`
	BootWallDeadline time.Duration `mapstructure:"boot_wall_deadline" yaml:"boot_wall_deadline"`
	// Out is the run's folder; empty means results/runs/<time>-<name>.
	Out string `mapstructure:"out" yaml:"out"`
	// Cache is the cache's folder as configured; CacheDir tells the real one.
	Cache   string   `mapstructure:"cache" yaml:"cache"`
	Sources []Source `mapstructure:"sources" yaml:"sources"`
}

// Kernel is a stack of series: those that the lab has by name, and on them the
// user's own.
type Kernel struct {
	Name string `mapstructure:"name" yaml:"name"`
	// Series is written out even where it is empty: an entry without it, and
	// without patches, is the ready kernel of its name.
	Series []string `mapstructure:"series" yaml:"series,flow"`
	// Patches are paths of patches, mailboxes and folders, for package patchset,
	// a series each. In a file they are relative to its folder.
	Patches []string `mapstructure:"patches" yaml:"patches,flow,omitempty"`
	// PatchVersion chooses among several versions in each of them; 0 means the
	// newest.
	PatchVersion int `mapstructure:"patch_version" yaml:"patch_version,omitempty"`
	// Expect are what the kernel declares of probes beyond, or against, what its
	// series do, as ID=VALUE: T1=old.
	Expect []string `mapstructure:"expect" yaml:"expect,flow,omitempty"`
}

// Declares returns Expect by the probe's ID; nil when it is empty.
func (k Kernel) Declares() map[string]string {
	if len(k.Expect) == 0 {
		return nil
	}
	values := make(map[string]string, len(k.Expect))
	for _, e := range k.Expect {
		id, value, _ := strings.Cut(e, "=")
		values[id] = value
	}
	return values
}

// Program is a workload of the user's own: own/NAME.
type Program struct {
	Name  string `mapstructure:"name" yaml:"name"`
	About string `mapstructure:"about" yaml:"about,omitempty"`
	// Command, Files and Packages are bundle.Program's. In a file, paths of Files
	// are relative to its folder.
	Command  []string `mapstructure:"command" yaml:"command"`
	Files    []string `mapstructure:"files" yaml:"files,flow,omitempty"`
	Packages []string `mapstructure:"packages" yaml:"packages,flow,omitempty"`
}

// Path is the program's name as a workload.
func (p Program) Path() string { return store.OwnFamily + "/" + p.Name }

// Condition is a CPU model and boot options, and what is measured under it. An
// empty list means everything that the configuration has.
type Condition struct {
	Name    string   `mapstructure:"name" yaml:"name"`
	CPU     string   `mapstructure:"cpu" yaml:"cpu"`
	Cmdline []string `mapstructure:"cmdline" yaml:"cmdline,flow,omitempty"`
	Kernels []string `mapstructure:"kernels" yaml:"kernels,flow,omitempty"`
	Chunks  []Size   `mapstructure:"chunks" yaml:"chunks,flow,omitempty"`
	// Schedules are lockstep, stream and pingpong; empty means the first two.
	Schedules []string `mapstructure:"schedules" yaml:"schedules,flow,omitempty"`
	// TouchedOnly leaves out families of which no copy path is touched by the
	// kernel's patches: the other conditions have them as controls.
	TouchedOnly bool `mapstructure:"touched_only" yaml:"touched_only,omitempty"`
}

// Source is where a line's kernel comes from; see kernel.SourceSpec.
type Source struct {
	Line    string `mapstructure:"line" yaml:"line"`
	Kind    string `mapstructure:"kind" yaml:"kind"`
	Package string `mapstructure:"package" yaml:"package,omitempty"`
	Version string `mapstructure:"version" yaml:"version,omitempty"`
	Suite   string `mapstructure:"suite" yaml:"suite,omitempty"`
	SHA256  string `mapstructure:"sha256" yaml:"sha256,omitempty"`
	URL     string `mapstructure:"url" yaml:"url,omitempty"`
	Path    string `mapstructure:"path" yaml:"path,omitempty"`
	Rev     string `mapstructure:"rev" yaml:"rev,omitempty"`
}

// Condition returns the condition of that name, the zero value when there is
// none.
func (c Config) Condition(name string) Condition {
	for _, cond := range c.Conditions {
		if cond.Name == name {
			return cond
		}
	}
	return Condition{}
}

// Effective returns the whole configuration as YAML. Parse reads the same value
// back.
func (c Config) Effective() string {
	var text strings.Builder
	enc := yaml.NewEncoder(&text)
	enc.SetIndent(2)
	// Neither can fail: the types are plain and the writer is memory. Should
	// one ever, the round trip shows it.
	_ = enc.Encode(c)
	_ = enc.Close()
	return text.String()
}

// CacheDir returns the cache's folder, as an absolute path, or an error where
// the user has none and the configuration names none.
func (c Config) CacheDir() (string, error) {
	if c.Cache != "" {
		return filepath.Abs(c.Cache)
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder (%w): set SPLICELAB_CACHE to one", err)
	}
	return filepath.Join(user, "splicelab"), nil
}

// Source returns the source of the configuration's line. Validation has made
// sure that there is one.
func (c Config) Source() kernel.SourceSpec {
	for _, s := range c.Sources {
		if s.Line == c.Line {
			return kernel.SourceSpec{
				Kind: kernel.SourceKind(s.Kind), Package: s.Package, Version: s.Version, Suite: s.Suite,
				SHA256: s.SHA256, URL: s.URL, Path: s.Path, Rev: s.Rev,
			}
		}
	}
	return kernel.SourceSpec{}
}

// Kernel returns the kernel of that name.
func (c Config) Kernel(name string) (Kernel, bool) {
	for _, k := range c.Kernels {
		if k.Name == name {
			return k, true
		}
	}
	return Kernel{}, false
}

// KernelNames returns the kernels' names, in order.
func (c Config) KernelNames() []string {
	return namesOf(c.Kernels, nameOf)
}

func namesOf[T any](list []T, name func(T) string) []string {
	names := make([]string, 0, len(list))
	for _, v := range list {
		names = append(names, name(v))
	}
	return names
}
