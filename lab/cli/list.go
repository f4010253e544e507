package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"splicelab/images"
	"splicelab/lab/config"
)

func newList(w Work, io Streams) *cobra.Command {
	var typed choice
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List a configuration's kernels, workloads and conditions, and the stored runs",
		Args:  atMost(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := typed.config(w, cmd.Flags())
			if err != nil {
				return err
			}
			copies, err := cfg.Copies()
			if err != nil {
				return err
			}
			return printList(io, cfg, w.Paths, copies, storedRuns(runsFolder))
		},
	}
	typed.fileFlag(cmd.Flags())
	return cmd
}

// copiesText is how often the CPU copies a byte of a path: on the baseline,
// then the kernels that differ.
func copiesText(cfg config.Config, declared map[string]map[string]images.Copies, path string) string {
	base, ok := declared[cfg.Baseline][path]
	if !ok {
		return "copies not declared"
	}
	text := "copies: " + copyCount(base)
	separator := "; "
	for _, k := range cfg.Kernels {
		c, ok := declared[k.Name][path]
		if ok && copyCount(c) != copyCount(base) {
			text += separator + k.Name + " " + copyCount(c)
			separator = ", "
		}
	}
	return text
}

func copyCount(c images.Copies) string {
	if c.Refused {
		return "refuses"
	}
	return strconv.FormatFloat(c.PerByte, 'g', -1, 64)
}

func printList(io Streams, cfg config.Config, paths []Path, copies map[string]map[string]images.Copies, runs []storedRun) error {
	out := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "Kernels (%s, line %s, profile %s)\n", cfg.Name, cfg.Line, cfg.Profile)
	for _, k := range cfg.Kernels {
		fmt.Fprintf(out, "  %s\t%s%s\n", k.Name, strings.Join(slices.Concat(k.Series, k.Patches), " + "), role(cfg, k.Name))
	}
	fmt.Fprintln(out, "\nWorkloads (copies: by the CPU, for each byte)")
	family := ""
	for _, p := range paths {
		if p.Family != family {
			family = p.Family
			fmt.Fprintf(out, "  %s\n", family)
		}
		mark := ""
		if !cfg.Shows(p.Name) {
			mark = " (not in " + cfg.Name + ")"
		}
		fmt.Fprintf(out, "    %s\t%s%s\n\t%s\n", p.Name, p.About, mark, copiesText(cfg, copies, p.Name))
	}
	if len(cfg.Programs) > 0 {
		fmt.Fprintln(out, "  programs of your own")
	}
	for _, p := range cfg.Programs {
		fmt.Fprintf(out, "    %s\t%s\n", p.Path(), p.About)
	}
	fmt.Fprintln(out, "\nConditions")
	for _, c := range cfg.Conditions {
		on := "all kernels"
		if len(c.Kernels) > 0 {
			on = strings.Join(c.Kernels, ", ")
		}
		fmt.Fprintf(out, "  %s\t-cpu %s\t%s\t%s\n", c.Name, c.CPU, c.CommandLine(), on)
	}
	fmt.Fprintln(out, "\nRuns")
	for _, r := range runs {
		fmt.Fprintf(out, "  %s\t%s\n", r.dir, r.state)
	}
	if len(runs) == 0 {
		fmt.Fprintln(out, "  none yet: lab run")
	}
	return out.Flush()
}

func role(cfg config.Config, kernel string) string {
	switch kernel {
	case cfg.Baseline:
		return "(baseline)"
	case cfg.Control:
		return " (control)"
	}
	return ""
}

func newVersion(io Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print which lab this is",
		Args:  atMost(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(io.Out, "splicelab %s, %s %s/%s\n", Revision(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// linked is the revision as the Makefile links it in: go's own stamp is often
// switched off (GOFLAGS=-buildvcs=false).
var linked string

// Revision returns the version-control revision that this binary was built
// from, with "+dirty" when the tree was changed; "unknown" when it was built
// without.
func Revision() string {
	if linked != "" {
		return linked
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, dirty := "unknown", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	return revision + dirty
}
