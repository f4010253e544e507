package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"splicelab/workloads/wire"
)

// resultPort is the serial port that carries the result stream.
const resultPort = "/dev/ttyS1"

// tick is the kernel's, CONFIG_HZ=100.
const tick = 10 * time.Millisecond

// settle is how long the guest idles before the first cell, so that the clock
// source has been chosen and the boot's own work is over (facts.md, section 7,
// trap 7). It costs QEMU 0.1 s.
const settle = 3 * time.Second

// supervise is PID 1: whatever happens, it says so and ends the VM.
func supervise() {
	if err := bootRun(); err != nil {
		fmt.Println("splicelab: agent error:", err)
	}
	fmt.Println("splicelab: end")
	unix.Sync()
	// microvm without ACPI has no power button: a reset under -no-reboot ends
	// QEMU (facts.md, section 8).
	err := unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	fmt.Println("splicelab: reboot:", err)
	select {}
}

func bootRun() error {
	idle, err := startIdler()
	if err != nil {
		return err
	}
	settings, err := setUp()
	if err != nil {
		return err
	}
	group, err := makeGroup()
	if err != nil {
		return err
	}
	if group != "" {
		settings["memory accounting"] = "in a group of its own"
	}
	port, err := openPort(resultPort)
	if err != nil {
		return err
	}
	plan, planErr := readPlan()
	out := wire.NewWriter(port)
	if plan.Kind == wire.KindFault {
		out = wire.NewWriter(&spoiler{port: port, fault: plan.Fault})
	}
	time.Sleep(settle)
	hello, err := sayHello(settings)
	if err != nil {
		return err
	}
	if err := out.Write(wire.Line{Hello: &hello}); err != nil {
		return err
	}
	if err := drain(port); err != nil {
		return err
	}
	fmt.Println("splicelab: agent started")
	see, sees := map[wire.Kind]look{
		wire.KindVerify: verify, wire.KindSelftest: selftests, wire.KindStress: stressed,
	}[plan.Kind]
	if planErr == nil && sees { // nothing here counts time, and much of it sleeps
		return errors.Join(observations(see, plan, out, port), idle.stop())
	}
	if plan.Kind == wire.KindAccount {
		samples, fault := accounts(plan, group)
		return errors.Join(finish(out, port, samples, fault), idle.stop())
	}
	if err := idle.stop(); err != nil { // the worker has its own
		return err
	}
	if planErr != nil {
		return finish(out, port, nil, &wire.Fault{Outcome: "agent error", Detail: planErr.Error()})
	}
	samples, fault := runWorker(plan, workerCommand(), group)
	if plan.Kind == wire.KindFault {
		samples = faultSamples()
	}
	return finish(out, port, samples, fault)
}

// look looks at the kernel and says what it sees as it sees it. An error of say's
// ends it.
type look func(plan wire.Plan, say func(wire.Observation) error) error

// observations looks at the kernel and writes what is seen as it comes: what was
// seen before the machine was lost isn't lost with it.
func observations(see look, plan wire.Plan, out *wire.Writer, port *os.File) error {
	err := see(plan, func(o wire.Observation) error { return out.Write(wire.Line{Observation: &o}) })
	if err != nil {
		return finish(out, port, nil, agentFault(err))
	}
	return finish(out, port, nil, nil)
}

// finish writes the stream's rest. The samples wait until here so that writing
// one cell's results is no part of what runs before the next.
func finish(out *wire.Writer, port *os.File, samples []wire.Sample, fault *wire.Fault) error {
	for i := range samples {
		if err := out.Write(wire.Line{Sample: &samples[i]}); err != nil {
			return err
		}
	}
	if fault != nil {
		if err := out.Write(wire.Line{Fault: fault}); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	return drain(port)
}

func readPlan() (wire.Plan, error) {
	file, err := os.ReadFile(wire.PlanPath)
	if err != nil {
		return wire.Plan{}, fmt.Errorf("read the plan: %w", err)
	}
	return wire.DecodePlan(file)
}

// workerCommand is a worker that isn't started yet; args stand behind its role.
func workerCommand(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", append([]string{roleWorker}, args...)...)
	// Go's scheduler would interrupt the timed loops by signals.
	cmd.Env = []string{"GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=1"}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	return cmd
}

// runWorker starts a worker and collects its samples, a batch a cell. One that
// is silent for longer than a cell's deadline, in guest time, is a hang; one
// that ends badly is the agent's failure. It runs in the control group, if one
// is named.
func runWorker(plan wire.Plan, cmd *exec.Cmd, group string) ([]wire.Sample, *wire.Fault) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, agentFault(fmt.Errorf("pipe: %w", err))
	}
	defer r.Close()
	// The runtime's monitor thread sleeps 20 µs at a time after every blocking
	// system call, and each waking costs 7,000 instructions: 8 % of a small
	// region (measured). With the slack of a tick, which the worker inherits, it
	// wakes with the tick and never of itself (hrtimer_interrupt).
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(tick), 0, 0, 0); err != nil {
		return nil, agentFault(fmt.Errorf("set the timers' slack: %w", err))
	}
	cmd.ExtraFiles = []*os.File{w}
	if err := startIn(group, cmd); err != nil {
		return nil, agentFault(fmt.Errorf("start the worker: %w", err))
	}
	w.Close()
	deadline := time.Duration(plan.CellDeadline) * time.Second
	if plan.Kind == wire.KindProgram { // the worker kills it, and tells how it was
		deadline += killGrace
	}
	samples, err := collect(r, deadline)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		last := "before the first cell ended"
		if len(samples) > 0 {
			s := samples[len(samples)-1]
			last = fmt.Sprintf("after %s, chunk %d", s.Path, s.Chunk)
		}
		return samples, &wire.Fault{Outcome: "hang", Detail: fmt.Sprintf("no cell ended for %.0f s of guest time, %s", deadline.Seconds(), last)}
	}
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return samples, agentFault(fmt.Errorf("worker: %w", err))
	}
	return samples, nil
}

// startIn starts a command in a control group, from its first instruction on; ""
// is the root.
func startIn(group string, cmd *exec.Cmd) error {
	if group == "" {
		return cmd.Start()
	}
	dir, err := os.Open(group)
	if err != nil {
		return err
	}
	defer dir.Close()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	return cmd.Start()
}

func agentFault(err error) *wire.Fault {
	return &wire.Fault{Outcome: "agent error", Detail: strings.ReplaceAll(err.Error(), "\n", "; ")}
}

// collect reads one JSON list of samples a line until the worker closes its
// end. Each line must come within the deadline.
func collect(r *os.File, deadline time.Duration) ([]wire.Sample, error) {
	var all []wire.Sample
	in := bufio.NewReader(r)
	for {
		if err := r.SetReadDeadline(time.Now().Add(deadline)); err != nil {
			return all, fmt.Errorf("set the cell's deadline: %w", err)
		}
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return all, nil
		}
		if err != nil {
			return all, fmt.Errorf("read the worker's samples: %w", err)
		}
		var batch []wire.Sample
		if err := json.Unmarshal(line, &batch); err != nil {
			return all, fmt.Errorf("the worker's samples: %w", err)
		}
		all = append(all, batch...)
	}
}
