package cli_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"splicelab/lab/cli"
	"splicelab/lab/config"
	"splicelab/lab/exit"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"lab": func() { os.Exit(cli.Execute(recorder())) },
	})
}

// TestScripts runs each command line of testdata/script and compares its whole
// stdout and stderr. UPDATE_GOLDEN=1 writes them.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       os.Getenv("UPDATE_GOLDEN") != "",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"status": status},
	})
}

// status N COMMAND…: the command ends with that exit status.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND…")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("%q ended with %s, want %s", args[1:], got, args[0])
	}
}

// recorder is work that says what it was asked for.
func recorder() cli.Work {
	paths := []cli.Path{
		{Name: "file-tcp/sendfile", About: "one call", Family: "a file to TCP"},
		{Name: "file-tcp/read-send", About: "two calls", Family: "a file to TCP"},
		{Name: "file-unix/sendfile", About: "one call", Family: "a file to AF_UNIX"},
		{Name: "user-pipe/write", About: "one call", Family: "memory to a pipe"},
	}
	known := config.Known{
		Lines: []string{"6.12", "7.3"}, Profiles: []string{"distro", "minimal"},
		Series: func(string) []string {
			return []string{"base-shifted", "no-sendfile", "sendfile-onecopy", "socket-copy", "splice-copy", "vmsplice-wrapper"}
		},
	}
	for _, p := range paths {
		known.Paths = append(known.Paths, p.Name)
	}
	return cli.Work{Known: known, Paths: paths, Run: recordRun, Build: recordBuild, Verify: recordVerify}
}

func recordRun(ctx context.Context, req cli.RunRequest, io cli.Streams) error {
	fmt.Fprintf(io.Out, "run: %s\nresume=%q dry=%v\n", req.Command, req.Resume, req.DryRun)
	if c := req.Config; c.Name != "" {
		fmt.Fprintf(io.Out, "config=%s kernels=%v workloads=%v mode=%s out=%q cache=%v force=%v source=%v\n",
			c.Name, c.KernelNames(), c.Workloads, c.Mode, c.Out, c.SampleCache, c.Force, c.Source())
	}
	switch os.Getenv("RECORDER") {
	case "wait":
		if err := os.WriteFile("started", nil, 0o666); err != nil {
			return err
		}
		<-ctx.Done()
		return fmt.Errorf("a boot: %w", ctx.Err())
	case "deaf":
		if err := os.WriteFile("started", nil, 0o666); err != nil {
			return err
		}
		<-ctx.Done()
		if err := os.WriteFile("cancelled", nil, 0o666); err != nil {
			return err
		}
		select {}
	case "host":
		return exit.Errorf(exit.Host, "no QEMU here")
	case "wrong":
		return fmt.Errorf("two boots were lost")
	}
	return nil
}

func recordBuild(_ context.Context, req cli.BuildRequest, io cli.Streams) error {
	_, err := fmt.Fprintf(io.Out, "build: %v source=%v\n", req.Config.KernelNames(), req.Config.Source())
	return err
}

func recordVerify(_ context.Context, req cli.VerifyRequest, io cli.Streams) error {
	c := req.Config
	_, err := fmt.Fprintf(io.Out, "verify: %v cache=%v account=%v workloads=%v profile=%s source=%v\n",
		c.KernelNames(), c.SampleCache, c.Account, c.Workloads, c.Profile, c.Source())
	return err
}
