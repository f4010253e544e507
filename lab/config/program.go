package config

import (
	"fmt"
	"regexp"
	"strings"

	"splicelab/images/bundle"
	"splicelab/workloads/wire"
)

// debianPackage is NAME or NAME=VERSION (Debian policy, 5.6.1 and 5.6.12).
var debianPackage = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+:~-]+)?$`)

// Program returns the program of that path, the zero value when there is none.
func (c Config) Program(path string) Program {
	for _, p := range c.Programs {
		if p.Path() == path {
			return p
		}
	}
	return Program{}
}

// checkPrograms checks what can be checked without the files: a stored run's
// configuration must stay good when they are gone.
func (c *Config) checkPrograms(Known) error {
	if err := checkUnique("programs", "name", namesOf(c.Programs, func(p Program) string { return p.Name })); err != nil {
		return err
	}
	for i, p := range c.Programs {
		if err := p.check(fmt.Sprintf("programs[%d]", i), c.Reps, c.CellDeadline); err != nil {
			return err
		}
	}
	return nil
}

func (p Program) check(key string, reps, deadline int) error {
	if err := checkName(key+".name", p.Name); err != nil {
		return err
	}
	if strings.ContainsFunc(p.About, func(r rune) bool { return r < ' ' }) {
		return problem(key+".about", "has more than one line")
	}
	if len(p.Command) == 0 || p.Command[0] == "" {
		return problem(key+".command", "names no program: make it a list of arguments, such as [./bench, --size, 4096]")
	}
	for i, f := range p.Files {
		if _, _, err := bundle.SplitFile(f); err != nil {
			return problem(fmt.Sprintf("%s.files[%d]", key, i), "%v", err)
		}
	}
	for i, name := range p.Packages {
		if !debianPackage.MatchString(name) {
			return problem(fmt.Sprintf("%s.packages[%d]", key, i), "%q is not the name of a Debian package, NAME or NAME=VERSION", name)
		}
	}
	longest := wire.Plan{Version: wire.Version, Kind: wire.KindProgram, Family: p.Path(), Seed: 1<<64 - 1, Command: p.Command, Reps: reps, CellDeadline: deadline}
	if _, err := longest.Encode(); err != nil {
		return problem(key+".command", "is too long for a boot's plan of %d bytes: put it into a script, and that under files", wire.PlanSize)
	}
	return nil
}
