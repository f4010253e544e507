package config

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"splicelab/workloads/wire"
	"strings"
	"time"
	"unicode"

	"splicelab/images/kernel"
)

// Known is what a configuration may name, as the other parts of the lab have
// it.
type Known struct {
	// Lines are the kernel lines that there are patches for, Profiles the
	// profiles of kernel options.
	Lines, Profiles []string
	// Series returns the names of a line's patch series.
	Series func(line string) []string
	// Paths are the copy paths, source-sink/method.
	Paths []string
	// Probes are the IDs of what `lab verify` looks at.
	Probes []string
}

// The limits of a configuration.
const (
	MinChunk  Size = 1
	MaxChunk  Size = 16 << 20
	maxChunks      = 64 // the plan has a constant size (wire.PlanSize)
)

// normalize gives equal configurations equal values.
func (c *Config) normalize() {
	for i, w := range c.Workloads {
		if !strings.Contains(w, "/") {
			c.Workloads[i] = w + "/*"
		}
	}
	for i := range c.Kernels {
		c.Kernels[i].Series = nilIfEmpty(c.Kernels[i].Series)
		c.Kernels[i].Patches = nilIfEmpty(c.Kernels[i].Patches)
		c.Kernels[i].Expect = nilIfEmpty(c.Kernels[i].Expect)
	}
	c.Programs = nilIfEmpty(c.Programs)
	for i := range c.Programs {
		c.Programs[i].Files = nilIfEmpty(c.Programs[i].Files)
		c.Programs[i].Packages = nilIfEmpty(c.Programs[i].Packages)
	}
	for i := range c.Conditions {
		c.Conditions[i].Cmdline = nilIfEmpty(c.Conditions[i].Cmdline)
		c.Conditions[i].Kernels = nilIfEmpty(c.Conditions[i].Kernels)
		c.Conditions[i].Chunks = nilIfEmpty(c.Conditions[i].Chunks)
		c.Conditions[i].Schedules = nilIfEmpty(c.Conditions[i].Schedules)
	}
}

func nilIfEmpty[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

// check returns the first thing that is wrong, as an *Error without a place.
func (c *Config) check(known Known) error {
	for _, part := range []func(Known) error{
		c.checkMode, c.checkSources, c.checkKernels, c.checkRoles,
		c.checkPrograms, c.checkWorkloads, c.checkChunks, c.checkSeeds, c.checkConditions, c.checkLimits,
	} {
		if err := part(known); err != nil {
			return err
		}
	}
	return nil
}

// fileSafe is what names of kernels and configurations are made of: they become
// names of files.
var fileSafe = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]{0,63}$`)

func checkName(key, name string) error {
	if !fileSafe.MatchString(name) {
		return problem(key, "%q can't be a name: use up to 64 of a-z, 0-9, '.', '+', '-', with a letter or digit first", name)
	}
	return nil
}

func (c *Config) checkMode(Known) error {
	if err := checkName("name", c.Name); err != nil {
		return err
	}
	if slices.Contains(strings.Split(c.Mode, ","), "time") {
		return problem("mode", "time isn't there yet: count is the only mode so far")
	}
	if c.Mode != "count" {
		return unknown("mode", "mode", c.Mode, []string{"count"})
	}
	return nil
}

// suiteName matches what may stand in a sources.list as a suite.
var suiteName = regexp.MustCompile(`^[a-z0-9][a-z0-9./-]*$`)

var sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (c *Config) checkSources(known Known) error {
	lines := namesOf(c.Sources, func(s Source) string { return s.Line })
	if err := checkUnique("sources", "line", lines); err != nil {
		return err
	}
	for i, s := range c.Sources {
		if err := s.check(fmt.Sprintf("sources[%d]", i)); err != nil {
			return err
		}
	}
	if !slices.Contains(known.Lines, c.Line) {
		return unknown("line", "kernel line", c.Line, known.Lines)
	}
	if !slices.Contains(lines, c.Line) {
		return problem("line", "sources has no entry for line %s, only for %s", c.Line, strings.Join(lines, ", "))
	}
	if !slices.Contains(known.Profiles, c.Profile) {
		return unknown("profile", "profile", c.Profile, known.Profiles)
	}
	return nil
}

// needs are the keys that each kind of source must have.
var needs = map[kernel.SourceKind][]string{
	kernel.SourceDebian:  {"package", "version"},
	kernel.SourceTarball: {"url or path", "sha256"},
	kernel.SourceGit:     {"url or path", "rev"},
	kernel.SourceTree:    {"path"},
}

func (s Source) check(key string) error {
	need, ok := needs[kernel.SourceKind(s.Kind)]
	if !ok {
		return unknown(key+".kind", "kind of source", s.Kind, []string{"debian", "tarball", "git", "tree"})
	}
	has := map[string]string{
		"package": s.Package, "version": s.Version, "url or path": s.URL + s.Path,
		"sha256": s.SHA256, "rev": s.Rev, "path": s.Path,
	}
	for _, n := range need {
		if has[n] == "" {
			return problem(key, "a %s source needs %s", s.Kind, n)
		}
	}
	if s.URL != "" && s.Path != "" {
		return problem(key+".path", "url is there too: keep one of them")
	}
	if s.Suite != "" && s.Kind != string(kernel.SourceDebian) {
		return problem(key+".suite", "a %s source has none: only a debian source lies in a suite", s.Kind)
	}
	if s.Suite != "" && !suiteName.MatchString(s.Suite) {
		return problem(key+".suite", "%q is not the name of a suite, such as trixie-backports", s.Suite)
	}
	if s.SHA256 != "" && !sha256Hex.MatchString(s.SHA256) {
		return problem(key+".sha256", "%q is not a SHA-256: 64 of 0-9, a-f, as sha256sum prints it", s.SHA256)
	}
	return nil
}

func (c *Config) checkKernels(known Known) error {
	if len(c.Kernels) == 0 {
		return problem("kernels", "there are none: name at least the baseline, such as kernels: [{name: base}]")
	}
	if err := checkUnique("kernels", "name", c.KernelNames()); err != nil {
		return err
	}
	series := known.Series(c.Line)
	for i, k := range c.Kernels {
		key := fmt.Sprintf("kernels[%d]", i)
		if err := checkName(key+".name", k.Name); err != nil {
			return err
		}
		for j, s := range k.Series {
			key := fmt.Sprintf("%s.series[%d]", key, j)
			if !slices.Contains(series, s) {
				return unknown(key, "series", s, series)
			}
			if slices.Contains(k.Series[:j], s) {
				return problem(key, "series %s is there twice: it would be applied twice", s)
			}
		}
		if err := k.checkPatches(key); err != nil {
			return err
		}
		if err := k.checkExpect(key+".expect", known.Probes); err != nil {
			return err
		}
	}
	return nil
}

// checkPatches checks what can be checked without the files: a stored run's
// configuration must stay good when they are gone.
func (k Kernel) checkPatches(key string) error {
	for i, p := range k.Patches {
		key := fmt.Sprintf("%s.patches[%d]", key, i)
		if p == "" {
			return problem(key, "is empty: name a patch, a mailbox or a folder of patches")
		}
		if slices.Contains(k.Patches[:i], p) {
			return problem(key, "%s is there twice: it would be applied twice", p)
		}
	}
	if k.PatchVersion < 0 {
		return problem(key+".patch_version", "%d is no version: they begin with 1", k.PatchVersion)
	}
	if k.PatchVersion > 0 && len(k.Patches) == 0 {
		return problem(key+".patch_version", "there are no patches that it could choose from")
	}
	return nil
}

func (k Kernel) checkExpect(key string, probes []string) error {
	seen := map[string]bool{}
	for i, e := range k.Expect {
		key := fmt.Sprintf("%s[%d]", key, i)
		id, value, _ := strings.Cut(e, "=")
		switch {
		case value == "":
			return problem(key, "%q is not PROBE=VALUE, such as T1=old", e)
		case !slices.Contains(probes, id):
			return unknown(key, "probe", id, probes)
		case seen[id]:
			return problem(key, "probe %s is there twice", id)
		}
		seen[id] = true
	}
	return nil
}

func (c *Config) checkRoles(Known) error {
	names := c.KernelNames()
	if !slices.Contains(names, c.Baseline) {
		return unknown("baseline", "kernel", c.Baseline, names)
	}
	if c.Control == "" {
		return nil
	}
	if !slices.Contains(names, c.Control) {
		return unknown("control", "kernel", c.Control, names)
	}
	if c.Control == c.Baseline {
		return problem("control", "%s is the baseline: the control is another build of it, or \"\"", c.Control)
	}
	return nil
}

func (c *Config) checkWorkloads(known Known) error {
	if len(c.Workloads) == 0 {
		return problem("workloads", "there are none: \"*\" means all")
	}
	paths := c.Paths(known.Paths)
	for i, glob := range c.Workloads {
		key := fmt.Sprintf("workloads[%d]", i)
		if _, err := path.Match(glob, ""); err != nil {
			return problem(key, "%q is not a glob: use *, ? and [a-z]", glob)
		}
		if !slices.ContainsFunc(paths, func(p string) bool { return matches(glob, p) }) {
			return problem(key, "%q matches no copy path%s", glob, Hint(glob, slices.Concat(paths, familyGlobs(paths))))
		}
	}
	return nil
}

// matches is path.Match for a glob that was checked.
func matches(glob, copyPath string) bool {
	ok, err := path.Match(glob, copyPath)
	return ok && err == nil
}

// familyGlobs returns family/* for each family, in order.
func familyGlobs(paths []string) []string {
	var globs []string
	for _, p := range paths {
		if g := path.Dir(p) + "/*"; !slices.Contains(globs, g) {
			globs = append(globs, g)
		}
	}
	return globs
}

func (c *Config) checkChunks(Known) error {
	if len(c.Chunks) == 0 || len(c.Chunks) > maxChunks {
		return problem("chunks", "there are %d: name 1 to %d", len(c.Chunks), maxChunks)
	}
	for i, size := range c.Chunks {
		key := fmt.Sprintf("chunks[%d]", i)
		if size < MinChunk || size > MaxChunk {
			return problem(key, "%v is outside %d B to %v", size, int64(MinChunk), MaxChunk)
		}
		if slices.Contains(c.Chunks[:i], size) {
			return problem(key, "%v is there twice", size)
		}
	}
	return nil
}

func (c *Config) checkSeeds(Known) error {
	if len(c.Seeds) == 0 {
		return problem("seeds", "there are none: name at least one, such as [1]")
	}
	for i, seed := range c.Seeds {
		if slices.Contains(c.Seeds[:i], seed) {
			return problem(fmt.Sprintf("seeds[%d]", i), "%d is there twice: it would give the same digits again", seed)
		}
	}
	return nil
}

func (c *Config) checkConditions(Known) error {
	if len(c.Conditions) == 0 {
		return problem("conditions", "there are none: name at least one")
	}
	slugs := namesOf(c.Conditions, Condition.Slug)
	if err := checkUnique("conditions", "name", slugs); err != nil {
		return err
	}
	for i, cond := range c.Conditions {
		key := fmt.Sprintf("conditions[%d]", i)
		if err := cond.check(key, c.KernelNames()); err != nil {
			return err
		}
		if err := cond.checkScope(key, c.Chunks); err != nil {
			return err
		}
		if text := cond.CommandLine(); len(text) > maxOptions {
			return problem(key+".cmdline", "%q is longer than %d characters: each boot's command line is filled up to one length, because the length alone moves figures", text, maxOptions)
		}
	}
	return nil
}

func (cond Condition) check(key string, kernels []string) error {
	printable := func(r rune) bool { return r < 0x7f && unicode.IsPrint(r) && r != '"' && r != '\'' }
	odd := func(r rune) bool { return !printable(r) }
	word := func(s string) bool { return s != "" && !strings.ContainsFunc(s, odd) && !strings.Contains(s, " ") }
	if cond.Name == "" || len(cond.Name) > 64 || cond.Name != strings.TrimSpace(cond.Name) || strings.ContainsFunc(cond.Name, odd) {
		return problem(key+".name", "%q can't be a name: use up to 64 printable characters without quotes", cond.Name)
	}
	if !word(cond.CPU) {
		return problem(key+".cpu", "%q is not a CPU model: write it as for QEMU's -cpu, such as qemu64,+aes", cond.CPU)
	}
	for i, option := range cond.Cmdline {
		if !word(option) {
			return problem(fmt.Sprintf("%s.cmdline[%d]", key, i), "%q is not one boot option: make each an entry of the list, without blanks or quotes", option)
		}
	}
	for i, k := range cond.Kernels {
		if !slices.Contains(kernels, k) {
			return unknown(fmt.Sprintf("%s.kernels[%d]", key, i), "kernel", k, kernels)
		}
	}
	return nil
}

// checkScope checks what of the configuration the condition leaves out.
func (cond Condition) checkScope(key string, chunks []Size) error {
	for i, size := range cond.Chunks {
		if !slices.Contains(chunks, size) {
			return problem(fmt.Sprintf("%s.chunks[%d]", key, i), "%s is not among the configuration's chunks: leave it out, or add it there", size)
		}
	}
	for i, name := range cond.Schedules {
		if !slices.Contains(schedules, name) {
			return unknown(fmt.Sprintf("%s.schedules[%d]", key, i), "schedule", name, schedules)
		}
	}
	return nil
}

// schedules are those that a condition may choose from.
var schedules = []string{wire.ScheduleLockstep, wire.ScheduleStream, wire.SchedulePingPong}

// CommandLine returns the condition's boot options as one text.
func (cond Condition) CommandLine() string { return strings.Join(cond.Cmdline, " ") }

// A condition's options have optionsWidth characters, filled up by a parameter
// that no kernel has: one with a dot is taken for an absent module's, and said
// nothing of (init/main.c, unknown_bootoption).
const (
	optionsWidth = 64
	filler       = "lab.fill="
	maxOptions   = optionsWidth - len(" "+filler)
)

// BootOptions returns the condition's boot options, filled up to the length that
// they have in every boot: the command line's length alone moves figures
// (facts.md, section 7, trap 6).
func (cond Condition) BootOptions() []string {
	used := len(cond.CommandLine())
	if used > 0 {
		used++ // the blank between the two
	}
	return append(slices.Clone(cond.Cmdline), filler+strings.Repeat("-", optionsWidth-used-len(filler)))
}

// Slug returns the condition's name as a part of file names.
func (cond Condition) Slug() string {
	return strings.Map(func(r rune) rune {
		if r < 0x7f && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("+.=-_", r)) {
			return r
		}
		return '-'
	}, cond.Name)
}

// On reports whether the condition is measured on a kernel.
func (cond Condition) On(kernel string) bool {
	return len(cond.Kernels) == 0 || slices.Contains(cond.Kernels, kernel)
}

func (c *Config) checkLimits(Known) error {
	for _, l := range []struct {
		key              string
		value, low, high int
		unit             string
	}{
		{"reps", c.Reps, 1, 1000, ""},
		{"memory_mib", c.MemoryMiB, 256, 1 << 20, " MiB"},
		{"jobs", c.Jobs, 0, 1024, " (0: as many as cores and memory allow)"},
		{"repeat_trials", c.RepeatTrials, 0, 1000, ""},
		{"cell_deadline", c.CellDeadline, 1, 3600, " seconds of guest time"},
	} {
		if l.value < l.low || l.value > l.high {
			return problem(l.key, "%d is outside %d to %d%s", l.value, l.low, l.high, l.unit)
		}
	}
	if c.BootCPUDeadline < time.Second {
		return problem("boot_cpu_deadline", "%v is too short for any boot: at least 1s", c.BootCPUDeadline)
	}
	if c.BootWallDeadline < c.BootCPUDeadline {
		return problem("boot_wall_deadline", "%v is shorter than boot_cpu_deadline (%v): a loaded host would change outcomes", c.BootWallDeadline, c.BootCPUDeadline)
	}
	return nil
}

func checkUnique(key, field string, names []string) error {
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return problem(fmt.Sprintf("%s[%d].%s", key, i, field), "%q is there twice: each needs a %s of its own", name, field)
		}
	}
	return nil
}
