package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"splicelab/workloads/wire"
)

// The test's own binary plays QEMU when it is called by QEMU's name, and a lab
// that gets killed when labEnv is set.
const (
	modeEnv = "VM_TEST_QEMU"
	pidEnv  = "VM_TEST_PID"
	labEnv  = "VM_TEST_LAB"
)

func TestMain(m *testing.M) {
	switch {
	case filepath.Base(os.Args[0]) == program:
		playQEMU(os.Getenv(modeEnv), os.Args[1:])
	case os.Getenv(labEnv) != "":
		run(context.Background(), fakeBoot(os.Getenv(labEnv)), usualLimits)
	default:
		os.Exit(m.Run())
	}
}

// option is the value of one of QEMU's arguments, of those that start with
// prefix.
func option(args []string, prefix string) string {
	i := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, prefix) })
	return strings.TrimPrefix(args[i], prefix)
}

func playQEMU(mode string, args []string) {
	os.WriteFile(os.Getenv(pidEnv), []byte(strconv.Itoa(os.Getpid())), 0o644)
	switch {
	case args[0] == "--version":
		fmt.Println("QEMU emulator version 7.2.22 (Debian)\nCopyright")
		return
	case mode == "refuses":
		fmt.Fprintln(os.Stderr, "qemu: unable to find\nCPU model 'x'")
		os.Exit(1)
	case mode == "never connects":
		select {}
	}
	conn, err := net.Dial("unix", option(args, "unix:"))
	if err != nil {
		os.Exit(2)
	}
	p := &peer{conn: conn, in: json.NewDecoder(conn)}
	if mode == "never greets" {
		time.Sleep(time.Hour) // not select {}: the runtime would call that a deadlock
	}
	p.greet()
	p.command()
	p.send(`{"return": {"status": "prelaunch", "running": false}}` + "\n")
	p.command()
	p.send(event("RESUME") + done)
	playGuest(mode, p, option(args, "file,id=console,path="), option(args, "file,id=results,path="))
}

func playGuest(mode string, p *peer, console, results string) {
	os.WriteFile(console, []byte("[    0.000000] Linux version\n"), 0o644)
	file, _ := os.Create(results)
	w := wire.NewWriter(file)
	w.Write(wire.Line{Hello: &wire.Hello{Version: wire.Version, UUID: "u"}})
	switch mode {
	case "ends", "lingers":
		w.Close()
		p.send(event("SHUTDOWN"))
		if mode == "lingers" {
			select {}
		}
	case "is killed":
		fmt.Fprintln(os.Stderr, "assertion failed")
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "hangs up":
		p.conn.Close()
		select {}
	case "talks nonsense":
		p.send("nonsense\n")
		select {}
	case "floods":
		os.Truncate(console, 2<<20)
		p.command()
	case "spins":
		go func() {
			for n := uint64(1); n != 0; n++ {
			}
		}()
		p.command()
		p.send(`{"return": "RAX=0\r\nRIP=ffffffff81530a00 RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=0\r\n"}` + "\n")
		p.command() // quit, which it ignores
		select {}
	case "sleeps":
		p.command()
		p.send(`{"error": {"class": "CommandNotFound", "desc": "no monitor"}}` + "\n")
		p.command()
		p.send(done)
	}
}

func fakeBoot(dir string) Boot {
	return Boot{
		Machine: Machine{CPUModel: "qemu64", MemoryMiB: 512, Count: true, Cmdline: Cmdline(true)},
		Kernel:  "bzImage", Initrd: "initrd",
		Console: filepath.Join(dir, "console"), Results: filepath.Join(dir, "results"),
		CPUDeadline: time.Hour, WallDeadline: time.Hour,
	}
}

// fakeQEMU puts a QEMU of the given behaviour into PATH. The returned function
// fails the test unless that QEMU is gone.
func fakeQEMU(t *testing.T, mode string) (b Boot, gone func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, program)); err != nil {
		t.Fatal(err)
	}
	pid := filepath.Join(dir, "pid")
	t.Setenv("PATH", dir)
	t.Setenv(modeEnv, mode)
	t.Setenv(pidEnv, pid)
	return fakeBoot(dir), func() {
		t.Helper()
		text, err := os.ReadFile(pid)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(string(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(n, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("QEMU %d is still there: %v", n, err)
		}
	}
}

func TestRun(t *testing.T) {
	quick := limits{call: time.Minute, exit: hasty, quit: hasty, poll: 10 * time.Millisecond, files: 1 << 20}
	tests := map[string]struct {
		change func(*Boot, *limits)
		want   Outcome
		detail string
	}{
		"ends":           {want: OK},
		"lingers":        {want: OK},
		"is killed":      {want: QEMUDied, detail: "QEMU ended: signal: killed: assertion failed"},
		"hangs up":       {want: QEMUDied, detail: "QMP: the connection ended: EOF"},
		"talks nonsense": {want: QEMUDied, detail: `not a message: "nonsense`},
		"never greets":   {func(_ *Boot, l *limits) { l.call = 5 * time.Second }, QEMUDied, "QMP: "}, // time to start and connect, on a busy host too
		"never connects": {func(_ *Boot, l *limits) { l.call = hasty }, QEMUDied, "QEMU did not connect"},
		"floods":         {want: Hang, detail: "console grew over 1 MiB"},
		"spins": {
			func(b *Boot, l *limits) { b.CPUDeadline, l.quit = hasty, 2*time.Second },
			Hang, "50ms of QEMU's CPU time passed, the processor at 0xffffffff81530a00 (kernel)",
		},
		"sleeps": {func(b *Boot, _ *limits) { b.WallDeadline = hasty }, Hang, "50ms of wall time passed"},
	}
	for mode, test := range tests {
		t.Run(mode, func(t *testing.T) {
			b, gone := fakeQEMU(t, mode)
			lim := quick
			if test.change != nil {
				test.change(&b, &lim)
			}
			r, err := run(context.Background(), b, lim)
			if err != nil {
				t.Fatal(err)
			}
			if r.Outcome != test.want || !strings.Contains(r.Detail, test.detail) {
				t.Errorf("%s (%s), want %s (%s)", r.Outcome, r.Detail, test.want, test.detail)
			}
			if r.Outcome == OK && r.Stream.Hello.UUID != "u" {
				t.Errorf("stream %+v", r.Stream)
			}
			gone()
		})
	}
}

func TestRunHostFaults(t *testing.T) {
	tests := map[string]struct {
		mode   string
		change func(*testing.T, *Boot)
		says   string
	}{
		"no QEMU":      {"ends", func(t *testing.T, _ *Boot) { t.Setenv("PATH", "") }, "QEMU is not installed: install the package qemu-system-x86"},
		"no folder":    {"ends", func(_ *testing.T, b *Boot) { b.Results += "/none/r" }, "create the boot's files"},
		"QEMU refuses": {"refuses", func(*testing.T, *Boot) {}, "QEMU refuses the machine: qemu: unable to find CPU model 'x'"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b, _ := fakeQEMU(t, test.mode)
			test.change(t, &b)
			_, err := Run(context.Background(), b)
			var host *HostError
			if !errors.As(err, &host) || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("error %v, want a HostError with %q", err, test.says)
			}
			if host.ExitStatus() != 3 {
				t.Errorf("exit status %d, want 3", host.ExitStatus())
			}
		})
	}
}

func TestRunWithoutDeadline(t *testing.T) {
	b, _ := fakeQEMU(t, "ends")
	b.CPUDeadline, b.WallDeadline = 0, 0
	if _, err := Run(context.Background(), b); !errors.Is(err, ErrBoot) {
		t.Errorf("error %v, want ErrBoot", err)
	}
}

func TestRunCancelled(t *testing.T) {
	b, gone := fakeQEMU(t, "spins")
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for { // until the guest runs
			if info, err := os.Stat(b.Results); err == nil && info.Size() > 0 {
				cancel()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if _, err := Run(ctx, b); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	gone()
}

func TestRunLeavesNoFolder(t *testing.T) {
	b, _ := fakeQEMU(t, "ends")
	parent := t.TempDir()
	t.Setenv("TMPDIR", parent)
	if _, err := Run(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(parent)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A lab that is killed takes its QEMU along.
func TestQEMUDoesNotOutliveTheLab(t *testing.T) {
	b, _ := fakeQEMU(t, "spins")
	parent := t.TempDir()
	t.Setenv("TMPDIR", parent)
	lab := exec.Command("/proc/self/exe")
	lab.Env = append(os.Environ(), labEnv+"="+filepath.Dir(b.Console))
	if err := lab.Start(); err != nil {
		t.Fatal(err)
	}
	for {
		if info, err := os.Stat(b.Results); err == nil && info.Size() > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	lab.Process.Kill()
	lab.Wait()
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	text, err := os.ReadFile(os.Getenv(pidEnv))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	// The signal is on its way; a QEMU that survives fails by the test's own
	// time limit. A zombie that nobody reaps is dead too.
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestVersion(t *testing.T) {
	fakeQEMU(t, "ends")
	got, err := Version(context.Background())
	if err != nil || got != "QEMU emulator version 7.2.22 (Debian)" {
		t.Errorf("%q, %v", got, err)
	}
	t.Setenv("PATH", "")
	if _, err := Version(context.Background()); !errors.Is(err, ErrNoQEMU) {
		t.Errorf("without QEMU: %v", err)
	}
}
