// Package plan turns a configuration into the boots of a run, in the order in
// which they are to be run. It is pure: equal configurations give equal plans.
package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"splicelab/lab/config"
	"splicelab/results/store"
	"splicelab/workloads/copypath"
	"splicelab/workloads/wire"
)

// BuildOrder returns the kernels in the order in which they are to be built:
// the baseline, the others as configured, the control last.
func BuildOrder(c config.Config) []config.Kernel {
	rank := func(k config.Kernel) int {
		switch k.Name {
		case c.Baseline:
			return 0
		case c.Control:
			return 2
		}
		return 1
	}
	order := slices.Clone(c.Kernels)
	slices.SortStableFunc(order, func(a, b config.Kernel) int { return rank(a) - rank(b) })
	return order
}

// Conditions returns the manifest's conditions.
func Conditions(c config.Config) []store.Condition {
	var list []store.Condition
	for _, cond := range c.Conditions {
		list = append(list, store.Condition{
			Name: cond.Name, CPUModel: cond.CPU, Cmdline: cond.CommandLine(), Kernels: cond.Kernels,
		})
	}
	return list
}

// Touch tells what a kernel's patches change.
type Touch interface {
	// Untouched reports whether none of a kernel's patches changes the code of
	// any copy path of a family.
	Untouched(kernel, family string) bool
}

// Boots returns every boot of the run. families are those to be run, whole.
//
// Each kernel's accounts of copies come before its first figures, which they
// prove. The order follows the build: first the baseline and the second kernel under
// the first condition, which is the first comparison; then these two under the
// other conditions; then kernel by kernel, as they are built. Within such a
// step the trials are shuffled by the configuration's first seed, and kernels
// are neighbours, so that a run that is cut off has pairs to compare.
func Boots(c config.Config, families []string, touch Touch) []store.Boot {
	var boots []store.Boot
	random := rand.New(rand.NewPCG(c.Seeds[0], 0))
	for _, group := range groups(c) {
		boots = append(boots, group.boots(c, families, touch, random)...)
	}
	return withRepeats(c, boots, random)
}

// group is a set of kernels and conditions that are run together.
type group struct {
	kernels    []config.Kernel
	conditions []config.Condition
	// account: these kernels appear for the first time.
	account bool
}

func groups(c config.Config) []group {
	order := BuildOrder(c)
	pair := order[:min(2, len(order))]
	list := []group{{pair, c.Conditions[:1], c.Account}, {pair, c.Conditions[1:], false}}
	for i := len(pair); i < len(order); i++ {
		list = append(list, group{order[i : i+1], c.Conditions[:1], c.Account}, group{order[i : i+1], c.Conditions[1:], false})
	}
	return list
}

func (g group) boots(c config.Config, families []string, touch Touch, random *rand.Rand) []store.Boot {
	var trials [][]store.Boot // each: one trial on all kernels
	for _, cond := range g.conditions {
		for _, family := range families {
			for _, seed := range c.Seeds {
				var boots []store.Boot
				for _, k := range g.kernels {
					if cond.On(k.Name) && measures(cond, family) && !(cond.TouchedOnly && touch.Untouched(k.Name, family)) {
						boots = append(boots, boot(k, family, cond, seed, 0))
					}
				}
				random.Shuffle(len(boots), func(i, j int) { boots[i], boots[j] = boots[j], boots[i] })
				trials = append(trials, boots)
			}
		}
	}
	random.Shuffle(len(trials), func(i, j int) { trials[i], trials[j] = trials[j], trials[i] })
	all := slices.Concat(trials...)
	if g.account {
		all = append(g.accounts(c, families), all...)
	}
	return all
}

// measures reports whether a condition has a schedule that the family knows: a
// boot for the others would measure nothing. A family that isn't one of this
// program's has them all.
func measures(cond config.Condition, family string) bool {
	f, err := copypath.Lookup(family)
	return err != nil || len(cond.Schedules) == 0 || slices.ContainsFunc(cond.Schedules, f.Has)
}

// accounts are the group's boots that count copies.
func (g group) accounts(c config.Config, families []string) []store.Boot {
	var boots []store.Boot
	for _, k := range g.kernels {
		boots = append(boots, Accounts(c, k, families)...)
	}
	return boots
}

// Accounts are a kernel's boots that count copies: one for all families, since
// nothing in it varies, and copies, unlike instructions, don't depend on what
// ran before. The control has none: no table shows it, and the probes see that
// it is the baseline.
func Accounts(c config.Config, k config.Kernel, families []string) []store.Boot {
	// A program delivers no bytes that copies could be counted for.
	families = slices.DeleteFunc(slices.Clone(families), store.IsProgram)
	if k.Name == c.Control || len(families) == 0 {
		return nil
	}
	return []store.Boot{{
		Name:   fmt.Sprintf("%s_%s_s%d_account", k.Name, c.Conditions[0].Slug(), c.Seeds[0]),
		Kernel: k.Name, Families: families, Condition: c.Conditions[0].Name, Seed: c.Seeds[0], Mode: store.ModeAccount,
	}}
}

func boot(k config.Kernel, family string, cond config.Condition, seed uint64, repeat int) store.Boot {
	return store.Boot{
		// The form is the same for every boot; names are file names.
		Name:   fmt.Sprintf("%s_%s_%s_s%d_r%d", k.Name, strings.ReplaceAll(family, "/", "-"), cond.Slug(), seed, repeat),
		Kernel: k.Name, Family: family, Condition: cond.Name, Seed: seed, Repeat: repeat,
	}
}

// withRepeats puts the second boots of c.RepeatTrials trials of the first
// condition behind the last first boot of their kernel, where they delay no
// comparison.
func withRepeats(c config.Config, boots []store.Boot, random *rand.Rand) []store.Boot {
	repeats := map[string][]store.Boot{} // by kernel
	cond := c.Conditions[0]
	var trials []store.Boot
	for _, b := range boots {
		if b.Condition == cond.Name && b.Mode == "" {
			trials = append(trials, b)
		}
	}
	for _, i := range random.Perm(len(trials))[:min(c.RepeatTrials, len(trials))] {
		b := trials[i]
		again := boot(config.Kernel{Name: b.Kernel}, b.Family, cond, b.Seed, 1)
		repeats[b.Kernel] = append(repeats[b.Kernel], again)
	}
	var all []store.Boot
	for i, b := range boots {
		all = append(all, b)
		last := !slices.ContainsFunc(boots[i+1:], func(later store.Boot) bool { return later.Kernel == b.Kernel })
		if last {
			all = append(all, repeats[b.Kernel]...)
		}
	}
	return all
}

// Wire returns what the guest is told for a boot.
func Wire(c config.Config, b store.Boot) wire.Plan {
	if b.Mode == store.ModeAccount {
		p := wire.Plan{Version: wire.Version, Kind: wire.KindAccount, Line: c.Line, Seed: b.Seed, CellDeadline: c.CellDeadline}
		for _, family := range b.Families {
			p.Families = append(p.Families, wire.FamilyPlan{Family: family, Chunks: []int64{accountChunk(c, family)}})
		}
		return p
	}
	if store.IsProgram(b.Family) {
		return wire.Plan{
			Version: wire.Version, Kind: wire.KindProgram, Family: b.Family, Seed: b.Seed,
			Command: c.Program(b.Family).Command, Reps: c.Reps, CellDeadline: c.CellDeadline,
		}
	}
	cond, chunks := c.Condition(b.Condition), c.Chunks
	p := wire.Plan{
		Version: wire.Version, Kind: wire.KindCount, Family: b.Family, Seed: b.Seed,
		Schedules: []string{wire.ScheduleLockstep, wire.ScheduleStream},
		Reps:      c.Reps, CellDeadline: c.CellDeadline,
	}
	if len(cond.Schedules) > 0 {
		p.Schedules = cond.Schedules
	}
	if len(cond.Chunks) > 0 {
		chunks = cond.Chunks
	}
	for _, chunk := range chunks {
		p.Chunks = append(p.Chunks, int64(chunk))
	}
	return p
}

// accountChunk is the size at which copies are counted: that of the reports'
// headline, so that the CPU models' count of user copies stands beside it, or
// the largest that the family takes. Copies per byte don't depend on it.
func accountChunk(c config.Config, family string) int64 {
	const headline = 64 << 10
	f, err := copypath.Lookup(family)
	takes := func(chunk config.Size) bool { return err != nil || f.Takes(int64(chunk)) }
	if slices.Contains(c.Chunks, headline) && takes(headline) {
		return headline
	}
	sorted := slices.Sorted(slices.Values(c.Chunks))
	for _, chunk := range slices.Backward(sorted) {
		if takes(chunk) {
			return int64(chunk)
		}
	}
	return int64(sorted[len(sorted)-1]) // the guest says that it is left out
}
