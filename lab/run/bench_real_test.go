//go:build vm

package run

import (
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"splicelab/lab/vm"
	"splicelab/workloads/wire"
)

// The budgets are design.md's, for a machine of two cores without KVM. CPU time
// stands in for the wall's, which says little on a busy host; what can be a
// ratio within one run is one.

// against reports a figure, and how much of its budget that is.
func against(b *testing.B, figure float64, unit string, budget float64) {
	b.ReportMetric(figure, unit)
	b.ReportMetric(100*figure/budget, fmt.Sprintf("%%-of-budget-%g-%s", budget, unit))
}

// BenchmarkRealBoot is a boot without any work in it. What of it is the agent's
// shows by a boot of a program that does nothing but end it.
func BenchmarkRealBoot(b *testing.B) {
	f := shared(b)
	img := f.build(b, spec(b, "base", nil))
	quit := filepath.Join(b.TempDir(), "quit")
	command(b, "gcc", "-O2", "-static", "-o", quit, filepath.Join("testdata", "quit.c"))
	var agent, nothing, own time.Duration
	for b.Loop() {
		before := cpuTime(b)
		spec := f.vm(b, img, plainCPU, wire.Plan{Kind: wire.KindFault, Fault: "none", CellDeadline: 60})
		own += cpuTime(b) - before
		r := boot(b, spec)
		if r.Outcome != vm.OK {
			b.Fatal(r.Outcome, r.Detail)
		}
		agent += r.CPU
		nothing += boot(b, f.alone(b, img, quit)).CPU
	}
	against(b, agent.Seconds()/float64(b.N), "qemu-s/boot", 1.5)
	b.ReportMetric(100*(1-nothing.Seconds()/agent.Seconds()), "agent-%-of-boot")
	b.ReportMetric(100*own.Seconds()/agent.Seconds(), "initramfs-%-of-boot")
	b.ReportMetric(float64(f.initramfs.Size)/(1<<20), "initramfs-MiB")
}

// BenchmarkRealFamily is the smallest family's boot: samples a second of QEMU's
// CPU time.
func BenchmarkRealFamily(b *testing.B) {
	f := shared(b)
	img := f.build(b, spec(b, "base", nil))
	var qemu time.Duration
	samples := 0
	for b.Loop() {
		r, _ := f.count(b, img, plainCPU, "user-pipe", 4096, 65536, 1<<20)
		qemu += r.CPU
		samples += len(r.Stream.Samples)
	}
	b.ReportMetric(float64(samples)/qemu.Seconds(), "samples/qemu-s")
}

// BenchmarkRealRun is a whole run, and the lab's own share of it: reading the
// configuration, looking kernels up, initramfs, QMP, storing, reports. It is CPU
// time over the wall time of a quiet machine, which two cores make half of all
// CPU time. What a run needs once weighs most in one as short as this; each run
// prints its own share.
func BenchmarkRealRun(b *testing.B) {
	shared(b)
	var own, children time.Duration
	for b.Loop() {
		c := smoke(b)
		ownBefore, childrenBefore := cpuTime(b), cpuTimeOf(b, unix.RUSAGE_CHILDREN)
		if err := Run(b.Context(), Request{Config: c, Known: Known(), Command: "lab run", Out: io.Discard, Err: io.Discard}); err != nil {
			b.Fatal(err)
		}
		own += cpuTime(b) - ownBefore
		children += cpuTimeOf(b, unix.RUSAGE_CHILDREN) - childrenBefore
	}
	b.ReportMetric(children.Seconds()/float64(b.N), "qemu-s/run")
	against(b, 100*own.Seconds()/((own+children).Seconds()/2), "lab-%-of-wall", 2)
}

// cpuTime is this process's own, without its children's.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	return cpuTimeOf(tb, unix.RUSAGE_SELF)
}

// cpuTimeOf is that of this process, or of its children that have ended.
func cpuTimeOf(tb testing.TB, who int) time.Duration {
	tb.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(who, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
