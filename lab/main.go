// Command lab is splicelab's command line.
package main

import (
	"context"
	"errors"
	"os"

	"splicelab/lab/cli"
	"splicelab/lab/run"
	"splicelab/workloads/copypath"
)

func main() { os.Exit(cli.Execute(work())) }

// work connects the commands with the parts of the lab.
func work() cli.Work {
	w := cli.Work{Known: run.Known()}
	for _, f := range copypath.Families() {
		for _, m := range f.Methods {
			w.Paths = append(w.Paths, cli.Path{Name: f.Path(m), About: m.About, Family: f.About})
		}
	}
	w.Run = func(ctx context.Context, r cli.RunRequest, io cli.Streams) error {
		if r.DryRun {
			return run.DryRun(io.Out, r.Config, w.Known)
		}
		return run.Run(ctx, run.Request{
			Config: r.Config, Resume: r.Resume, Known: w.Known, Command: r.Command, Revision: cli.Revision(),
			Out: io.Out, Err: io.Err, Interactive: io.Interactive,
		})
	}
	w.Build = func(ctx context.Context, r cli.BuildRequest, io cli.Streams) error {
		return run.Build(ctx, r.Config, io.Out, io.Err, io.Interactive)
	}
	w.Verify = func(ctx context.Context, r cli.VerifyRequest, io cli.Streams) error {
		err := run.Verify(ctx, r.Config, w.Known, io.Out, io.Err, io.Interactive)
		if !r.Selftests || ctx.Err() != nil {
			return err
		}
		return errors.Join(err, run.Selftests(ctx, r.Config, io.Out, io.Err, io.Interactive))
	}
	return w
}
