package kernel

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"splicelab/images/internal/command"
)

// Every error below has an ExitStatus method: the status that the program ends
// with because of it (1 something is wrong, 2 usage or configuration, 3 the
// host can't).

// PatchError is a patch that doesn't apply, or isn't one.
type PatchError struct {
	Series string
	Patch  string // its name
	File   string // in the tree; empty when the patch itself is at fault
	Line   int    // where the hunk expects to be, counted from 1; 0 when unknown
	Hunk   int    // of File, counted from 1; 0 when unknown
	Detail string // one line: git's, or ours
	// Reject are the hunks that don't apply, as in a .rej file; empty when no
	// hunk is to blame.
	Reject string
}

func (e *PatchError) Error() string {
	where := ""
	if e.File != "" {
		where = " to " + e.File
	}
	if e.Hunk > 0 {
		where += fmt.Sprintf(", hunk %d, line %d", e.Hunk, e.Line)
	}
	return fmt.Sprintf("patch %s of series %s does not apply%s: %s; rebase it, without fuzz, on what lies below it",
		e.Patch, e.Series, where, e.Detail)
}

// ExitStatus is 2.
func (e *PatchError) ExitStatus() int { return 2 }

// Excerpt returns Reject: lines to be shown below the error.
func (e *PatchError) Excerpt() string { return e.Reject }

// ConfigError is a fragment that can't be read, or options that didn't take.
type ConfigError struct {
	Problems []string // one line each: option, fragment, what it is instead
}

func (e *ConfigError) Error() string {
	return "kernel configuration: " + strings.Join(e.Problems, "; ")
}

// ExitStatus is 2.
func (e *ConfigError) ExitStatus() int { return 2 }

// SourceError is a source that can't be had, or isn't what it claims to be.
type SourceError struct{ Detail string }

func (e *SourceError) Error() string { return "kernel source: " + e.Detail }

// ExitStatus is 2.
func (e *SourceError) ExitStatus() int { return 2 }

// CompileError is a kernel that doesn't compile.
type CompileError struct {
	Kernel string
	Lines  []string // the compiler's own error lines, the first few
	Log    string   // where the whole log lies
}

func (e *CompileError) Error() string {
	said := "make says why in its log"
	if len(e.Lines) > 0 {
		said = e.Lines[0]
	}
	return fmt.Sprintf("kernel %s does not compile: %s (log: %s)", e.Kernel, said, e.Log)
}

// Excerpt returns the compiler's other lines, to be shown below the error.
func (e *CompileError) Excerpt() string {
	if len(e.Lines) < 2 {
		return ""
	}
	return strings.Join(e.Lines[1:], "\n") + "\n"
}

// ExitStatus is 1.
func (e *CompileError) ExitStatus() int { return 1 }

// HostError is something this host lacks.
type HostError struct {
	Detail string
	// Packages are the Debian packages that would help.
	Packages []string
}

func (e *HostError) Error() string {
	if len(e.Packages) == 0 {
		return e.Detail
	}
	return fmt.Sprintf("%s: install %s", e.Detail, strings.Join(e.Packages, " "))
}

// ExitStatus is 3.
func (e *HostError) ExitStatus() int { return 3 }

// noSpace is the HostError of a full file system.
func noSpace(where string) error {
	return &HostError{Detail: "no space left on the file system of " + where + ": free 4 GB there, or set SPLICELAB_CACHE to a folder elsewhere"}
}

// explainSpace turns an error that means "file system full" into the HostError
// that says so; any other is returned as it is.
func explainSpace(err error, where string) error {
	if err == nil {
		return nil
	}
	var cmd *command.Error
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) ||
		errors.As(err, &cmd) && strings.Contains(cmd.Tail, noSpaceText) {
		return noSpace(where)
	}
	return err
}

// noSpaceText is strerror(ENOSPC) in the C locale.
const noSpaceText = "No space left on device"
