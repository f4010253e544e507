// Package cli is the command line. Its commands are thin: they read what the
// user typed, check it against the configuration, and hand it to Work.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"splicelab/lab/config"
	"splicelab/lab/exit"
	"splicelab/results/report"
)

// Streams are where a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Interactive says that Err is a terminal, which progress may draw on.
	Interactive bool
}

// RunRequest is what `lab run` asks for.
type RunRequest struct {
	// Config is the effective configuration; the zero value when Resume is set.
	Config config.Config
	Resume string // a run's folder
	DryRun bool
	// Command repeats the run, in the shell's notation.
	Command string
}

// BuildRequest is what `lab build` asks for.
type BuildRequest struct {
	Config config.Config // its kernels are those to be built
}

// VerifyRequest is what `lab verify` asks for.
type VerifyRequest struct {
	Config config.Config // its kernels are those to be verified
	// Selftests asks for the kernel's own tests too.
	Selftests bool
}

// Path is a copy path.
type Path struct {
	Name, About string
	// Family says what the path's source and sink are.
	Family string
}

// Work is what the commands start, and what they may name.
type Work struct {
	Known config.Known
	Paths []Path

	Run    func(context.Context, RunRequest, Streams) error
	Build  func(context.Context, BuildRequest, Streams) error
	Verify func(context.Context, VerifyRequest, Streams) error
}

// Execute runs the command line of this process and returns its exit status.
// The first SIGINT or SIGTERM ends the work in an orderly way; the second one
// ends the process.
func Execute(w Work) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		// Before the work hears of the first: the second has its usual effect.
		signal.Reset(os.Interrupt, syscall.SIGTERM)
		cancel()
	}()
	return Main(ctx, w, os.Args[1:], Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Interactive: term.IsTerminal(int(os.Stderr.Fd())),
	})
}

// Main runs one command line, without the program's name, and returns the exit
// status.
func Main(ctx context.Context, w Work, args []string, io Streams) int {
	root := newRoot(w, io, args)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exit.Done
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = exit.Errorf(exit.Wrong, "interrupted: %w", err)
	}
	fmt.Fprintf(io.Err, "lab: %s\n", exit.Text(err))
	return exit.StatusOf(err)
}

func newRoot(w Work, io Streams, args []string) *cobra.Command {
	root := &cobra.Command{
		Use:           "lab",
		Short:         "Compare kernels that copy and kernels that splice",
		Long:          "lab builds kernels, boots them in virtual machines, runs copy workloads in them and reports what each copied byte cost.",
		SilenceErrors: true, // Main prints them, in one line
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetIn(io.In)
	root.SetOut(io.Out)
	root.SetErr(io.Err)
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newRun(w, io, args), newBuild(w, io), newVerify(w, io), newReport(io), newList(w, io), newVersion(io))
	root.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		var names []string
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				names = append(names, c.Name())
			}
		}
		return exit.Errorf(exit.Usage, "unknown command %q%s", args[0], config.Hint(args[0], names))
	}
	return root
}

// flagError makes pflag's message one line that names the flag probably meant.
func flagError(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) {
		return exit.Errorf(exit.Usage, "%w (see: %s --help)", err, cmd.CommandPath())
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return exit.Errorf(exit.Usage, "unknown flag %s%s", dashed(missing), config.Hint(dashed(missing), names))
}

func dashed(e *pflag.NotExistError) string {
	if short := e.GetSpecifiedShortnames(); short != "" {
		return "-" + e.GetSpecifiedName()
	}
	return "--" + e.GetSpecifiedName()
}

// atMost refuses more than n arguments.
func atMost(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return exit.Errorf(exit.Usage, "%s takes %s, not %q", cmd.CommandPath(), what, args[n])
		}
		return nil
	}
}

// quote writes a command line so that a shell reads the same arguments.
func quote(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = report.ShellWord(a)
	}
	return strings.Join(words, " ")
}
