package vm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a running QEMU in a process group of its own. It doesn't outlive
// the lab, not even by SIGKILL.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once it has ended and was reaped
	err  error         // its exit status; read after done
}

// startProcess starts path with args; its output goes to out.
func startProcess(path string, args []string, out io.Writer) (*process, error) {
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// A child of its own that keeps the pipe open must not hold Wait.
	cmd.WaitDelay = 5 * time.Second
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// Pdeathsig fires when the thread that forked ends, so that thread
		// is kept until QEMU is gone (prctl(2), PR_SET_PDEATHSIG).
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, &HostError{What: "start " + path, Err: err, Remedy: "install the package " + Package}
	}
	return p, nil
}

// kill ends the whole process group at once.
func (p *process) kill() {
	select {
	case <-p.done: // the number may belong to somebody else by now
	default:
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// exitsWithin waits for the process's own end.
func (p *process) exitsWithin(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		return false
	}
}

// failedItself tells a program that gave up from one that was killed.
func (p *process) failedItself() bool {
	var exit *exec.ExitError
	return errors.As(p.err, &exit) && exit.Exited()
}

// usedCPU is the CPU time of the ended process, all threads.
func (p *process) usedCPU() time.Duration {
	state := p.cmd.ProcessState
	return state.UserTime() + state.SystemTime()
}

// cpuTime is the CPU time the running process has used so far, all threads,
// with a resolution of 10 ms; 0 when it cannot be read.
func (p *process) cpuTime() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	used, err := parseStat(string(text))
	if err != nil {
		return 0
	}
	return used
}

// clockTick is the unit of the times in /proc/PID/stat: USER_HZ is 100 on
// x86-64 (proc_pid_stat(5), include/asm-generic/param.h).
const clockTick = time.Second / 100

// parseStat returns utime + stime of a /proc/PID/stat line, fields 14 and 15.
// The second field is the program's name in parentheses and may hold anything.
func parseStat(line string) (time.Duration, error) {
	end := strings.LastIndexByte(line, ')')
	if end < 0 {
		return 0, fmt.Errorf("process status without a name: %.40q", line)
	}
	fields := strings.Fields(line[end+1:]) // from field 3 on
	if len(fields) < 13 {
		return 0, fmt.Errorf("process status of %d fields", len(fields)+2)
	}
	var sum time.Duration
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseUint(field, 10, 32)
		if err != nil {
			return 0, fmt.Errorf("process status: %w", err)
		}
		sum += time.Duration(ticks) * clockTick
	}
	return sum, nil
}
