package cli

import (
	"github.com/spf13/cobra"
)

func newVerify(w Work, io Streams) *cobra.Command {
	var (
		typed choice
		req   VerifyRequest
	)
	cmd := &cobra.Command{
		Use:   "verify [KERNEL…]",
		Short: "Prove that kernels are what they declare, all of the configuration's or those named",
		RunE: func(cmd *cobra.Command, names []string) error {
			cfg, err := typed.config(w, cmd.Flags())
			if err != nil {
				return err
			}
			if req.Config, err = onlyKernels(cfg, names); err != nil {
				return err
			}
			return w.Verify(cmd.Context(), req, io)
		},
	}
	typed.fileFlag(cmd.Flags())
	typed.sourceFlags(cmd.Flags())
	typed.workloadFlag(cmd.Flags())
	typed.cacheFlag(cmd.Flags())
	cmd.Flags().BoolVar(&typed.noAccount, "no-account", false, "make the probes only, count no copies")
	cmd.Flags().BoolVar(&req.Selftests, "selftests", false, "run the kernel's own tests of TLS, splice and copy-on-write too")
	return cmd
}
