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
			if req.Config, err = onlyKernels(cfg, names); err != nil {
				return err
			}
			return w.Build(cmd.Context(), req, io)
		},
	}
	typed.fileFlag(cmd.Flags())
	typed.sourceFlags(cmd.Flags())
	return cmd
}

// onlyKernels leaves the named kernels, in the order of the configuration; none
// named means all.
func onlyKernels(cfg config.Config, names []string) (config.Config, error) {
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
