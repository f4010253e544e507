package config

import (
	"os"
	"slices"
	"strings"

	"splicelab/images/kernel"
	"splicelab/images/patchset"
	"splicelab/results/store"
)

// Choose returns the configuration with the named kernels only. The baseline
// and the control stay, because every comparison needs them; kept says which
// of them were not named. A ready kernel may be named even where the
// configuration hasn't got it. The error is an *Error about flag.
func (c Config) Choose(flag string, names []string) (chosen Config, kept []string, err error) {
	if len(names) == 0 {
		return Config{}, nil, &Error{Where: flag, Problem: "names no kernel: there are " + strings.Join(c.KernelNames(), ", ")}
	}
	if c, err = c.WithReady(names); err != nil {
		return Config{}, nil, err
	}
	for _, name := range names {
		if _, ok := c.Kernel(name); !ok {
			e := unknown("", "kernel", name, c.KernelNames())
			e.Where = flag
			return Config{}, nil, e
		}
	}
	stays := func(name string) bool {
		return name != "" && (name == c.Baseline || name == c.Control || slices.Contains(names, name))
	}
	chosen = c
	chosen.Kernels = nil
	for _, k := range c.Kernels {
		if stays(k.Name) {
			chosen.Kernels = append(chosen.Kernels, k)
			if !slices.Contains(names, k.Name) {
				kept = append(kept, k.Name)
			}
		}
	}
	chosen.Conditions = nil
	for _, cond := range c.Conditions {
		if len(cond.Kernels) > 0 {
			cond.Kernels = slices.DeleteFunc(slices.Clone(cond.Kernels), func(name string) bool { return !stays(name) })
			if len(cond.Kernels) == 0 {
				continue // an empty list would mean all kernels
			}
		}
		chosen.Conditions = append(chosen.Conditions, cond)
	}
	return chosen, kept, nil
}

// WithoutControl returns the configuration without its control.
func (c Config) WithoutControl() Config {
	gone := c.Control
	c.Control = ""
	c.Kernels = slices.DeleteFunc(slices.Clone(c.Kernels), func(k Kernel) bool { return k.Name == gone })
	var conditions []Condition
	for _, cond := range c.Conditions {
		some := len(cond.Kernels) > 0
		cond.Kernels = nilIfEmpty(slices.DeleteFunc(slices.Clone(cond.Kernels), func(name string) bool { return name == gone }))
		if !some || len(cond.Kernels) > 0 { // an empty list would mean all kernels
			conditions = append(conditions, cond)
		}
	}
	c.Conditions = conditions
	return c
}

// UseTarball returns the configuration with a tarball, a path or an http(s)
// URL, as the source of its line. The error is an *Error about flag.
func (c Config) UseTarball(flag, place, sha256 string) (Config, error) {
	s := Source{Line: c.Line, Kind: string(kernel.SourceTarball), SHA256: sha256}
	if strings.Contains(place, "://") {
		s.URL = place
	} else {
		s.Path = place
	}
	if err := s.check(""); err != nil {
		e := err.(*Error)
		e.Where, e.Key = flag, ""
		return Config{}, e
	}
	return c.withSource(s), nil
}

// Shows reports whether the configuration's reports show a copy path.
func (c Config) Shows(copyPath string) bool {
	return slices.ContainsFunc(c.Workloads, func(glob string) bool { return matches(glob, copyPath) })
}

// Paths returns the copy paths and the configuration's own programs.
func (c Config) Paths(copyPaths []string) []string {
	return slices.Concat(copyPaths, namesOf(c.Programs, Program.Path))
}

// Families returns the families that have at least one path shown, in the order
// of paths.
func (c Config) Families(paths []string) []string {
	var families []string
	for _, p := range paths {
		if f := store.Family(p); c.Shows(p) && !slices.Contains(families, f) {
			families = append(families, f)
		}
	}
	return families
}

// Patches are the user's own patches, as the command line names them.
type Patches struct {
	Paths   []string // a series each, stacked in this order
	Version int      // of each; 0 means the newest
	// Kernels are the configured kernels that are measured too.
	Kernels []string
}

// WithPatches returns the configuration with one kernel more, the baseline with
// the user's patches, and without all others but the baseline, the control and
// those named. The error is an *Error about the flag that is at fault.
func (c Config) WithPatches(p Patches) (Config, error) {
	base, _ := c.Kernel(c.Baseline)
	mine := Kernel{Name: c.patchedName(p.Paths), Series: base.Series, Patches: p.Paths, PatchVersion: p.Version}
	if err := mine.checkPatches(""); err != nil {
		e := err.(*Error)
		e.Where, e.Key = "--patch", ""
		if len(p.Paths) == 0 || p.Version < 0 {
			e.Where = "--patch-version"
		}
		return Config{}, e
	}
	c, _, err := c.Choose("--kernel", append(slices.Clone(p.Kernels), c.Baseline))
	if err != nil {
		return Config{}, err
	}
	i := slices.IndexFunc(c.Kernels, func(k Kernel) bool { return k.Name == c.Baseline })
	c.Kernels = slices.Insert(slices.Clone(c.Kernels), i+1, mine)
	for i, cond := range c.Conditions {
		if len(cond.Kernels) > 0 {
			c.Conditions[i].Kernels = append(slices.Clone(cond.Kernels), mine.Name)
		}
	}
	return c, nil
}

// patchedName names a kernel after its patches, and unlike any other.
func (c Config) patchedName(paths []string) string {
	var parts []string
	for _, p := range paths {
		parts = append(parts, patchset.Name(p))
	}
	name := strings.Join(parts, "+")
	if len(name) > 32 || slices.Contains(parts, patchset.Unnamed) {
		name = patchset.Unnamed
	}
	for slices.Contains(c.KernelNames(), name) {
		name += "-patched"
	}
	return name
}

// UseSource returns the configuration with a source as typed: a tarball (a path
// or an http(s) URL), a folder, or a git tree and a revision, as PATH@REV or
// with rev. The error is an *Error about flag.
func (c Config) UseSource(flag, place, rev, sha256 string) (Config, error) {
	s, err := sourceAt(place, rev, sha256)
	if err == nil {
		s.Line = c.Line
		err = s.check("")
	}
	if err != nil {
		e := err.(*Error)
		e.Where, e.Key = flag, ""
		return Config{}, e
	}
	return c.withSource(s), nil
}

func (c Config) withSource(s Source) Config {
	c.Sources = slices.Clone(c.Sources)
	for i := range c.Sources {
		if c.Sources[i].Line == s.Line {
			c.Sources[i] = s
		}
	}
	return c
}

// sourceAt tells the kinds of source apart.
func sourceAt(place, rev, sha256 string) (Source, error) {
	s := Source{Kind: string(kernel.SourceTarball), SHA256: sha256}
	if strings.Contains(place, "://") {
		s.URL = place
		if rev != "" || strings.HasSuffix(place, ".git") {
			return Source{}, problem("", "%s: a git tree must be on this machine: git clone it, then --source PATH@REV", place)
		}
		return s, nil
	}
	path, at, found := splitRevision(place)
	if !found {
		return Source{}, problem("", "%s: no such file or folder: name a tarball, a kernel tree, or a git tree and a revision, PATH@REV", place)
	}
	if at != "" && rev != "" {
		return Source{}, problem("", "%s names a revision, and so does --rev %s: keep one", place, rev)
	}
	s.Path, s.Rev = path, at+rev
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return Source{}, problem("", "%s can't be read: %v", path, err)
	case !info.IsDir() && s.Rev != "":
		return Source{}, problem("", "%s is a file: only a git tree has revisions", path)
	case info.IsDir() && sha256 != "":
		return Source{}, problem("", "%s is a folder: --sha256 is for tarballs", path)
	case info.IsDir() && s.Rev != "":
		s.Kind = string(kernel.SourceGit)
	case info.IsDir():
		s.Kind = string(kernel.SourceTree)
	}
	return s, nil
}

// splitRevision splits PATH@REV where PATH exists; either may hold an @ of its
// own.
func splitRevision(place string) (path, rev string, found bool) {
	if _, err := os.Stat(place); err == nil {
		return place, "", true
	}
	for i := 1; i < len(place); i++ {
		if place[i] != '@' || i+1 == len(place) {
			continue
		}
		if info, err := os.Stat(place[:i]); err == nil && info.IsDir() {
			return place[:i], place[i+1:], true
		}
	}
	return "", "", false
}
