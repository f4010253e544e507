package command

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func sh(script string) Cmd { return Cmd{Args: []string{"sh", "-c", script}, Env: CleanEnv()} }

func TestOutput(t *testing.T) {
	c := sh(`echo "$0|$1"; echo warning >&2; cat`)
	c.Args = append(c.Args, "a b", "c;d")
	c.Stdin = strings.NewReader("in")
	got, err := Output(context.Background(), c)
	if diff := cmp.Diff("a b|c;d\nin", got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestErrorHoldsOutput(t *testing.T) {
	err := Run(context.Background(), sh(`echo one; echo two >&2; echo; echo three; exit 3`))
	var failed *Error
	if !errors.As(err, &failed) || !failed.Exited() {
		t.Fatalf("error %v (%T)", err, err)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("cause %v", failed.Err)
	}
	for _, line := range []string{"one", "two", "three"} {
		if !strings.Contains(failed.Tail, line+"\n") {
			t.Errorf("tail %q lacks %q", failed.Tail, line)
		}
	}
	if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "exit status 3: ") {
		t.Errorf("message %q", err)
	}
}

func TestTailIsTheEnd(t *testing.T) {
	err := Run(context.Background(), sh(`i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; exit 1`))
	var failed *Error
	if !errors.As(err, &failed) || len(failed.Tail) > tailSize || !strings.HasSuffix(failed.Tail, "line 2999\n") {
		t.Errorf("error %v", err)
	}
}

// The whole group ends with the context, and what outlives SIGTERM is killed.
func TestCancelEndsTheGroup(t *testing.T) {
	for name, script := range map[string]string{
		"child":    `sleep 600 & echo $! > "$0"; wait`,
		"stubborn": `trap '' TERM; sleep 600 & echo $! > "$0"; wait; wait; wait`,
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pid")
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			c := sh(script)
			c.Args = append(c.Args, file)
			done := make(chan error)
			go func() { done <- Run(ctx, c) }()
			pid := 0
			for pid == 0 {
				text, _ := os.ReadFile(file)
				pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
				time.Sleep(time.Millisecond)
			}
			cancel()
			err := <-done
			var failed *Error
			if !errors.Is(err, context.Canceled) || !errors.As(err, &failed) || failed.Exited() {
				t.Errorf("error %v (%T)", err, err)
			}
			for alive(pid) {
				time.Sleep(time.Millisecond)
			}
		})
	}
}

// alive reports whether a process runs; a zombie that nobody reaps doesn't.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestTimeout(t *testing.T) {
	c := sh("sleep 600")
	c.Timeout = 10 * time.Millisecond
	err := Run(context.Background(), c)
	if err == nil || !strings.Contains(err.Error(), "no end within 10ms") {
		t.Errorf("error %v", err)
	}
}

func TestMissingProgram(t *testing.T) {
	err := Run(context.Background(), Cmd{Args: []string{"no-such-program"}})
	if !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("error %v", err)
	}
}

func TestCleanEnv(t *testing.T) {
	t.Setenv("CFLAGS", "-Ofast")
	t.Setenv("https_proxy", "http://proxy")
	t.Setenv("LC_ALL", "de_DE")
	env := strings.Join(CleanEnv("A=b"), "\n") + "\n"
	for _, want := range []string{"PATH=" + os.Getenv("PATH"), "https_proxy=http://proxy", "LC_ALL=C", "TZ=UTC", "A=b"} {
		if !strings.Contains(env, want+"\n") {
			t.Errorf("%s is missing:\n%s", want, env)
		}
	}
	if strings.Contains(env, "Ofast") || strings.Contains(env, "de_DE") {
		t.Errorf("the caller's got in:\n%s", env)
	}
}
