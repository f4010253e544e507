//go:build vm

package run

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"splicelab/images"
	"splicelab/lab/config"
	"splicelab/lab/vm"
	"splicelab/workloads/copypath"
	"splicelab/workloads/wire"
)

// Every path runs on every kernel and copies what the kernel declares.
func TestRealCopiesOfEveryPath(t *testing.T) {
	for _, line := range testedLines() {
		t.Run(line, func(t *testing.T) { everyPath(t, line) })
	}
}

func everyPath(t *testing.T, line string) {
	f := shared(t)
	kernels, families := ready(t), copypath.Families()
	if testing.Short() { // make test; make test-all runs all of them on all kernels
		// Those that the unit tests leave to a VM.
		families = slices.DeleteFunc(families, func(f copypath.Family) bool {
			return !slices.Contains([]string{"file-alg", "huge-pipe", "huge-tcp", "ext4-cold-tcp", "xfs-cold-tcp", "file-ktls", "file-veth", "file-veth-nosg", "file-udp-dummy", "user-alg", "ext4-ext4", "xfs-xfs"}, f.Name)
		})
		kernels = []config.Kernel{named(t, "base")}
	}
	for _, k := range kernels {
		declared, err := images.ExpectedCopies(k.Series)
		if err != nil {
			t.Fatal(err)
		}
		img := f.build(t, lineSpec(t, line, k.Name, k.Series))
		t.Run(k.Name, func(t *testing.T) {
			p, want := wire.Plan{Kind: wire.KindAccount, Line: line, Seed: 1, CellDeadline: 60}, 0
			for _, family := range families {
				p.Families = append(p.Families, wire.FamilyPlan{Family: family.Name, Chunks: []int64{largest(family)}})
				want += len(family.Methods) * len(family.Sinks)
			}
			r := boot(t, f.vm(t, img, plainCPU, p))
			if r.Outcome != vm.OK {
				t.Fatalf("%s: %s\n%s", r.Outcome, r.Detail, r.Tail)
			}
			if got := len(r.Stream.Samples); got != want {
				t.Errorf("%d samples, want %d", got, want)
			}
			for _, s := range r.Stream.Samples {
				asDeclared(t, s, declared)
			}
		})
	}
}

// largest is 64 KiB, or the largest chunk that a family takes.
func largest(f copypath.Family) int64 {
	if f.Takes(64 << 10) {
		return 64 << 10
	}
	return f.MaxChunk
}

// asDeclared holds one account against what its kernel declares of its path.
func asDeclared(t *testing.T, s wire.Sample, declared map[string]images.Copies) {
	t.Helper()
	want, ok := declared[s.Path]
	if !ok {
		t.Errorf("%s: nothing is declared of it in images/patches/expect.yaml", s.Path)
		return
	}
	if want.Refused || s.Error != "" {
		if refused := strings.HasSuffix(s.Error, ": invalid argument"); refused != want.Refused {
			t.Errorf("%s: %q, refused is %v", s.Path, s.Error, want.Refused)
		}
		return
	}
	copies := float64(s.Metrics[wire.MetricCopied]-s.Metrics[wire.MetricHeaderCopied]) / float64(s.Bytes)
	if s.Sink == wire.SinkDiscard {
		want.PerByte--
	}
	if math.Abs(copies-want.PerByte) > 0.005*max(1, want.PerByte) || (s.Metrics[wire.MetricReferences] > 0) != want.ByReference {
		t.Errorf("%s %s: %.4f copies a byte and %d references, declared %v, %v", s.Path, s.Sink, copies, s.Metrics[wire.MetricReferences], want.PerByte, want.ByReference)
	}
}

// Two boots of one trial give the same digits, where worker threads of the
// kernel do the copying, and where the page cache is emptied and filled again,
// too.
func TestRealOthersAreDeterministic(t *testing.T) {
	for _, family := range []string{"file-uring-tcp", "xfs-cold-tcp"} {
		t.Run(family, func(t *testing.T) { bootTwice(t, family) })
	}
}

func bootTwice(t *testing.T, family string) {
	f := shared(t)
	img := f.build(t, spec(t, "base", nil))
	plan := wire.Plan{
		Kind: wire.KindCount, Family: family, Seed: 1, Chunks: []int64{65536}, Reps: 1, CellDeadline: 60,
		Schedules: []string{wire.ScheduleLockstep},
	}
	var metrics [2][]wire.Sample
	for i := range metrics {
		r := boot(t, f.vm(t, img, plainCPU, plan))
		if r.Outcome != vm.OK {
			t.Fatalf("%s: %s\n%s", r.Outcome, r.Detail, r.Tail)
		}
		metrics[i] = r.Stream.Samples
	}
	if diff := cmp.Diff(metrics[0], metrics[1]); diff != "" {
		t.Errorf("(-first boot +second):\n%s", diff)
	}
	for _, s := range metrics[0] {
		// The worker thread's part is in the sum: what ran beside the region's own
		// thread is no idling.
		if idle := s.Metrics[wire.MetricIdle]; s.Error != "" || idle*1000 > s.Metrics[wire.MetricInsns] {
			t.Errorf("%s: idle %d of %d, error %q", s.Path, idle, s.Metrics[wire.MetricInsns], s.Error)
		}
	}
}
