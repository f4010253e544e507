package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"splicelab/lab/config"
	"splicelab/lab/exit"
)

// What commands read when -c names nothing else; patchConfig where --patch is
// there.
const (
	shippedConfig = "configs/lab.yaml"
	patchConfig   = "configs/patch.yaml"
)

// choice is what the user typed about the configuration.
type choice struct {
	file            string
	kernels         []string
	workloads       []string
	mode, out       string
	line            string
	tarball, sha256 string
	source, rev     string
	profile         string
	patches         []string
	patchVersion    int
	noSampleCache   bool
	noAccount       bool
	force           bool
}

func (c *choice) fileFlag(f *pflag.FlagSet) {
	f.StringVarP(&c.file, "config", "c", shippedConfig, "configuration `FILE`, or the name of a shipped one")
	f.StringVar(&c.line, "line", "", "kernel line, `VERSION`, instead of the configured one: 6.12, 7.3")
	f.StringVar(&c.profile, "profile", "minimal", "kernel options, `PROFILE`: minimal, or distro, as Debian builds its own")
}

func (c *choice) sourceFlags(f *pflag.FlagSet) {
	f.StringVar(&c.source, "source", "", "kernel source instead of the configured one: a git tree and revision, `PATH@REV`, a tarball's path or URL, or a folder")
	f.StringVar(&c.rev, "rev", "", "`REVISION` of --source")
	f.StringVar(&c.tarball, "tarball", "", "kernel source: `FILE-OR-URL` of a tarball, as --source")
	f.StringVar(&c.sha256, "sha256", "", "SHA-256 of the tarball, `HEX`")
}

func (c *choice) patchFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&c.patches, "patch", nil, "compare a kernel with your own patches: a patch, a folder of them or a mailbox, `PATH`; repeated, they stack")
	f.IntVar(&c.patchVersion, "patch-version", 0, "take version `N` of the series (default the newest that is complete)")
}

func (c *choice) runFlags(f *pflag.FlagSet) {
	c.fileFlag(f)
	c.sourceFlags(f)
	c.patchFlags(f)
	f.StringSliceVar(&c.kernels, "kernel", nil, "measure these kernels only, and the baseline and the control: `A,B`")
	c.workloadFlag(f)
	f.StringVar(&c.mode, "mode", "count", "what to measure, `MODE`: count")
	f.StringVar(&c.out, "out", "", "the run's `DIR` (default results/runs/<time>-<name>)")
	c.cacheFlag(f)
	f.BoolVar(&c.force, "force", false, "measure kernels that are not what they declare, too")
}

func (c *choice) workloadFlag(f *pflag.FlagSet) {
	f.StringSliceVar(&c.workloads, "workload", nil, "run and show these copy paths only: `GLOB`")
}

func (c *choice) cacheFlag(f *pflag.FlagSet) {
	f.BoolVar(&c.noSampleCache, "no-sample-cache", false, "boot even where the samples of an equal boot are kept")
}

// settings returns the flags that were typed as values of configuration keys.
func (c *choice) settings(f *pflag.FlagSet) []config.Setting {
	var list []config.Setting
	for _, s := range []config.Setting{
		{Flag: "--line", Key: "line", Value: c.line},
		{Flag: "--workload", Key: "workloads", Value: c.workloads},
		{Flag: "--mode", Key: "mode", Value: c.mode},
		{Flag: "--profile", Key: "profile", Value: c.profile},
		{Flag: "--out", Key: "out", Value: c.out},
		{Flag: "--no-sample-cache", Key: "sample_cache", Value: !c.noSampleCache},
		{Flag: "--no-account", Key: "account", Value: !c.noAccount},
		{Flag: "--force", Key: "force", Value: c.force},
	} {
		if flag := f.Lookup(s.Flag[len("--"):]); flag != nil && flag.Changed {
			list = append(list, s)
		}
	}
	return list
}

// config returns the effective configuration, with every kernel still in it.
func (c *choice) config(w Work, f *pflag.FlagSet) (config.Config, error) {
	file := c.file
	if f.Changed("patch") && !f.Changed("config") {
		file = patchConfig
	}
	cfg, err := config.Load(config.Options{File: file, Settings: c.settings(f), Known: w.Known})
	if err != nil {
		return config.Config{}, err
	}
	return c.useSource(cfg, f)
}

// useSource applies --source or --tarball.
func (c *choice) useSource(cfg config.Config, f *pflag.FlagSet) (config.Config, error) {
	switch {
	case f.Changed("source") && f.Changed("tarball"):
		return cfg, exit.Errorf(exit.Usage, "--tarball: there is one source: leave out --source, or this")
	case f.Changed("source"):
		return cfg.UseSource("--source", c.source, c.rev, c.sha256)
	case f.Changed("rev"):
		return cfg, exit.Errorf(exit.Usage, "--rev: name the git tree too: --source PATH --rev %s", quote([]string{c.rev}))
	case f.Changed("tarball") || f.Changed("sha256"):
		return cfg.UseTarball("--tarball", c.tarball, c.sha256)
	}
	return cfg, nil
}

// usePatches applies --patch and --patch-version; kernels are configured ones
// that were named.
func (c *choice) usePatches(cfg config.Config, kernels []string) (config.Config, error) {
	return cfg.WithPatches(config.Patches{Paths: c.patches, Version: c.patchVersion, Kernels: kernels})
}

// patched reports whether the user brought patches.
func (c *choice) patched(f *pflag.FlagSet) bool {
	return f.Changed("patch") || f.Changed("patch-version")
}

func newRun(w Work, io Streams, args []string) *cobra.Command {
	var (
		typed choice
		req   RunRequest
	)
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Build what is missing, verify, measure, report",
		Args:  atMost(0, "no arguments (kernels: --kernel A,B; workloads: --workload GLOB)"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f := cmd.Flags()
			req.Command = command(os.Environ(), args)
			if f.Changed("resume") {
				if err := alone(f, "resume"); err != nil {
					return err
				}
				req.Resume = runDir(req.Resume)
				return w.Run(cmd.Context(), req, io)
			}
			cfg, err := typed.config(w, f)
			if err != nil {
				return err
			}
			if typed.patched(f) {
				req.Config, err = typed.usePatches(cfg, typed.kernels)
			} else {
				req.Config, err = chooseKernels(cfg, typed.kernels, f, io)
			}
			if err != nil {
				return err
			}
			return w.Run(cmd.Context(), req, io)
		},
	}
	typed.runFlags(cmd.Flags())
	cmd.Flags().StringVar(&req.Resume, "resume", "", "go on with the run in `DIR`, which was cut off")
	cmd.Flags().BoolVar(&req.DryRun, "dry-run", false, "print the plan and the commands, start nothing")
	return cmd
}

// command is what repeats this command line: the arguments, and the environment
// where it changes the configuration.
func command(environ, args []string) string {
	words := ""
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, config.EnvPrefix) && value != "" {
			words += name + "=" + quote([]string{value}) + " "
		}
	}
	return words + "lab " + quote(args)
}

// alone refuses flags beside name.
func alone(f *pflag.FlagSet, name string) error {
	var err error
	f.Visit(func(other *pflag.Flag) {
		if other.Name != name && err == nil {
			err = exit.Errorf(exit.Usage, "--%s: the run has its configuration already: leave out --%s", name, other.Name)
		}
	})
	if err == nil && f.Lookup(name).Value.String() == "" {
		err = exit.Errorf(exit.Usage, "--%s: name the run's folder, such as results/runs/latest", name)
	}
	return err
}

// chooseKernels applies --kernel and says which kernels stay beside those
// named.
func chooseKernels(cfg config.Config, names []string, f *pflag.FlagSet, io Streams) (config.Config, error) {
	if !f.Changed("kernel") {
		return cfg, nil
	}
	cfg, kept, err := cfg.Choose("--kernel", names)
	for _, k := range kept {
		role := "the baseline: every comparison needs it"
		if k == cfg.Control {
			role = "the control: it shows the noise"
		}
		fmt.Fprintf(io.Err, "lab: %s is measured too, as %s\n", k, role)
	}
	return cfg, err
}
