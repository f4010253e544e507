package images

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// selftestsName is the file of what series change of the kernel's own tests.
const selftestsName = "patches/selftests.yaml"

// SelftestChange is what a series makes of some of the kernel's own tests.
type SelftestChange struct {
	// Tests are globs of a program, a blank and a test.
	Tests   []string `yaml:"tests"`
	ComesTo string   `yaml:"comes_to"` // the first word of their results
	Why     string   `yaml:"why"`
}

// Of reports whether the change is one of this test of a program.
func (c SelftestChange) Of(program, test string) bool {
	return slices.ContainsFunc(c.Tests, func(glob string) bool {
		ok, err := path.Match(glob, program+" "+test)
		return ok && err == nil
	})
}

// SelftestChanges returns what a kernel with this stack of series declares to
// change of the kernel's own tests; no series is base, which changes nothing.
// declared is false when one of them, such as a user's, declares nothing.
func SelftestChanges(series []string) (changes []SelftestChange, declared bool, err error) {
	text, err := files.ReadFile(selftestsName)
	if err != nil {
		return nil, false, fmt.Errorf("what the series change of the kernel's tests: %w", err)
	}
	all, err := parseSelftests(selftestsName, text)
	if err != nil {
		return nil, false, err
	}
	for _, name := range series {
		own, ok := all[name]
		if !ok {
			return nil, false, nil
		}
		changes = append(changes, own...)
	}
	return changes, true, nil
}

// parseSelftests reads declarations; name is the file's, for messages.
func parseSelftests(name string, text []byte) (map[string][]SelftestChange, error) {
	var all struct {
		Series map[string][]SelftestChange `yaml:"series"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&all); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, series := range slices.Sorted(maps.Keys(all.Series)) {
		for i, c := range all.Series[series] {
			if err := c.check(); err != nil {
				return nil, fmt.Errorf("%s: series %s, change %d: %w", name, series, i+1, err)
			}
		}
	}
	return all.Series, nil
}

// check finds what would never match, and what says nothing.
func (c SelftestChange) check() error {
	if len(c.Tests) == 0 || c.ComesTo == "" || c.Why == "" {
		return fmt.Errorf("it needs tests, comes_to and why")
	}
	for _, glob := range c.Tests {
		if _, err := path.Match(glob, ""); err != nil || !strings.Contains(glob, " ") {
			return fmt.Errorf("%q is no glob of a program, a blank and a test", glob)
		}
	}
	return nil
}
