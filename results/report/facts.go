package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"splicelab/images/kernel"
	"splicelab/results/stats"
	"splicelab/results/store"
)

// kernelFacts tells what was measured.
func kernelFacts(m store.Manifest) []fact {
	width := 0
	for _, k := range m.Kernels {
		width = max(width, len(k.Spec.Name))
	}
	var stacks, sources []string
	for _, k := range m.Kernels {
		stacks = append(stacks, fmt.Sprintf("%-*s  %s", width, k.Spec.Name, stack(m, k)))
		for _, line := range ownLines(m, k) {
			stacks = append(stacks, strings.Repeat(" ", width+2)+line)
		}
		for _, line := range sourceLines(k.Source) {
			if !slices.Contains(sources, line) {
				sources = append(sources, line)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Failed)) {
		stacks = append(stacks, fmt.Sprintf("%-*s  NOT BUILT: %s", width, name, oneLine(m.Failed[name])))
	}
	return []fact{{"Kernels", stacks}, {"Source", sources}}
}

// stack names a kernel's series.
func stack(m store.Manifest, k kernel.Image) string {
	var parts []string
	for _, s := range k.Spec.Series {
		noun := "patches"
		if len(s.Patches) == 1 {
			noun = "patch"
		}
		parts = append(parts, fmt.Sprintf("%s (%d %s)", s.Name, len(s.Patches), noun))
	}
	text := strings.Join(parts, " + ")
	if text == "" {
		text = "no patches"
	}
	switch k.Spec.Name {
	case m.Baseline:
		text += "; the baseline"
	case m.Control:
		text += "; the control"
	}
	return text
}

// ownLines tell of a user's own series where they came from, and what became
// of them.
func ownLines(m store.Manifest, k kernel.Image) []string {
	var lines []string
	for _, s := range k.Spec.Series {
		if s.Origin != "" {
			lines = append(lines, s.Name+": "+oneLine(s.Origin))
		}
	}
	if len(k.Merged) > 0 {
		lines = append(lines, "by a three-way merge: "+strings.Join(k.Merged, ", "))
	}
	for _, b := range m.Kernels {
		if b.Spec.Name == m.Baseline && k.Spec.Name != m.Baseline && b.Signature != "" && b.Signature == k.Signature {
			lines = append(lines, "CHANGES NOTHING: its code and data are "+m.Baseline+"'s, byte for byte")
		}
	}
	return lines
}

func sourceLines(s kernel.Source) []string {
	var name string
	switch s.Spec.Kind {
	case kernel.SourceDebian:
		name = fmt.Sprintf("Debian's %s %s", s.Spec.Package, s.Version)
	case kernel.SourceGit:
		name = fmt.Sprintf("git %s", s.Version)
	default:
		name = fmt.Sprintf("%s %s", s.Spec.Kind, s.Version)
	}
	lines := []string{strings.TrimSpace(name)}
	if s.SHA256 != "" {
		lines = append(lines, "tarball sha256 "+s.SHA256)
	}
	if s.PinMissed != "" {
		lines = append(lines, "PIN NOT MET: "+oneLine(s.PinMissed))
	}
	return lines
}

// hostFacts tells on what it was measured.
func hostFacts(m store.Manifest, r *stats.Result) []fact {
	// The manifest holds the line that QEMU prints about itself.
	version := strings.TrimPrefix(m.QEMUVersion, "QEMU emulator version ")
	machine := fmt.Sprintf("QEMU %s, accelerator %s", version, m.Accelerator)
	if memory := argument(m.QEMUArgs, "-m"); memory != "" {
		if strings.Trim(memory, "0123456789") == "" {
			memory += " MiB" // QEMU's unit when none is given
		}
		machine += ", guest memory " + memory
	}
	if cpus := argument(m.QEMUArgs, "-smp"); cpus != "" {
		machine += ", CPUs " + cpus
	}
	var compilers []string
	for _, k := range m.Kernels {
		compilers = appendNew(compilers, k.Compiler)
	}
	built := fmt.Sprintf("%s; configuration %s; guest agent by %s; lab %s",
		strings.Join(compilers, ", "), strings.Join(profiles(m), ", "), m.GoVersion, m.Lab)
	return []fact{{"Machine", []string{machine}}, {"CPU models", conditionLines(m)}, {"Built by", []string{built}}, {"Boots", []string{bootLine(m, r)}}}
}

// bootLine tells how many boots there were and how a value comes from them.
func bootLine(m store.Manifest, r *stats.Result) string {
	done, cached := 0, 0
	for _, b := range m.Boots {
		if b.Done() {
			done++
		}
		if b.Cached {
			cached++
		}
	}
	line := fmt.Sprintf("%d of %d", done, len(m.Boots))
	if cached > 0 {
		line += fmt.Sprintf(" (%d from the sample cache)", cached)
	}
	return line + fmt.Sprintf("; a value is the median over boots (seeds: %d) of the median over repetitions (%d)", r.Seeds, m.Reps)
}

// conditionLines names the CPU model and what the kernel's command line has
// beyond what all conditions share.
func conditionLines(m store.Manifest) []string {
	width := 0
	for _, c := range m.Conditions {
		width = max(width, len(c.Name))
	}
	var lines []string
	for _, c := range m.Conditions {
		line := fmt.Sprintf("%-*s  %s", width, c.Name, c.CPUModel)
		for _, word := range strings.Fields(c.Cmdline) {
			everywhere := !slices.ContainsFunc(m.Conditions, func(o store.Condition) bool {
				return !slices.Contains(strings.Fields(o.Cmdline), word)
			})
			if !everywhere {
				line += " " + word
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// setup is what else is needed to repeat the figures by hand.
func (d *document) setup(m store.Manifest) {
	d.heading("Setup")
	d.text("QEMU's arguments of one boot:")
	d.code(commandLines(m.QEMUArgs, 100))
	if len(m.Settings) > 0 {
		var settings []string
		for _, name := range slices.Sorted(maps.Keys(m.Settings)) {
			settings = append(settings, name+"="+m.Settings[name])
		}
		d.text("Guest settings: " + strings.Join(settings, ", ") + ".")
	}
	var images []fact
	for _, k := range m.Kernels {
		images = append(images, fact{k.Spec.Name, []string{k.Release + ", bzImage sha256 " + k.BzImageSHA256}})
	}
	images = append(images,
		fact{"guest agent", []string{"sha256 " + m.Guest.SHA256}},
		fact{"initramfs", []string{"sha256 " + m.Initramfs.SHA256}},
		fact{"host", []string{fmt.Sprintf("%s, %d CPUs, %d MiB, %s, Linux %s", m.Host.CPU, m.Host.Cores, m.Host.MemoryMiB, m.Host.OS, m.Host.Kernel)}})
	d.facts(images)
}

// commandLines folds arguments, an option and its value never apart.
func commandLines(args []string, width int) []string {
	var words []string
	for i := 0; i < len(args); i++ {
		word := ShellWord(args[i])
		if strings.HasPrefix(args[i], "-") && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			i++
			word += " " + ShellWord(args[i])
		}
		words = append(words, word)
	}
	lines := foldWords(words, width)
	for i := range lines[:max(0, len(lines)-1)] {
		lines[i] += ` \`
	}
	return lines
}

// ShellWord makes an argument safe to paste into a shell.
func ShellWord(arg string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_=+,./:@%", r)
	}
	if arg != "" && strings.IndexFunc(arg, func(r rune) bool { return !safe(r) }) < 0 {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}

// argument is the value of an option in a list of arguments.
func argument(args []string, option string) string {
	if i := slices.Index(args, option); i >= 0 && i+1 < len(args) {
		return args[i+1]
	}
	return ""
}

func appendNew(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
