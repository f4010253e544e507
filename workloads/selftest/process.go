package selftest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Limits are what is killed when it is over, in the guest's time.
type Limits struct {
	// CPU is what one test's processes may use together: a test that spins
	// would spend all of the boot's CPU time.
	CPU time.Duration
	// Test is how long one test may take, asleep for the most part.
	Test time.Duration
	// Program is how long all of one program's may take.
	Program time.Duration
}

// Usual are some times what the slowest test that passes needs: 0.55 s of CPU
// (net/tls, tls.13_aes_gcm_256.mutliproc_sendpage_readers; measured on base,
// 6.12) and 2 s asleep (rekey_poll_delay).
var Usual = Limits{CPU: 1500 * time.Millisecond, Test: 5 * time.Second, Program: 5 * time.Minute}

// poll is how often a running test's CPU time is looked at.
const poll = 250 * time.Millisecond

// Hung is the first word of a test's value that was killed over a limit.
const Hung = "hung"

func hung(after time.Duration, what string) string {
	return fmt.Sprintf("%s (killed after %v of %s)", Hung, after, what)
}

const (
	cpuTime   = "CPU time"
	guestTime = "guest time"
)

// errTime is the end of a test whose time is up.
var errTime = errors.New("its time is up")

// output runs a binary that is one test. A status other than 0 is no error: what
// failed, its output says.
func output(limit time.Duration, file string, args ...string) (stdout []byte, status int, err error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), limit, errTime)
	defer cancel()
	cmd := command(ctx, file, args...)
	var out bytes.Buffer
	cmd.Stdout = &out
	status, err = exitStatus(cmd.Run())
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return out.Bytes(), status, err
}

// command is a process in a group of its own, which is killed with it.
func command(ctx context.Context, file string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, file, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

func exitStatus(err error) (int, error) {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// runTAP runs a program of many tests and hands their results over as they come.
// A test that hangs is killed, and the program goes on where it can.
func runTAP(limits Limits, found func(Result), file string, args ...string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cmd := command(ctx, file, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines, torn := make(chan string), make(chan error, 1)
	go func() {
		defer close(lines)
		torn <- scan(out, lines)
	}()
	w := watch{pid: cmd.Process.Pid, limits: limits, kill: cancel, found: found}
	w.follow(lines)
	if w.killed {
		// A test that no signal reaches may hold the pipe: Wait closes it.
		go func() {
			for range lines {
			}
		}()
		_ = cmd.Wait() // what became of it, a result says
		<-torn
	} else if err = <-torn; err != nil { // nobody reads what it has to say more
		cancel()
		_ = cmd.Wait()
	} else {
		_, err = exitStatus(cmd.Wait())
	}
	if res, ok := w.tap.end(); ok {
		found(res)
	}
	return err
}

// scan hands over a program's lines.
func scan(out interface{ Read([]byte) (int, error) }, lines chan<- string) error {
	in := bufio.NewScanner(out)
	in.Buffer(make([]byte, 4096), maxLine)
	for in.Scan() {
		lines <- in.Text()
	}
	if err := in.Err(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("the test's output: %w", err)
	}
	return nil
}

// watch follows a program's results and kills what takes too long.
type watch struct {
	pid    int
	limits Limits
	kill   context.CancelFunc // of the program
	found  func(Result)

	tap   tap
	began time.Time // of the test that runs
	// shot is the value of the test that runs, when it was killed alone; its
	// result comes.
	shot   string
	killed bool // the program was
}

// follow returns when the program has said all, or was killed.
func (w *watch) follow(lines <-chan string) {
	started := time.Now()
	w.began = started
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for !w.killed {
		select {
		case text, ok := <-lines:
			if !ok {
				return
			}
			if res, ok := w.tap.line(text); ok {
				w.result(res)
			}
		case <-tick.C:
			if time.Since(started) > w.limits.Program {
				w.end(hung(w.limits.Program, guestTime))
			} else {
				w.look()
			}
		}
	}
}

func (w *watch) result(res Result) {
	if w.shot != "" {
		res.Value = w.shot
	}
	w.began, w.shot = time.Now(), ""
	w.found(res)
}

// look kills the test that runs if it is over a limit, and it alone where it can:
// kselftest_harness.h gives each test a process and a group of its own, takes
// note of its end, and goes on.
func (w *watch) look() {
	over, groups := "", groupsBelow(w.pid)
	delete(groups, w.pid) // what that uses is all its tests'
	for _, used := range groups {
		if used > w.limits.CPU {
			over = hung(w.limits.CPU, cpuTime)
		}
	}
	if time.Since(w.began) > w.limits.Test {
		over = hung(w.limits.Test, guestTime)
	}
	switch {
	case over == "":
	case w.shot != "" || len(groups) == 0: // it doesn't go on, or its tests are no processes
		w.end(over)
	default:
		w.began, w.shot = time.Now(), over
		for group := range groups {
			// The error is that it has just ended.
			_ = syscall.Kill(-group, syscall.SIGKILL)
		}
	}
}

// end kills the program, and says under which test.
func (w *watch) end(value string) {
	w.killed = true
	test := w.tap.running
	if test == "" {
		test = endTest
	}
	w.found(w.tap.once(Result{Test: test, Value: value}))
	w.kill()
}

// tick is what /proc counts CPU time in (USER_HZ).
const tick = 10 * time.Millisecond

// groupsBelow are the process groups of a program and of its children, and the
// CPU time that the living of each have used.
func groupsBelow(pid int) map[int]time.Duration {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	used, ours := map[int]time.Duration{}, map[int]bool{pid: true}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil { // it has ended
			continue
		}
		// proc_pid_stat(5): pid (comm) state ppid pgrp, utime and stime are
		// fields 14 and 15. comm may hold anything.
		f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(f) < 13 {
			continue
		}
		var parent, group, user, system int
		if _, err := fmt.Sscan(strings.Join([]string{f[1], f[2], f[11], f[12]}, " "), &parent, &group, &user, &system); err != nil {
			continue
		}
		used[group] += time.Duration(user+system) * tick
		ours[group] = ours[group] || parent == pid
	}
	maps.DeleteFunc(used, func(group int, _ time.Duration) bool { return !ours[group] })
	return used
}
