package config

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"splicelab/configs"
	"splicelab/images"
)

// Ready returns the kernels that every configuration knows by name: those of
// default.yaml.
func Ready() ([]Kernel, error) {
	text, err := configs.Files.ReadFile(configs.Default)
	if err != nil {
		return nil, err
	}
	var file struct{ Kernels []Kernel }
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, &Error{Where: configs.Default, Problem: err.Error()}
	}
	return file.Kernels, nil
}

// useReady fills in the series of the kernels that have a name alone. Such a
// name that nobody knows would be base under another name: a slip of the pen.
func (c *Config) useReady() error {
	ready, err := Ready()
	if err != nil {
		return err
	}
	for i, k := range c.Kernels {
		if !fileSafe.MatchString(k.Name) || k.Series != nil || len(k.Patches) > 0 {
			continue
		}
		at := slices.IndexFunc(ready, func(r Kernel) bool { return r.Name == k.Name })
		if at < 0 {
			e := unknown(fmt.Sprintf("kernels[%d].name", i), "kernel", k.Name, namesOf(ready, nameOf))
			e.Problem += " (one of your own says its series or patches; series: [] is none)"
			return e
		}
		c.Kernels[i].Series = ready[at].Series
	}
	return nil
}

// WithReady returns the configuration with the ready kernels that are named and
// that it doesn't have, behind its own.
func (c Config) WithReady(names []string) (Config, error) {
	ready, err := Ready()
	if err != nil {
		return c, err
	}
	c.Kernels = slices.Clone(c.Kernels)
	for _, k := range ready {
		if _, has := c.Kernel(k.Name); !has && slices.Contains(names, k.Name) {
			c.Kernels = append(c.Kernels, k)
		}
	}
	return c, nil
}

func nameOf(k Kernel) string { return k.Name }

// Copies returns what the kernels declare of their copies, by kernel and path.
// One with the user's own patches declares nothing.
func (c Config) Copies() (map[string]map[string]images.Copies, error) {
	declared := map[string]map[string]images.Copies{}
	for _, k := range c.Kernels {
		if len(k.Patches) > 0 {
			continue
		}
		copies, err := images.ExpectedCopies(k.Series)
		if err != nil {
			return nil, err
		}
		declared[k.Name] = copies
	}
	return declared, nil
}
