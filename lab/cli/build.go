package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"splicelab/lab/config"
	"splicelab/lab/exit"
)

func newBuild(w Work, io Streams) *cobra.Command {
	var (
		typed choice
		req   BuildRequest
	)
	cmd := &cobra.Command{
		Use:   "build [KERNEL…]",
		Short: "Build kernels, all of the configuration's or those named",
		RunE: func(cmd *cobra.Command, names []string) error {
			cfg, err := typed.config(w, cmd.Flags())
			if err != nil {
				return err
			}
			if typed.patched(cmd.Flags()) {
				cfg, names, err = onlyPatched(&typed, cfg, names)
			}
			if err == nil {
				req.Config, err = onlyKernels(cfg, names)
			}
			if err != nil {
				return err
			}
			return w.Build(cmd.Context(), req, io)
		},
	}
	typed.fileFlag(cmd.Flags())
	typed.sourceFlags(cmd.Flags())
	typed.patchFlags(cmd.Flags())
	return cmd
}

// onlyPatched adds the kernel with the user's patches to those named, and the
// baseline, which tells whether the patches change anything.
func onlyPatched(typed *choice, cfg config.Config, names []string) (config.Config, []string, error) {
	before := cfg.KernelNames()
	cfg, err := typed.usePatches(cfg, names)
	if err != nil {
		return cfg, nil, err
	}
	for _, name := range cfg.KernelNames() {
		if name == cfg.Baseline || !slices.Contains(before, name) {
			names = append(names, name)
		}
	}
	return cfg, names, nil
}

// onlyKernels leaves the named kernels, in the order of the configuration; none
// named means all.
func onlyKernels(cfg config.Config, names []string) (config.Config, error) {
	cfg, err := cfg.WithReady(names)
	if err != nil {
		return cfg, err
	}
	for _, name := range names {
		if _, ok := cfg.Kernel(name); !ok {
			return cfg, exit.Errorf(exit.Usage, "unknown kernel %q%s", name, config.Hint(name, cfg.KernelNames()))
		}
	}
	if len(names) > 0 {
		cfg.Kernels = slices.DeleteFunc(slices.Clone(cfg.Kernels), func(k config.Kernel) bool {
			return !slices.Contains(names, k.Name)
		})
	}
	return cfg, nil
}
