// Package images holds what the lab's VMs boot: the patch series and the kernel
// configuration, embedded so that the program works from any folder.
package images

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"splicelab/images/kernel"
)

//go:embed patches kconfig
var files embed.FS

// commonFragment is applied first, to every line and profile.
const commonFragment = "common.config"

// NameError is a name that nothing here has.
type NameError struct {
	What  string // "series", "line", "profile"
	Name  string
	Where string   // "of line 6.12", or empty
	Known []string // what would be right
}

func (e *NameError) Error() string {
	where := ""
	if e.Where != "" {
		where = " " + e.Where
	}
	return fmt.Sprintf("unknown %s %q%s: known are %s", e.What, e.Name, where, strings.Join(e.Known, ", "))
}

// ExitStatus is 2.
func (e *NameError) ExitStatus() int { return 2 }

// Lines returns the kernel lines that have patches here, the oldest first:
// 6.12.
func Lines() []string {
	lines := folders("patches")
	slices.SortFunc(lines, compareLines)
	return lines
}

// compareLines orders 6.9 before 6.12.
func compareLines(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(x, y string) int {
		m, errX := strconv.Atoi(x)
		n, errY := strconv.Atoi(y)
		if errX != nil || errY != nil {
			return strings.Compare(x, y)
		}
		return cmp.Compare(m, n)
	})
}

// SeriesNames returns the names of a line's series, sorted.
func SeriesNames(line string) []string {
	if !slices.Contains(Lines(), line) {
		return nil
	}
	return folders(path.Join("patches", line))
}

// folders lists the folders in dir, sorted.
func folders(dir string) []string {
	entries, err := files.ReadDir(dir)
	if err != nil { // not there
		return nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// Series returns the series of that name, its patches in the order of their
// file names. The error for a name that isn't known is a *NameError.
func Series(line, name string) (kernel.Series, error) {
	if lines := Lines(); !slices.Contains(lines, line) {
		return kernel.Series{}, &NameError{What: "kernel line", Name: line, Known: lines}
	}
	if names := SeriesNames(line); !slices.Contains(names, name) {
		return kernel.Series{}, &NameError{What: "series", Name: name, Where: "of line " + line, Known: names}
	}
	dir := path.Join("patches", line, name)
	found, err := fs.Glob(files, path.Join(dir, "*.patch")) // sorted
	if err != nil {
		return kernel.Series{}, fmt.Errorf("series %s: %w", name, err)
	}
	if len(found) == 0 {
		return kernel.Series{}, fmt.Errorf("series %s of line %s holds no *.patch", name, line)
	}
	s := kernel.Series{Name: name}
	for _, f := range found {
		text, err := files.ReadFile(f)
		if err != nil {
			return kernel.Series{}, fmt.Errorf("series %s: %w", name, err)
		}
		s.Patches = append(s.Patches, kernel.Text{Name: path.Base(f), Text: string(text)})
	}
	return s, nil
}

// Fragments returns the configuration of a line's profile: common.config,
// <line>.config, <profile>.config and, where there is one,
// <profile>-<line>.config, in the order in which they are applied. The error for
// a name that isn't known is a *NameError.
func Fragments(line, profile string) ([]kernel.Text, error) {
	if lines := Lines(); !slices.Contains(lines, line) {
		return nil, &NameError{What: "kernel line", Name: line, Known: lines}
	}
	if names := Profiles(); !slices.Contains(names, profile) {
		return nil, &NameError{What: "profile", Name: profile, Known: names}
	}
	var fragments []kernel.Text
	if names := profilesOf(line); !slices.Contains(names, profile) {
		return nil, &NameError{What: "profile", Name: profile, Where: "of line " + line, Known: names}
	}
	of := profile + "-" + line + ".config"
	for _, name := range []string{commonFragment, line + ".config", profile + ".config", of} {
		text, err := files.ReadFile(path.Join("kconfig", name))
		switch {
		case errors.Is(err, fs.ErrNotExist) && name == of:
			continue
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("line %s has patches, but no kconfig/%s", line, name)
		case err != nil:
			return nil, fmt.Errorf("kconfig fragment: %w", err)
		}
		fragments = append(fragments, kernel.Text{Name: name, Text: string(text)})
	}
	return fragments, nil
}

// Profiles are the fragments that are neither common nor of a line.
func Profiles() []string {
	found, err := fs.Glob(files, "kconfig/*.config")
	if err != nil {
		return nil
	}
	var names []string
	for _, f := range found {
		name := strings.TrimSuffix(path.Base(f), ".config")
		ofLine := slices.ContainsFunc(Lines(), func(line string) bool { return name == line || strings.HasSuffix(name, "-"+line) })
		if path.Base(f) != commonFragment && !ofLine {
			names = append(names, name)
		}
	}
	return names
}

// profilesOf are the profiles that a line has: one with a fragment for some lines
// was made for these alone.
func profilesOf(line string) []string {
	return slices.DeleteFunc(Profiles(), func(profile string) bool {
		some, err := fs.Glob(files, "kconfig/"+profile+"-*.config")
		return err == nil && len(some) > 0 && !slices.Contains(some, "kconfig/"+profile+"-"+line+".config")
	})
}
