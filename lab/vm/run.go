package vm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/digitalocean/go-qemu/qmp"

	"splicelab/workloads/wire"
)

// limits are the bounds of what only the host does, in wall time. They are
// far above what a loaded host needs, so that load changes no outcome.
type limits struct {
	call time.Duration // one QMP exchange, and QEMU's way to its socket
	exit time.Duration // from the guest's shutdown to QEMU's end
	quit time.Duration // from the watchdog's verdict to QEMU's end
	poll time.Duration // between two looks at the clocks
	// files bounds console and results, in bytes each: a guest that writes
	// without end must not fill the host's disk.
	files int64
}

var usualLimits = limits{
	call: time.Minute, exit: 30 * time.Second, quit: 5 * time.Second,
	// Deadlines are minutes, and a serial port writes some MB a second: looking
	// ten times as often was a third of the lab's own CPU time (measured).
	poll: time.Second, files: 64 << 20,
}

// Run boots b and waits for its end. What the guest or QEMU do is an Outcome;
// errors are a *HostError, ErrBoot, or ctx's own. No QEMU is left behind.
func Run(ctx context.Context, b Boot) (Result, error) { return run(ctx, b, usualLimits) }

func run(ctx context.Context, b Boot, lim limits) (Result, error) {
	args, err := Args(b)
	if err != nil {
		return Result{}, err
	}
	if b.CPUDeadline <= 0 && b.WallDeadline <= 0 {
		return Result{}, fmt.Errorf("%w: no deadline: set CPUDeadline or WallDeadline", ErrBoot)
	}
	path, err := findQEMU()
	if err != nil {
		return Result{}, err
	}
	if err := createOutputs(b.Console, b.Results); err != nil {
		return Result{}, err
	}
	dir, err := socketDir()
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(dir)

	v := &vm{boot: b, lim: lim, started: time.Now()}
	if err := v.start(ctx, path, args, dir); err != nil {
		return Result{}, err
	}
	v.watch(ctx)
	return v.result(ctx)
}

// vm is one QEMU process from its start to its end.
type vm struct {
	boot    Boot
	lim     limits
	started time.Time
	out     tailBuffer
	proc    *process
	mon     *monitor
	stopped string // why the watchdog ended it
	qmp     error  // what broke the conversation
	wall    time.Duration
}

// start brings QEMU to where the guest executes its first instruction. A QEMU
// that gives up before is the host's fault: it has said nothing about the
// guest.
func (v *vm) start(ctx context.Context, path string, args []string, dir string) error {
	listener, err := net.Listen("unix", filepath.Join(dir, "q"))
	if err != nil {
		return &HostError{What: "QEMU's control socket", Err: err}
	}
	defer listener.Close()
	// QEMU connects to us, so that there is nothing to wait or poll for.
	args = append(args, "-S", "-qmp", "unix:"+optionValue(listener.Addr().String()))
	if v.proc, err = startProcess(path, args, &v.out); err != nil {
		return err
	}
	err = v.attach(ctx, listener, dir)
	if err == nil {
		return nil
	}
	if !v.proc.exitsWithin(time.Second) {
		v.proc.kill()
		<-v.proc.done
	}
	v.disconnect()
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("boot: %w", cause)
	}
	if v.proc.failedItself() {
		return &HostError{What: "QEMU refuses the machine", Err: errors.New(oneLine(v.out.String()))}
	}
	v.qmp = err
	return nil
}

// attach waits for QEMU's connection and lets the guest go.
func (v *vm) attach(ctx context.Context, listener net.Listener, dir string) error {
	accepting := make(chan struct{})
	defer close(accepting)
	go func() {
		select {
		case <-accepting:
		case <-v.proc.done:
		case <-ctx.Done():
		case <-time.After(v.lim.call):
		}
		listener.Close()
	}()
	conn, err := listener.Accept()
	if err != nil {
		return fmt.Errorf("%w: QEMU did not connect: %w", ErrQMP, err)
	}
	if v.mon, err = newMonitor(conn, dir, v.lim.call, v.proc.kill); err != nil {
		return err
	}
	// Both sides are connected: what is not there cannot be left behind.
	os.RemoveAll(dir)
	if err := v.mon.Connect(); err != nil {
		return err
	}
	var status struct {
		Status string `json:"status"`
	}
	if err := v.mon.execute(qmp.Command{Execute: "query-status"}, &status); err != nil {
		return err
	}
	if status.Status != "prelaunch" {
		return fmt.Errorf("%w: QEMU is %q before the start", ErrQMP, status.Status)
	}
	return v.mon.execute(qmp.Command{Execute: "cont"}, &struct{}{})
}

// watch returns once QEMU has ended, by itself or by a deadline.
func (v *vm) watch(ctx context.Context) {
	defer func() { v.wall = time.Since(v.started) }()
	defer v.disconnect()
	if v.qmp != nil {
		return // it never got going
	}
	tick := time.NewTicker(v.lim.poll)
	defer tick.Stop()
	for {
		select {
		case <-v.proc.done:
			return
		case <-v.mon.shutdown:
			if !v.proc.exitsWithin(v.lim.exit) {
				v.proc.kill()
				<-v.proc.done
			}
			return
		case <-v.mon.drained:
			v.lost()
			return
		case <-ctx.Done():
			v.proc.kill()
			<-v.proc.done
			return
		case <-tick.C:
			if v.stopped = v.overdue(); v.stopped != "" {
				v.stop()
				return
			}
		}
	}
}

// lost ends a QEMU that closed its socket or spoke nonsense on it. A QEMU on
// its way out closes the socket first.
func (v *vm) lost() {
	if v.proc.exitsWithin(v.lim.quit) {
		return
	}
	v.qmp = fmt.Errorf("%w: the connection ended: %w", ErrQMP, v.mon.relay.gone())
	v.proc.kill()
	<-v.proc.done
}

// overdue says which bound the machine has passed; empty when none.
func (v *vm) overdue() string {
	if d := v.boot.CPUDeadline; d > 0 && v.proc.cpuTime() > d {
		return fmt.Sprintf("%s of QEMU's CPU time passed", d)
	}
	if d := v.boot.WallDeadline; d > 0 && time.Since(v.started) > d {
		return fmt.Sprintf("%s of wall time passed", d)
	}
	for _, path := range []string{v.boot.Console, v.boot.Results} {
		if info, err := os.Stat(path); err == nil && info.Size() > v.lim.files {
			return fmt.Sprintf("%s grew over %d MiB", filepath.Base(path), v.lim.files>>20)
		}
	}
	return ""
}

// stop ends a machine whose time is up. Where its processor stood goes into
// the reason; then QEMU is told to quit. One that does not listen is killed.
func (v *vm) stop() {
	killer := time.AfterFunc(v.lim.quit, v.proc.kill)
	defer killer.Stop()
	if where := v.where(); where != "" {
		v.stopped += ", the processor at " + where
	}
	if v.mon.execute(qmp.Command{Execute: "quit"}, &struct{}{}) != nil {
		v.proc.kill()
	}
	<-v.proc.done
}

// registers picks the instruction pointer and the privilege level.
var registers = regexp.MustCompile(`RIP=([0-9a-f]{16})[^\r\n]*CPL=(\d)`)

// where is the guest's instruction pointer, for a hang; empty when QEMU does
// not say.
func (v *vm) where() string {
	var text string
	command := qmp.Command{Execute: "human-monitor-command", Args: map[string]string{"command-line": "info registers"}}
	if v.mon.execute(command, &text) != nil {
		return ""
	}
	found := registers.FindStringSubmatch(text)
	switch {
	case found == nil:
		return ""
	case found[2] == "0":
		return "0x" + found[1] + " (kernel)"
	}
	return "0x" + found[1] + " (user)"
}

// disconnect ends the conversation once the last events are in.
func (v *vm) disconnect() {
	if v.mon == nil {
		return
	}
	if v.mon.connected {
		select {
		case <-v.mon.drained:
		case <-time.After(v.lim.quit):
		}
	}
	v.mon.Disconnect()
}

// result reads what the boot left behind.
func (v *vm) result(ctx context.Context) (Result, error) {
	if cause := context.Cause(ctx); cause != nil {
		return Result{}, fmt.Errorf("boot: %w", cause)
	}
	e := ending{
		stopped: v.stopped, qmp: v.qmp,
		exit: "QEMU ended: " + v.proc.cmd.ProcessState.String(), stderr: v.out.String(),
	}
	if v.mon != nil {
		e.shutdown, e.reason = v.mon.hasShutDown()
	}
	console, err := os.Open(v.boot.Console)
	if err != nil {
		return Result{}, &HostError{What: "read the console", Err: err}
	}
	defer console.Close()
	if e.console, err = parseConsole(console); err != nil {
		return Result{}, &HostError{What: "read the console", Err: err}
	}
	results, err := os.Open(v.boot.Results)
	if err != nil {
		return Result{}, &HostError{What: "read the result stream", Err: err}
	}
	defer results.Close()
	e.stream, e.streamErr = wire.Parse(results)

	r := Result{Taints: e.console.Taints, Stream: e.stream, CPU: v.proc.usedCPU(), Wall: v.wall}
	r.Outcome, r.Detail = decide(e)
	if r.Outcome == OK {
		return r, nil
	}
	r.Tail = strings.Join(e.console.Tail, "\n")
	// A full disk tears the files in the same way as a sick guest.
	return r, checkRoom(v.boot.Console, v.boot.Results)
}
