//go:build vm

// Tests on real kernels in real VMs. The first run builds three kernels, which
// takes minutes; later ones take them from the cache.
package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"splicelab/images/initrd"
	"splicelab/images/kernel"
	"splicelab/lab/config"
	"splicelab/lab/vm"
	"splicelab/results/store"
	"splicelab/workloads/wire"
)

const (
	plainCPU = "qemu64,+smap,+smep,+aes,+pclmulqdq,+ssse3,+sse4.1,+sse4.2"
	ermsCPU  = plainCPU + ",+erms"
)

// bench is what the tests share: a builder on the user's cache and the image
// that VMs boot.
var bench = sync.OnceValues(func() (*fixture, error) {
	c := config.Config{Cache: os.Getenv(config.CacheVariable)}
	cache, err := c.CacheDir()
	if err != nil {
		return nil, err
	}
	f := &fixture{builder: kernel.NewBuilder(cache, tell)}
	guest, err := buildGuest(context.Background(), cache)
	if err != nil {
		return nil, err
	}
	f.initramfs, err = initrd.Build(context.Background(), cache, guest)
	return f, err
})

type fixture struct {
	builder   *kernel.Builder
	initramfs initrd.Initramfs
}

// tell says what takes minutes, so that a test's output shows life.
func tell(e kernel.Event) {
	if e.Step != kernel.StepCompile || e.Done%250 == 0 {
		fmt.Fprintf(os.Stderr, "kernel %s: %s %s %d/%d\n", e.Kernel, e.Step, e.Detail, e.Done, e.Total)
	}
}

func shared(t testing.TB) *fixture {
	t.Helper()
	f, err := bench()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// spec is a kernel of the default line with more series after its own.
func spec(t testing.TB, name string, series []string, more ...kernel.Series) kernel.Spec {
	t.Helper()
	return lineSpec(t, "6.12", name, series, more...)
}

// lineSpec is such a kernel of a line.
func lineSpec(t testing.TB, line, name string, series []string, more ...kernel.Series) kernel.Spec {
	t.Helper()
	c, err := config.Load(config.Options{
		File: "configs/lab.yaml", Known: Known(), Settings: []config.Setting{{Flag: "--line", Key: "line", Value: line}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Spec(c, config.Kernel{Name: name, Series: series})
	if err != nil {
		t.Fatal(err)
	}
	s.Series = append(s.Series, more...)
	return s
}

func (f *fixture) build(t testing.TB, s kernel.Spec) *kernel.Image {
	t.Helper()
	img, err := f.builder.Build(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// vm prepares a boot; the result stream is at Results afterwards.
func (f *fixture) vm(t testing.TB, img *kernel.Image, cpu string, p wire.Plan) vm.Boot {
	t.Helper()
	dir := t.TempDir()
	p.Version = wire.Version
	file, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b := vm.Boot{
		Machine: vm.Machine{
			CPUModel: cpu, MemoryMiB: 256, Seed: p.Seed, Count: true,
			Cmdline: vm.Cmdline(true, "init_on_alloc=0"),
		},
		Kernel: img.BzImage, Initrd: filepath.Join(dir, "initrd"), Console: filepath.Join(dir, "console"),
		Results: filepath.Join(dir, "results"), CPUDeadline: 10 * time.Minute, WallDeadline: time.Hour,
	}
	if err := initrd.WithPlan(b.Initrd, f.initramfs, file); err != nil {
		t.Fatal(err)
	}
	return b
}

func boot(t testing.TB, b vm.Boot) vm.Result {
	t.Helper()
	r, err := vm.Run(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// count boots a family and returns its result, which must be good.
func (f *fixture) count(t testing.TB, img *kernel.Image, cpu, family string, chunks ...int64) (vm.Result, []byte) {
	t.Helper()
	b := f.vm(t, img, cpu, wire.Plan{
		Kind: wire.KindCount, Family: family, Seed: 1, Chunks: chunks, Reps: 1, CellDeadline: 60,
		Schedules: []string{wire.ScheduleLockstep, wire.ScheduleStream},
	})
	r := boot(t, b)
	if r.Outcome != vm.OK {
		t.Fatalf("%s: %s\n%s", r.Outcome, r.Detail, r.Tail)
	}
	for _, s := range r.Stream.Samples {
		if s.Error != "" {
			t.Errorf("%s %s %s %d: %s", s.Path, s.Schedule, s.Sink, s.Chunk, s.Error)
		}
	}
	stream, err := os.ReadFile(b.Results)
	if err != nil {
		t.Fatal(err)
	}
	return r, stream
}

// perByte returns a lock-step cell's instructions per byte.
func perByte(t *testing.T, r vm.Result, path, sink string, chunk int64) float64 {
	t.Helper()
	for _, s := range r.Stream.Samples {
		if s.Path == path && s.Schedule == wire.ScheduleLockstep && s.Sink == sink && s.Chunk == chunk {
			return float64(s.Metrics[wire.MetricInsns]) / float64(s.Bytes)
		}
	}
	t.Fatalf("no sample of %s, sink %q, chunk %d", path, sink, chunk)
	return 0
}

// Every outcome, provoked inside a real guest, is told from every other.
func TestRealOutcomes(t *testing.T) {
	f := shared(t)
	img := f.build(t, spec(t, "base", nil))
	for _, tc := range []struct {
		fault string
		want  vm.Outcome
		why   string // a part of the detail
		cpu   time.Duration
	}{
		{fault: "none", want: vm.OK},
		{fault: "warn", want: vm.OK},
		{fault: "panic", want: vm.Panic, why: "sysrq triggered crash"},
		{fault: "oops", want: vm.Oops, why: "NULL pointer"},
		{fault: "hang-user", want: vm.Hang, why: "no cell ended"},
		{fault: "hang-kernel", want: vm.Hang, cpu: 20 * time.Second},
		{fault: "agent-exit", want: vm.AgentError, why: "exit status 1"},
		{fault: "truncate", want: vm.AgentError, why: "end mark"},
		{fault: "lost-line", want: vm.AgentError, why: "line 1"},
		{fault: "spoilt-line", want: vm.AgentError, why: "checksum"},
	} {
		t.Run(tc.fault, func(t *testing.T) {
			b := f.vm(t, img, plainCPU, wire.Plan{Kind: wire.KindFault, Fault: tc.fault, Seed: 1, CellDeadline: 5})
			if tc.cpu > 0 {
				b.CPUDeadline = tc.cpu
			}
			r := boot(t, b)
			if r.Outcome != tc.want || !strings.Contains(r.Detail, tc.why) {
				t.Errorf("got %s (%s), want %s (%s)\n%s", r.Outcome, r.Detail, tc.want, tc.why, r.Tail)
			}
			if tainted := len(r.Taints) > 0; tainted != (tc.fault == "warn") && tc.want == vm.OK {
				t.Errorf("taints: %q", r.Taints)
			}
		})
	}
}

// panicSeries is a kernel that never gets to user space.
var panicSeries = kernel.Series{Name: "panic", Patches: []kernel.Text{{Name: "0001-panic.patch", Text: `--- a/init/main.c
+++ b/init/main.c
@@ -1433,6 +1433,7 @@ static int __ref kernel_init(void *unused)
 	int ret;
 
 	/*
+	 */ panic("splicelab test"); /*
 	 * Wait until kthreadd is all set-up.
 	 */
 	wait_for_completion(&kthreadd_done);
`}}}

func TestRealBootFailures(t *testing.T) {
	f := shared(t)
	img := f.build(t, spec(t, "base", nil))
	t.Run("a kernel that panics at boot", func(t *testing.T) {
		broken := f.build(t, spec(t, "panics", nil, panicSeries))
		r := boot(t, f.vm(t, broken, plainCPU, wire.Plan{Kind: wire.KindFault, Fault: "none"}))
		if r.Outcome != vm.BootFailure || !strings.Contains(r.Detail, "splicelab test") {
			t.Errorf("got %s (%s)\n%s", r.Outcome, r.Detail, r.Tail)
		}
	})
	t.Run("an initramfs that is none", func(t *testing.T) {
		b := f.vm(t, img, plainCPU, wire.Plan{Kind: wire.KindFault, Fault: "none"})
		if err := os.WriteFile(b.Initrd, []byte(strings.Repeat("x", 8192)), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := boot(t, b); r.Outcome != vm.BootFailure {
			t.Errorf("got %s (%s)\n%s", r.Outcome, r.Detail, r.Tail)
		}
	})
}

// QEMU killed from outside is neither the kernel's fault nor the agent's.
func TestRealQEMUKilled(t *testing.T) {
	f := shared(t)
	b := f.vm(t, f.build(t, spec(t, "base", nil)), plainCPU, wire.Plan{Kind: wire.KindFault, Fault: "hang-kernel", CellDeadline: 600})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if pid := qemuWith(b.Console); pid > 0 && grown(b.Console) {
				process, err := os.FindProcess(pid)
				if err == nil {
					process.Kill()
				}
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	if r := boot(t, b); r.Outcome != vm.QEMUDied {
		t.Errorf("got %s (%s)\n%s", r.Outcome, r.Detail, r.Tail)
	}
}

func grown(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Size() > 0
}

// qemuWith returns the process whose arguments name a file, 0 when there is
// none.
func qemuWith(file string) int {
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0
	}
	for _, name := range found {
		text, err := os.ReadFile(name)
		program, args, _ := strings.Cut(string(text), "\x00")
		if err == nil && strings.HasPrefix(filepath.Base(program), "qemu-system") && strings.Contains(args, file) {
			var pid int
			if _, err := fmt.Sscanf(name, "/proc/%d/cmdline", &pid); err == nil {
				return pid
			}
		}
	}
	return 0
}

// Two boots of one trial are the same to the last byte, on a busy host too.
func TestRealDeterminism(t *testing.T) {
	f := shared(t)
	img := f.build(t, spec(t, "base", nil))
	_, quiet := f.count(t, img, plainCPU, "user-pipe", 4096, 65536)
	var calm atomic.Bool
	defer calm.Store(true)
	for range 2 * runtime.NumCPU() {
		go func() {
			for !calm.Load() {
			}
		}()
	}
	_, busy := f.count(t, img, plainCPU, "user-pipe", 4096, 65536)
	if diff := cmp.Diff(string(quiet), string(busy)); diff != "" {
		t.Errorf("(-quiet +busy):\n%s", diff)
	}
}

// The second CPU model counts user copies: 1 for sendfile on base, 3 for read
// and send; and the kernels differ where their patches say so, and only there.
func TestRealKernelsAreWhatTheyClaim(t *testing.T) {
	f := shared(t)
	const chunk = 65536
	base := f.build(t, spec(t, "base", nil))
	plain, _ := f.count(t, base, plainCPU, "file-tcp", chunk)
	erms, _ := f.count(t, base, ermsCPU, "file-tcp", chunk)
	for path, want := range map[string]float64{"file-tcp/sendfile": 1, "file-tcp/splice": 1, "file-tcp/mmap-send": 2, "file-tcp/read-send": 3} {
		copies := (perByte(t, erms, path, wire.SinkRead, chunk) - perByte(t, plain, path, wire.SinkRead, chunk)) / 0.875
		if math.Abs(copies-want) > 0.01*want {
			t.Errorf("base, %s: %.3f user copies a byte, want %.0f", path, copies, want)
		}
	}
	deopt, _ := f.count(t, f.build(t, spec(t, "sendfile-deopt", []string{"splice-copy", "socket-copy"})), plainCPU, "file-tcp", chunk)
	change := func(path string) float64 {
		return perByte(t, deopt, path, wire.SinkRead, chunk)/perByte(t, plain, path, wire.SinkRead, chunk) - 1
	}
	// Two more copies within the kernel, and the pages for one of them.
	if got := change("file-tcp/sendfile"); got < 0.25 {
		t.Errorf("sendfile-deopt moved sendfile by %+.1f %%", 100*got)
	}
	if got := change("file-tcp/read-send"); math.Abs(got) > 0.005 {
		t.Errorf("sendfile-deopt moved read-send by %+.2f %%", 100*got)
	}
}

// A patch that doesn't apply and one that doesn't compile are different
// things, and neither leaves anything behind for the next build.
func TestRealBadPatches(t *testing.T) {
	f := shared(t)
	base := f.build(t, spec(t, "base", nil))
	var patch *kernel.PatchError
	stale := strings.Replace(panicSeries.Patches[0].Text, "int ret;", "long ret;", 1)
	_, err := f.builder.Build(t.Context(), spec(t, "stale", nil, kernel.Series{Name: "stale", Patches: []kernel.Text{{Name: "0001.patch", Text: stale}}}))
	if !errors.As(err, &patch) || patch.File != "init/main.c" {
		t.Errorf("a stale patch: %v", err)
	}
	var compile *kernel.CompileError
	broken := strings.Replace(panicSeries.Patches[0].Text, "panic(", "no_such_function(", 1)
	_, err = f.builder.Build(t.Context(), spec(t, "broken", nil, kernel.Series{Name: "broken", Patches: []kernel.Text{{Name: "0001.patch", Text: broken}}}))
	if !errors.As(err, &compile) || !strings.Contains(fmt.Sprint(compile.Lines), "no_such_function") {
		t.Errorf("a patch that doesn't compile: %v", err)
	}
	again := f.build(t, spec(t, "base", nil))
	if again.BzImageSHA256 != base.BzImageSHA256 {
		t.Errorf("base is another one after bad patches: %s, was %s", again.BzImageSHA256, base.BzImageSHA256)
	}
}

func smoke(t testing.TB) config.Config {
	t.Helper()
	c, err := config.Load(config.Options{File: "configs/smoke.yaml", Known: Known()})
	if err != nil {
		t.Fatal(err)
	}
	c.SampleCache = false
	c.Out = filepath.Join(t.TempDir(), "run")
	return c
}

// A whole run, twice: every figure is the same, and both have their reports.
func TestRealRun(t *testing.T) {
	var csv []string
	for range 2 {
		c := smoke(t)
		var out strings.Builder
		if err := Run(t.Context(), Request{Config: c, Known: Known(), Command: "lab run", Out: &out, Err: io.Discard}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"sendfile-deopt", "file-tcp/read-send"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the report lacks %q:\n%s", want, out.String())
			}
		}
		text, err := os.ReadFile(filepath.Join(c.Out, "report.csv"))
		if err != nil {
			t.Fatal(err)
		}
		csv = append(csv, string(text))
	}
	if diff := cmp.Diff(csv[0], csv[1]); diff != "" {
		t.Errorf("two runs differ (-first +second):\n%s", diff)
	}
}

// lab killed in the middle leaves no QEMU behind, and the run can be resumed.
func TestRealKilledAndResumed(t *testing.T) {
	dir := t.TempDir()
	lab, out := filepath.Join(dir, "lab"), filepath.Join(dir, "run")
	command(t, "go", "build", "-o", lab, "splicelab/lab")
	for _, k := range [][]string{nil, {"splice-copy", "socket-copy"}} { // so that the run only boots
		shared(t).build(t, spec(t, "warm", k))
	}
	first := exec.Command(lab, "run", "-c", "configs/smoke.yaml", "--no-sample-cache", "--out", out)
	first.Env = append(os.Environ(), "LAB_JOBS=1") // one after the other: there is a middle
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- first.Wait() }()
	for qemuWith(out) == 0 || !grown(filepath.Join(out, store.SamplesName)) {
		select {
		case err := <-ended:
			t.Fatalf("lab ended before it was killed: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Fatal("lab ended before it was killed")
	}
	for i := 0; qemuWith(out) != 0; i++ {
		if i == 500 {
			t.Fatal("a QEMU is left behind")
		}
		time.Sleep(20 * time.Millisecond)
	}
	text := command(t, lab, "run", "--resume", out)
	if !strings.Contains(text, "1 of 2 boots left") || !strings.Contains(text, "file-tcp/read-send") {
		t.Errorf("resumed:\n%s", text)
	}
}

func command(t testing.TB, name string, args ...string) string {
	t.Helper()
	text, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, args, err, text)
	}
	return string(text)
}
