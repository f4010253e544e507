package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"splicelab/lab/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"lab": func() { os.Exit(cli.Execute(work())) }})
}

// TestScripts runs command lines of the whole program that need neither a
// kernel nor a VM. UPDATE_GOLDEN=1 writes what they print.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       os.Getenv("UPDATE_GOLDEN") != "",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
	})
}
