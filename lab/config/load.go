package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"splicelab/configs"
)

// EnvPrefix begins the environment's variables; LAB_REPS sets reps.
const EnvPrefix = "LAB_"

// CacheVariable sets cache, before LAB_CACHE.
const CacheVariable = "SPLICELAB_CACHE"

// Setting is a value from a flag. It goes before the environment, which goes
// before the file.
type Setting struct {
	Flag  string // as the user typed it: --workload
	Key   string
	Value any
}

// Options say where a configuration comes from.
type Options struct {
	// File is a path, or the name of a shipped configuration (configs/lab.yaml,
	// lab) when there is no such file.
	File     string
	Settings []Setting
	Known    Known
}

// Load reads a configuration from default.yaml, the file, the environment and
// the settings, in rising order of precedence. Every error is an *Error, of one
// line.
func Load(o Options) (Config, error) {
	name, text, err := find(o.File)
	if err != nil {
		return Config{}, err
	}
	s := newSources(name)
	if err := s.useEnviron(os.Environ()); err != nil {
		return Config{}, err
	}
	s.useSettings(o.Settings)
	c, err := s.load(text, o.Known)
	if err != nil {
		return Config{}, err
	}
	c.pathsBeside(name)
	return c, nil
}

// pathsBeside makes the paths of patches and programs relative to where the
// program runs: in a file they are relative to the file.
func (c *Config) pathsBeside(file string) {
	beside := func(paths []string) {
		for i, p := range paths {
			if !filepath.IsAbs(p) {
				paths[i] = filepath.Join(filepath.Dir(file), p)
			}
		}
	}
	for _, k := range c.Kernels {
		beside(k.Patches)
	}
	for _, p := range c.Programs {
		beside(p.Files) // HOST:GUEST begins with HOST
	}
}

// Parse reads a configuration from text alone, such as a manifest's: neither
// the environment nor flags change it. name stands in errors.
func Parse(name, text string, known Known) (Config, error) {
	return newSources(name).load([]byte(text), known)
}

// find returns the text of a configuration and the name it has in messages.
func find(file string) (string, []byte, error) {
	text, err := os.ReadFile(file)
	if err == nil {
		return file, text, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", nil, &Error{Where: file, Problem: fmt.Sprintf("can't be read: %v", errors.Unwrap(err))}
	}
	shipped := strings.TrimSuffix(strings.TrimPrefix(file, "configs/"), ".yaml")
	if text, err := configs.Files.ReadFile(shipped + ".yaml"); err == nil && shipped+".yaml" != configs.Default {
		return "configs/" + shipped + ".yaml", text, nil
	}
	return "", nil, &Error{Where: file, Problem: "no such file, and no shipped configuration of that name" + Hint(shipped, Shipped())}
}

// Shipped returns the names of the shipped configurations.
func Shipped() []string {
	var names []string
	files, _ := fs.Glob(configs.Files, "*.yaml") // fails for a malformed pattern only
	for _, f := range files {
		if f != configs.Default {
			names = append(names, strings.TrimSuffix(f, ".yaml"))
		}
	}
	return names
}

// sources is everything that a configuration is read from, and knows which of
// them a value came from.
type sources struct {
	v    *viper.Viper
	file string
	doc  *yaml.Node        // the file, for line numbers
	own  map[string]string // key → the flag or variable that sets it
}

func newSources(file string) *sources {
	return &sources{
		// Any other delimiter than viper's dot: a key such as v6.12 is split
		// otherwise.
		v:    viper.NewWithOptions(viper.KeyDelimiter("::")),
		file: file, own: map[string]string{},
	}
}

// useEnviron binds the environment's variables. A variable that begins with
// LAB_ and sets nothing is an error, as an unknown key in a file is.
func (s *sources) useEnviron(environ []string) error {
	if os.Getenv(CacheVariable) != "" {
		s.bind("cache", CacheVariable)
	}
	variables := map[string]string{}
	for _, key := range keysOf(reflect.TypeFor[Config](), false) {
		variables[EnvPrefix+strings.ToUpper(key)] = key
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, EnvPrefix) || value == "" {
			continue
		}
		key, ok := variables[name]
		if !ok {
			return &Error{Where: name, own: true, Problem: "sets nothing" + Hint(name, slices.Sorted(maps.Keys(variables))) + " (unset it, or put lists of entries into a file for -c)"}
		}
		s.bind(key, name)
	}
	return nil
}

// bind makes a variable set a key; the first one of a key goes before others.
func (s *sources) bind(key, variable string) {
	if _, ok := s.own[key]; !ok {
		s.own[key] = variable
	}
	_ = s.v.BindEnv(key, variable) // fails without a key only
}

func (s *sources) useSettings(settings []Setting) {
	for _, set := range settings {
		s.own[set.Key] = set.Flag
		s.v.Set(set.Key, set.Value)
	}
}

// load reads the file over the defaults and under the rest.
func (s *sources) load(text []byte, known Known) (Config, error) {
	if err := s.readDefaults(); err != nil {
		return Config{}, err
	}
	var err error
	if s.doc, err = parseYAML(text); err == nil {
		s.v.SetConfigType("yaml")
		err = s.v.ReadConfig(bytes.NewReader(text))
	}
	if err != nil {
		return Config{}, s.place(err)
	}
	var c Config
	if err := s.v.UnmarshalExact(&c, strictly); err != nil {
		return Config{}, s.place(decodeProblem(err))
	}
	if c.Name == "" {
		c.Name = strings.TrimSuffix(filepath.Base(s.file), filepath.Ext(s.file))
	}
	if err := c.useReady(); err != nil {
		return Config{}, s.place(err)
	}
	c.normalize()
	if err := c.check(known); err != nil {
		return Config{}, s.place(err)
	}
	return c, nil
}

// readDefaults makes each key of default.yaml a default. viper knows the
// environment's value of a scalar only where it knows a default.
func (s *sources) readDefaults() error {
	text, err := configs.Files.ReadFile(configs.Default)
	if err != nil {
		return err
	}
	var defaults map[string]any
	if err := yaml.Unmarshal(text, &defaults); err != nil {
		return &Error{Where: configs.Default, Problem: err.Error()}
	}
	for key, value := range defaults {
		s.v.SetDefault(key, value)
	}
	s.v.SetDefault("name", "")
	return nil
}

// place fills in where the value came from that an error is about.
func (s *sources) place(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Problem: yamlProblem(err)}
	}
	top, _, _ := strings.Cut(e.Key, "[")
	if own, ok := s.own[top]; ok {
		e.Where, e.own = own, true
		return e
	}
	e.Where = s.file
	if line := lineOf(s.doc, e.Key); line > 0 {
		e.Where = fmt.Sprintf("%s:%d", s.file, line)
	}
	return e
}

// yamlProblem is the first thing the YAML parser found, without its prefixes.
func yamlProblem(err error) string {
	var types *yaml.TypeError
	if errors.As(err, &types) && len(types.Errors) > 0 {
		return types.Errors[0]
	}
	return strings.TrimPrefix(err.Error(), "yaml: ")
}
