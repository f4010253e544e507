package config

import (
	"path"
	"slices"
	"strings"

	"splicelab/images/kernel"
)

// Choose returns the configuration with the named kernels only. The baseline
// and the control stay, because every comparison needs them; kept says which
// of them were not named. The error is an *Error about flag.
func (c Config) Choose(flag string, names []string) (chosen Config, kept []string, err error) {
	if len(names) == 0 {
		return Config{}, nil, &Error{Where: flag, Problem: "names no kernel: there are " + strings.Join(c.KernelNames(), ", ")}
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
	c.Sources = slices.Clone(c.Sources)
	for i := range c.Sources {
		if c.Sources[i].Line == c.Line {
			c.Sources[i] = s
		}
	}
	return c, nil
}

// Shows reports whether the configuration's reports show a copy path.
func (c Config) Shows(copyPath string) bool {
	return slices.ContainsFunc(c.Workloads, func(glob string) bool { return matches(glob, copyPath) })
}

// Families returns the families that have at least one path shown, in the order
// of paths.
func (c Config) Families(paths []string) []string {
	var families []string
	for _, p := range paths {
		if f := path.Dir(p); c.Shows(p) && !slices.Contains(families, f) {
			families = append(families, f)
		}
	}
	return families
}
