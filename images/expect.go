package images

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"

	"go.yaml.in/yaml/v3"
)

// expectName is the file of the declarations.
const expectName = "patches/expect.yaml"

// expectation is what patches/expect.yaml says.
type expectation struct {
	// Base are the values of all probes on base.
	Base   map[string]string      `yaml:"base"`
	Series map[string]declaration `yaml:"series"`
	Copies copiesDeclared         `yaml:"copies"`
}

// declaration is what one series says of itself.
type declaration struct {
	Untouched []string `yaml:"untouched"`
	// Probes are the values that differ from base's.
	Probes map[string]string `yaml:"probes"`
}

func declarations() (expectation, error) {
	text, err := files.ReadFile(expectName)
	if err != nil {
		return expectation{}, fmt.Errorf("what the series declare: %w", err)
	}
	return parseExpectation(expectName, text)
}

// parseExpectation reads declarations; name is the file's, for messages. A key
// that means nothing is an error.
func parseExpectation(name string, text []byte) (expectation, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	var e expectation
	if err := dec.Decode(&e); err != nil {
		return expectation{}, fmt.Errorf("%s: %w", name, err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return expectation{}, fmt.Errorf("%s: a second document follows the first", name)
	}
	for id, value := range e.Base {
		if value == "" {
			return expectation{}, fmt.Errorf("%s: base: probe %s has no value", name, id)
		}
	}
	for _, series := range slices.Sorted(maps.Keys(e.Series)) {
		if err := e.Series[series].check(e.Base); err != nil {
			return expectation{}, fmt.Errorf("%s: series %s: %w", name, series, err)
		}
	}
	if err := e.Copies.check(); err != nil {
		return expectation{}, fmt.Errorf("%s: %w", name, err)
	}
	return e, nil
}

// check finds what would never be seen: a probe that base doesn't have, a value
// that is none, a glob that matches nothing.
func (d declaration) check(base map[string]string) error {
	if d.Probes == nil {
		return errors.New("says nothing of probes: if it changes none, write probes: {}")
	}
	for _, id := range slices.Sorted(maps.Keys(d.Probes)) {
		if base[id] == "" {
			return fmt.Errorf("probe %q is not one of base's", id)
		}
		if d.Probes[id] == "" {
			return fmt.Errorf("probe %s has no value", id)
		}
	}
	for _, glob := range d.Untouched {
		if _, err := path.Match(glob, ""); err != nil {
			return fmt.Errorf("untouched: %q: %w", glob, err)
		}
	}
	return nil
}

// Expected returns what a kernel of these series declares of every probe, by
// the probe's ID; no series is base. own is what the kernel itself declares
// beyond that; its values count before those of the series. declared is false,
// and the map nil, when one of the series declares nothing, such as a user's,
// and neither does the kernel.
func Expected(series []string, own map[string]string) (values map[string]string, declared bool, err error) {
	e, err := declarations()
	if err != nil {
		return nil, false, err
	}
	values = maps.Clone(e.Base)
	for _, name := range series {
		d, ok := e.Series[name]
		if !ok && own == nil {
			return nil, false, nil
		}
		maps.Copy(values, d.Probes)
	}
	maps.Copy(values, own)
	return values, true, nil
}

// Changed returns what a kernel of these series declares to change, by the
// probe's ID: all that is known on a source that isn't the line's own, where
// base may show anything. own is as in Expected. The map is nil where nothing is
// declared.
func Changed(series []string, own map[string]string) (map[string]string, error) {
	e, err := declarations()
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, name := range series {
		d, ok := e.Series[name]
		if !ok && own == nil {
			return nil, nil
		}
		maps.Copy(values, d.Probes)
	}
	maps.Copy(values, own)
	if len(values) == 0 {
		return nil, nil
	}
	return values, nil
}

// Untouched returns those of the copy paths whose code no patch of the series
// changes, by what the series declare in patches/expect.yaml. A series without
// a declaration, such as a user's own, may change anything.
func Untouched(series, paths []string) ([]string, error) {
	e, err := declarations()
	if err != nil {
		return nil, err
	}
	left := slices.Clone(paths)
	for _, name := range series {
		globs := e.Series[name].Untouched
		left = slices.DeleteFunc(left, func(p string) bool {
			return !slices.ContainsFunc(globs, func(g string) bool {
				ok, err := path.Match(g, p)
				return ok && err == nil
			})
		})
	}
	return left, nil
}
