package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"splicelab/workloads/copypath"
	"splicelab/workloads/program"
	"splicelab/workloads/wire"
)

const (
	// outputDir is where a program's output goes: into files, so that nobody
	// has to read while it runs.
	outputDir = "/run/output"
	// killGrace is how much longer than a program's deadline PID 1 waits for
	// the worker to have killed it.
	killGrace = 10 * time.Second
	// defaultSlack is what a program's timers have elsewhere (init_task).
	defaultSlack = 50 * time.Microsecond
)

// workProgram runs a user's own program: once to warm up, then to be counted.
// A failure spoils the runs that it touches, not the boot.
func workProgram(plan wire.Plan, out *os.File) error {
	if plan.Reps < 1 || len(plan.Command) == 0 {
		return fmt.Errorf("%w: it runs nothing", wire.ErrPlan)
	}
	r, err := newRunner(plan)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	fmt.Println("splicelab: program", plan.Family)
	_, failed := r.run()
	if err := enc.Encode([]wire.Sample{}); err != nil { // a sign of life
		return fmt.Errorf("hand samples over: %w", err)
	}
	for rep := range plan.Reps {
		s := wire.Sample{Path: plan.Family, Schedule: wire.ScheduleProgram, Rep: rep}
		if failed == nil {
			failed = r.measure(&s)
		}
		if failed != nil {
			s.Error = failed.Error()
		}
		if err := enc.Encode([]wire.Sample{s}); err != nil {
			return fmt.Errorf("hand samples over: %w", err)
		}
	}
	return r.idle.stop()
}

// runner runs one program again and again.
type runner struct {
	path     string
	args     []string
	env      []string
	deadline time.Duration // of one run, in guest time
	idle     *idler
	meter    meter // it reads the idler alone
	idleTask task
}

func newRunner(plan wire.Plan) (*runner, error) {
	for _, m := range []struct{ at, options string }{{outputDir, "size=2m"}, {"/dev/shm", ""}} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return nil, fmt.Errorf("make a mount point: %w", err)
		}
		if err := unix.Mount("tmpfs", m.at, "tmpfs", 0, m.options); err != nil {
			return nil, fmt.Errorf("mount tmpfs on %s: %w", m.at, err)
		}
	}
	// Of processes that outlive theirs, this one becomes the parent.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("adopt orphans: %w", err)
	}
	if err := os.Setenv("PATH", wire.ProgramPath); err != nil {
		return nil, err
	}
	path, err := exec.LookPath(plan.Command[0])
	if err != nil {
		return nil, fmt.Errorf("the program: %w", err)
	}
	r := &runner{
		path: path, args: plan.Command, deadline: time.Duration(plan.CellDeadline) * time.Second,
		env: []string{
			"PATH=" + wire.ProgramPath, "LD_LIBRARY_PATH=" + wire.ProgramDir, "HOME=/tmp", "TMPDIR=/tmp",
			"LC_ALL=C", "TZ=UTC", "SPLICELAB_SEED=" + strconv.FormatUint(plan.Seed, 10),
		},
	}
	if r.idle, err = startIdler(); err != nil {
		return nil, err
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/schedstat", r.idle.pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("the idler's schedstat: %w", err)
	}
	r.idleTask = task{id: r.idle.pid, fd: fd}
	return r, nil
}

// measure fills in one counted run.
func (r *runner) measure(s *wire.Sample) error {
	cost, err := r.run()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(outputDir, "stdout"))
	if err != nil {
		return fmt.Errorf("the program's output: %w", err)
	}
	if s.Benchmarks, err = program.Parse(text); err != nil {
		return err
	}
	s.Metrics = map[string]int64{wire.MetricInsns: cost.insns, wire.MetricIdle: cost.clock - cost.insns}
	return nil
}

// run runs the program once and returns what it cost: everything from before
// its fork until its end was seen, by whatever task, but for the idler. Unlike
// the sum over tasks this has those that ended meanwhile.
func (r *runner) run() (region, error) {
	cmd, closeOutput, err := r.command()
	if err != nil {
		return region{}, err
	}
	defer closeOutput()
	if err := halfSecond(); err != nil {
		return region{}, err
	}
	idle, err := r.meter.read(&r.idleTask)
	if err != nil {
		return region{}, err
	}
	clock := copypath.TSC()
	if err := r.start(cmd); err != nil {
		return region{}, err
	}
	late, err := r.wait(cmd)
	clock = copypath.TSC() - clock
	if err != nil {
		return region{}, err
	}
	idleNow, err := r.meter.read(&r.idleTask)
	if err != nil {
		return region{}, err
	}
	return region{insns: clock - (idleNow - idle), clock: clock}, errors.Join(r.judge(cmd, late), r.sweep(cmd.Process.Pid))
}

// command prepares a run; its output begins empty.
func (r *runner) command() (cmd *exec.Cmd, closeOutput func(), err error) {
	cmd = &exec.Cmd{
		Path: r.path, Args: r.args, Env: r.env, Dir: wire.ProgramDir,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	stdout, err := os.Create(filepath.Join(outputDir, "stdout"))
	if err != nil {
		return nil, nil, fmt.Errorf("the program's output: %w", err)
	}
	stderr, err := os.Create(filepath.Join(outputDir, "stderr"))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("the program's output: %w", err), stdout.Close())
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, func() { stdout.Close(); stderr.Close() }, nil
}

// start starts the program with timers as they are elsewhere: the worker's own
// slack would be inherited.
func (r *runner) start(cmd *exec.Cmd) error {
	if err := setSlack(defaultSlack); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the program: %w", err)
	}
	return setSlack(tick)
}

func setSlack(slack time.Duration) error {
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0); err != nil {
		return fmt.Errorf("set the timers' slack: %w", err)
	}
	return nil
}

// wait waits for the program's end; past its deadline its process group is
// killed.
func (r *runner) wait(cmd *exec.Cmd) (late bool, err error) {
	fd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		return false, fmt.Errorf("wait for the program: %w", err)
	}
	defer unix.Close(fd)
	timeout := unix.NsecToTimespec(int64(r.deadline))
	n, err := unix.Ppoll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, &timeout, nil)
	for err == unix.EINTR { // by the runtime's own signals: the deadline begins anew
		n, err = unix.Ppoll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, &timeout, nil)
	}
	if err != nil {
		return false, fmt.Errorf("wait for the program: %w", err)
	}
	if n == 0 {
		late = true
		if err := unix.Kill(-cmd.Process.Pid, unix.SIGKILL); err != nil {
			return late, fmt.Errorf("kill the program: %w", err)
		}
	}
	// How it ended is judge's matter.
	if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
		return late, fmt.Errorf("wait for the program: %w", err)
	}
	return late, nil
}

// judge says what is wrong with a run that has ended.
func (r *runner) judge(cmd *exec.Cmd, late bool) error {
	said := lastSaid("stderr", "stdout")
	size := 0
	for _, name := range []string{"stdout", "stderr"} {
		if info, err := os.Stat(filepath.Join(outputDir, name)); err == nil {
			size += int(info.Size())
		}
	}
	switch {
	case late:
		return fmt.Errorf("no end within %v of guest time%s", r.deadline, said)
	case !cmd.ProcessState.Success():
		return fmt.Errorf("%v%s", cmd.ProcessState, said)
	case size > program.MaxOutput:
		return fmt.Errorf("it printed %d bytes, %d are possible", size, program.MaxOutput)
	}
	return nil
}

// lastSaid is the end of the first of a program's outputs that has one, in one
// line.
func lastSaid(names ...string) string {
	const longest, most = 400, 4
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(outputDir, name))
		if err != nil {
			continue
		}
		text = bytes.ToValidUTF8(bytes.TrimSpace(text[max(0, len(text)-longest):]), []byte("?"))
		var lines []string
		for line := range strings.Lines(string(text)) {
			lines = append(lines, strings.TrimSpace(line))
		}
		if len(lines) > 0 {
			return "; its last words: " + strings.Join(lines[max(0, len(lines)-most):], " | ")
		}
	}
	return ""
}

// sweep ends whatever outlived the program, so that the next run finds the
// machine as this one did: its group, then those that left it.
func (r *runner) sweep(group int) error {
	if err := unix.Kill(-group, unix.SIGKILL); err != nil && err != unix.ESRCH {
		return fmt.Errorf("end the program's group: %w", err)
	}
	for {
		orphans, err := r.orphans()
		if err != nil || len(orphans) == 0 {
			return err
		}
		for _, pid := range orphans {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				return fmt.Errorf("end what outlived the program: %w", err)
			}
			if _, err := unix.Wait4(pid, nil, 0, nil); err != nil && err != unix.EINTR {
				return fmt.Errorf("end what outlived the program: %w", err)
			}
		}
	}
}

// orphans are this process's children but for the idler.
func (r *runner) orphans() ([]int, error) {
	all, err := numbers("/proc")
	if err != nil {
		return nil, err
	}
	var found []int
	for _, pid := range all {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it ended since
		}
		if pid != r.idle.pid && parent(stat) == os.Getpid() {
			found = append(found, pid)
		}
	}
	return found, nil
}

// parent is the fourth field of a process's stat (proc_pid_stat): the second, a
// name in brackets, may hold anything.
func parent(stat []byte) int {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	n, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0
	}
	return n
}
