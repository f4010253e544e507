// Package command runs external programs: each with a time limit, in a process
// group of its own, ended with us, its output in the error.
package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// DefaultTimeout bounds a command that names no limit of its own.
const DefaultTimeout = 10 * time.Minute

// grace is how long a group may take to end after SIGTERM before SIGKILL.
const grace = 5 * time.Second

// tailSize is how much of a command's output is kept for its error, in bytes.
const tailSize = 8 << 10

// Cmd is one program to run.
type Cmd struct {
	Args  []string // never split on blanks
	Dir   string
	Env   []string // the whole environment
	Stdin io.Reader
	// Stdout and Stderr get the output too, beside the tail kept for errors.
	Stdout, Stderr io.Writer
	// Inherit are files that the command and all it starts hold open: a lock
	// passed on this way lasts until the last of them has ended.
	Inherit []*os.File
	Timeout time.Duration // 0 means DefaultTimeout
}

// Error is a command that failed.
type Error struct {
	Args []string
	Tail string // the last of stdout and stderr
	Err  error  // wraps exec's error, or the context's
}

func (e *Error) Error() string {
	msg := fmt.Sprintf("%s: %v", strings.Join(e.Args, " "), e.Err)
	if last := lastLines(e.Tail, 4); last != "" {
		msg += ": " + last
	}
	return msg
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Exited reports whether the command ended by itself: a killed one leaves
// things half done.
func (e *Error) Exited() bool {
	var exit *exec.ExitError
	return errors.As(e.Err, &exit) && exit.Exited()
}

// lastLines joins the last n lines that say something into one.
func lastLines(text string, n int) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}

// Run runs c to its end. When ctx ends first, the whole process group is
// terminated. The error is an *Error, except for a missing program, which is
// exec.ErrNotFound wrapped.
func Run(ctx context.Context, c Cmd) error {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("no end within %v", c.Timeout))
	defer cancel()

	kept := &tail{}
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.ExtraFiles = c.Dir, c.Env, c.Stdin, c.Inherit
	cmd.Stdout, cmd.Stderr = both(c.Stdout, kept), both(c.Stderr, kept)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace

	// Pdeathsig fires when the thread that forked ends, not the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", c.Args[0], err)
	}
	err := cmd.Wait()
	if ctx.Err() != nil {
		// Whatever of the group outlived the grace.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if err != nil {
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		return &Error{Args: c.Args, Tail: kept.String(), Err: err}
	}
	return nil
}

// Output runs c and returns what it wrote to its standard output.
func Output(ctx context.Context, c Cmd) (string, error) {
	var out bytes.Buffer
	c.Stdout = both(c.Stdout, &out)
	err := Run(ctx, c)
	return out.String(), err
}

func both(w, also io.Writer) io.Writer {
	if w == nil {
		return also
	}
	return io.MultiWriter(w, also)
}

// tail keeps the end of what is written to it. Stdout and stderr share one.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailSize; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// CleanEnv is an environment in which programs behave alike everywhere: where
// to find them, a home, a way through proxies, the C locale and UTC, then
// extra. CFLAGS, MAKEFLAGS, ARCH and their like don't get in.
func CleanEnv(extra ...string) []string {
	keep := []string{"PATH", "HOME", "TMPDIR",
		"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy",
		"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
	var env []string
	for _, name := range keep {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(append(env, "LC_ALL=C", "TZ=UTC"), extra...)
}
