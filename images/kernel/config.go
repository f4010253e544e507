package kernel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/renameio/v2"
)

// option is one line of a fragment.
type option struct {
	name  string // CONFIG_…
	value string // as behind the equals sign; "n" for "is not set"
	where string // fragment and line, for messages
}

// line is the option as .config writes it.
func (o option) line() string {
	if o.value == "n" {
		return "# " + o.name + " is not set"
	}
	return o.name + "=" + o.value
}

var (
	setLine   = regexp.MustCompile(`^(CONFIG_[A-Za-z0-9_]+)=(y|m|n|-?[0-9]+|0x[0-9A-Fa-f]+|"(?:[^"\\]|\\.)*")$`)
	unsetLine = regexp.MustCompile(`^# (CONFIG_[A-Za-z0-9_]+) is not set$`)
)

// parseConfig reads a fragment, or a whole .config.
func parseConfig(t Text) ([]option, error) {
	var options []option
	n := 0
	for line := range strings.Lines(t.Text) {
		n++
		line = strings.TrimRight(line, " \t\r\n")
		where := fmt.Sprintf("%s:%d", t.Name, n)
		if m := setLine.FindStringSubmatch(line); m != nil {
			options = append(options, option{m[1], m[2], where})
		} else if m := unsetLine.FindStringSubmatch(line); m != nil {
			options = append(options, option{m[1], "n", where})
		} else if line != "" && !strings.HasPrefix(line, "#") {
			return nil, &ConfigError{Problems: []string{fmt.Sprintf("%s: %q is neither CONFIG_X=y nor \"# CONFIG_X is not set\"", where, line)}}
		}
	}
	return options, nil
}

// mergeFragments returns the options of all fragments, each once: a later
// fragment wins over an earlier one. Within one fragment an option may not
// contradict itself.
func mergeFragments(fragments []Text) ([]option, error) {
	var merged []option
	at := make(map[string]int)
	for _, f := range fragments {
		options, err := parseConfig(f)
		if err != nil {
			return nil, err
		}
		here := make(map[string]option)
		for _, o := range options {
			if before, ok := here[o.name]; ok && before.value != o.value {
				return nil, &ConfigError{Problems: []string{fmt.Sprintf("%s: %s contradicts %s: %s", o.where, o.line(), before.where, before.line())}}
			}
			here[o.name] = o
			if i, ok := at[o.name]; ok {
				merged[i] = o
				continue
			}
			at[o.name] = len(merged)
			merged = append(merged, o)
		}
	}
	return merged, nil
}

// configText is what KCONFIG_ALLCONFIG reads.
func configText(options []option) string {
	var text strings.Builder
	for _, o := range options {
		text.WriteString(o.line() + "\n")
	}
	return text.String()
}

// checkConfig compares a final .config with what was wanted. The error is a
// *ConfigError with a line for every option that didn't take.
func checkConfig(want []option, final string) error {
	options, err := parseConfig(Text{Name: ".config", Text: final})
	if err != nil {
		return err
	}
	got := make(map[string]string, len(options))
	for _, o := range options {
		got[o.name] = o.value
	}
	var problems []string
	for _, o := range want {
		value, there := got[o.name]
		switch {
		case there && value == o.value, !there && o.value == "n":
			continue
		case !there:
			problems = append(problems, fmt.Sprintf("%s (%s) did not take: the final .config does not have it, so this kernel lacks it or what it depends on is off", o.line(), o.where))
		case value == "n":
			problems = append(problems, fmt.Sprintf("%s (%s) did not take: it is not set in the final .config", o.line(), o.where))
		default:
			problems = append(problems, fmt.Sprintf("%s (%s) did not take: it is %s in the final .config", o.line(), o.where, value))
		}
	}
	if len(problems) > 0 {
		return &ConfigError{Problems: problems}
	}
	return nil
}

// configure makes .config from the fragments over allnoconfig and checks it,
// then has kbuild prepare its tools and headers. A .config that is right already
// isn't written: all would be compiled again. When what it is made from is what
// it was last time, none of this is done: it is a third of the time that a
// kernel takes after the first.
func (j *job) configure(ctx context.Context, o *output) error {
	want, err := mergeFragments(j.spec.Fragments)
	if err != nil {
		return err
	}
	inputs, err := j.configInputs(o, want)
	if err != nil {
		return err
	}
	if j.configured(o, inputs) {
		return nil
	}
	j.event(Event{Step: StepConfigure})
	if err := o.begin(phasePrepare); err != nil {
		return err
	}
	final, err := j.allnoconfig(ctx, o, want)
	if err != nil {
		return err
	}
	if err := checkConfig(want, final); err != nil {
		// make ended by itself: nothing is half written.
		if endErr := o.end(phasePrepare); endErr != nil {
			return endErr
		}
		return err
	}
	config := filepath.Join(o.dir, ".config")
	if old, err := os.ReadFile(config); err != nil || string(old) != final {
		// Without a vmlinux the build counts as a full one, which it nearly is.
		if err := os.RemoveAll(filepath.Join(o.dir, "vmlinux")); err != nil {
			return err
		}
		if err := renameio.WriteFile(config, []byte(final), 0o644); err != nil {
			return err
		}
	}
	j.event(Event{Step: StepPrepare})
	if err := j.make(ctx, o, makeRun{targets: []string{"prepare"}}); err != nil {
		return err
	}
	if err := o.end(phasePrepare); err != nil {
		return err
	}
	return renameio.WriteFile(o.configuredFile(), []byte(inputs+" "+sumOf(final)), 0o644)
}

// configuredFile names what .config was made from, and its hash.
func (o *output) configuredFile() string { return o.dir + ".configured" }

// configInputs is the hash of what a .config is made from: the fragments, the
// compiler that Kconfig asks, and the Kconfig files of the tree. Of these only
// patched ones can differ: the source has a tree of its own.
func (j *job) configInputs(o *output, want []option) (string, error) {
	text := recipe + "\n" + j.tools.id + "\n" + configText(want)
	for _, name := range o.tree.touched() {
		if base := path.Base(name); !strings.HasPrefix(base, "Kconfig") && path.Ext(base) != ".sh" {
			continue
		}
		f, err := o.tree.read(path.Join("src", name))
		if err != nil {
			return "", err
		}
		text += fmt.Sprintf("%s %v %s\n", name, f.absent, sumOf(string(f.data)))
	}
	return sumOf(text), nil
}

// configured reports whether o is configured from inputs, and prepared.
func (j *job) configured(o *output, inputs string) bool {
	made, err := os.ReadFile(o.configuredFile())
	if err != nil {
		return false
	}
	config, err := os.ReadFile(filepath.Join(o.dir, ".config"))
	return err == nil && string(made) == inputs+" "+sumOf(string(config))
}

// allnoconfig returns the .config that kconfig makes of want.
func (j *job) allnoconfig(ctx context.Context, o *output, want []option) (string, error) {
	all, fresh := filepath.Join(o.dir, "all.config"), filepath.Join(o.dir, "new.config")
	if err := renameio.WriteFile(all, []byte(configText(want)), 0o644); err != nil {
		return "", err
	}
	if err := os.RemoveAll(fresh); err != nil {
		return "", err
	}
	err := j.make(ctx, o, makeRun{
		env:     []string{"KCONFIG_ALLCONFIG=" + all, "KCONFIG_CONFIG=" + fresh},
		targets: []string{"allnoconfig"},
	})
	if err != nil {
		return "", err
	}
	final, err := os.ReadFile(fresh)
	return string(final), err
}

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
