package images

import (
	"bytes"
	"fmt"
	"path"
	"slices"

	"go.yaml.in/yaml/v3"
)

// expectation is what patches/expect.yaml says.
type expectation struct {
	Series map[string]struct {
		Untouched []string `yaml:"untouched"`
	} `yaml:"series"`
	Copies copiesDeclared `yaml:"copies"`
}

// expectName is the file of the declarations.
const expectName = "patches/expect.yaml"

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
	var e expectation
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&e); err != nil {
		return expectation{}, fmt.Errorf("%s: %w", name, err)
	}
	if err := e.Copies.check(); err != nil {
		return expectation{}, fmt.Errorf("%s: %w", name, err)
	}
	return e, nil
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
