package run

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"splicelab/lab/config"
	"splicelab/lab/plan"
	"splicelab/lab/vm"
	"splicelab/results/store"
)

// DryRun prints the plan and the exact commands, and starts nothing. Paths of
// what isn't built yet are printed as $KERNEL and $RUN.
func DryRun(w io.Writer, c config.Config, known config.Known) error {
	for _, k := range plan.BuildOrder(c) {
		spec, err := Spec(c, k)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "build %s: %s, %s\n", k.Name, spec.Source, seriesText(k))
		for _, series := range spec.Series {
			for _, p := range series.Patches {
				fmt.Fprintf(w, "  %s/%s\n", series.Name, p.Name)
			}
			if series.Origin != "" {
				fmt.Fprintf(w, "  (%s)\n", series.Origin)
			}
		}
	}
	paths := c.Paths(known.Paths)
	untouched, err := untouchedPaths(c, paths)
	if err != nil {
		return err
	}
	if err := printVerifications(w, c); err != nil {
		return err
	}
	return printBoots(w, c, plan.Boots(c, c.Families(paths), untouched))
}

func seriesText(k config.Kernel) string {
	names := slices.Concat(k.Series, k.Patches)
	if len(names) == 0 {
		return "no series"
	}
	return "series " + strings.Join(names, ", ")
}

func printBoots(w io.Writer, c config.Config, boots []store.Boot) error {
	fmt.Fprintf(w, "%d boots, %d side by side:\n", len(boots), jobs(c))
	for _, b := range boots {
		args, err := vm.Args(dryBoot(c, b))
		if err != nil {
			return err
		}
		what := "family " + b.Family
		if b.Mode == store.ModeAccount {
			what = "account of " + strings.Join(b.Families, ", ")
		}
		fmt.Fprintf(w, "boot %s: %s, %s, seed %d\n  qemu-system-x86_64 %s\n", b.Name, what, b.Condition, b.Seed, strings.Join(shellWords(args), " "))
	}
	return nil
}

// dryBoot is the VM of a boot whose files aren't there yet.
func dryBoot(c config.Config, b store.Boot) vm.Boot {
	return vmBoot(c, b, filepath.Join("$KERNEL", b.Kernel, "bzImage"), "$RUN", filepath.Join("$RUN", "console", b.Name))
}

// shellWord quotes what a shell would split.
func shellWord(a string) string {
	if a == "" || strings.ContainsAny(a, " \t*?;&|<>()'\"\\") {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(a) + `"`
	}
	return a
}
