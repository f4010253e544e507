package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"splicelab/workloads/copypath"
	"splicelab/workloads/wire"
)

// A family whose worker gave up has a failed sample for each cell that it still
// owed, and only for these.
func TestLostSamples(t *testing.T) {
	f, err := copypath.Lookup("file-udp")
	if err != nil {
		t.Fatal(err)
	}
	have := []wire.Sample{{Path: f.Path(f.Methods[0]), Sink: f.Sinks[0], Chunk: 4096}}
	got := map[string]int{}
	for _, s := range lost(f, []int64{4096, 1 << 20}, have, &wire.Fault{Outcome: "hang", Detail: "why"}) {
		if s.Error != "hang: why" || s.Chunk != 4096 || !slices.Contains(f.Sinks, s.Sink) {
			t.Errorf("%+v", s)
		}
		got[s.Path]++
	}
	want := map[string]int{}
	for _, m := range f.Methods {
		want[f.Path(m)] = len(f.Sinks)
	}
	if want[have[0].Path]--; want[have[0].Path] == 0 {
		delete(want, have[0].Path)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("samples by path (-want +got):\n%s", diff)
	}
}

func TestCellsAreAFamilyWholeInTheSeedsOrder(t *testing.T) {
	f, err := copypath.Lookup("file-tcp")
	if err != nil {
		t.Fatal(err)
	}
	order := func(seed uint64) []string {
		var names []string
		for _, c := range cells(f, wire.Plan{Seed: seed, Chunks: []int64{4096, 65536}}) {
			names = append(names, fmt.Sprint(c.method.Name, c.chunk))
		}
		return names
	}
	one, again, two := order(1), order(1), order(2)
	if diff := cmp.Diff(one, again); diff != "" {
		t.Errorf("one seed, two orders (-first +second):\n%s", diff)
	}
	if slices.Equal(one, two) {
		t.Errorf("seeds 1 and 2 give the same order %v", one)
	}
	slices.Sort(one)
	slices.Sort(two)
	if diff := cmp.Diff(one, two); diff != "" || len(slices.Compact(one)) != 2*len(f.Methods) {
		t.Errorf("seeds 1 and 2 run different cells (-1 +2):\n%s", diff)
	}
}

// A family's cells and what is left out of it are all that the plan asks for.
func TestChunksThatAFamilyDoesNotTakeAreLeftOut(t *testing.T) {
	f, err := copypath.Lookup("file-udp")
	if err != nil {
		t.Fatal(err)
	}
	plan := wire.Plan{Seed: 1, Chunks: []int64{4096, 65536, 1 << 20}}
	for _, c := range cells(f, plan) {
		if c.chunk != 4096 {
			t.Errorf("%s runs at %d", c.method.Name, c.chunk)
		}
	}
	out := leftOut(f, plan)
	if got, want := len(out), 2*len(f.Methods); got != want {
		t.Errorf("%d left out, want %d", got, want)
	}
	for _, s := range out {
		if s.Chunk == 4096 || s.Error != wire.LeftOut+f.NotTaken || s.Sink != wire.SinkRead {
			t.Errorf("left out: %+v", s)
		}
	}
}

func TestCPUFlags(t *testing.T) {
	got := cpuFlags("processor\t: 0\nflags\t\t: fpu erms aes\nbugs\t\t: flags\n\nprocessor\t: 1\nflags\t\t: other\n")
	if diff := cmp.Diff([]string{"aes", "erms", "fpu"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRunTime(t *testing.T) {
	if got, err := runTime([]byte("123456 78 9\n")); err != nil || got != 123456 {
		t.Errorf("got %d, %v", got, err)
	}
	// Without SCHED_INFO the file says "0 0 0"; a file of another form is an
	// error, not zero.
	if _, err := runTime([]byte("\n")); err == nil {
		t.Error("an empty schedstat passed")
	}
}

// The meter sees the work of other tasks, born in the region or before, and
// doesn't take sleep for work.
func TestMeterSeesTheWorkOfOthers(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var m meter
	if err := m.start(); err != nil {
		t.Fatal(err)
	}
	// A process that certainly ran, on any clock.
	spin := exec.Command("sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; kill -STOP $$")
	if err := spin.Start(); err != nil {
		t.Fatal(err)
	}
	defer spin.Wait()
	defer spin.Process.Kill()
	for !stopped(t, spin.Process.Pid) {
		time.Sleep(time.Millisecond)
	}
	ran := int64(-1)
	r, err := m.stop()
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range m.tasks {
		if task.id == spin.Process.Pid {
			if ran, err = m.read(task); err != nil {
				t.Fatal(err)
			}
		}
	}
	if ran <= 0 || r.insns < ran {
		t.Errorf("the region has %d ns of CPU time, the process born in it %d", r.insns, ran)
	}
	if r.clock <= 0 {
		t.Errorf("the clock went by %d", r.clock)
	}
}

// stopped reports whether a process is in state T (proc_pid_status).
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(text, []byte(") T "))
}

func TestCollect(t *testing.T) {
	batch := `[{"path":"a/b","schedule":"stream","chunk":1,"rep":0,"bytes":2}]` + "\n"
	for _, tc := range []struct {
		name, text string
		want       int
		wantErr    bool
	}{
		{"nothing", "", 0, false},
		{"two batches", batch + batch, 2, false},
		{"a torn batch", batch + batch[:20], 1, true},
		{"no batch", "hello\n", 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if _, err := w.WriteString(tc.text); err != nil {
				t.Fatal(err)
			}
			w.Close()
			got, err := collect(r, time.Hour)
			if len(got) != tc.want || (err != nil) != tc.wantErr {
				t.Errorf("got %d samples, %v", len(got), err)
			}
		})
	}
}

func TestCollectEndsASilentWorker(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close() // open all the while: the worker lives
	if _, err := collect(r, time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
}

// What the spoiler does must be what the parser finds.
func TestSpoilerDamagesTheStream(t *testing.T) {
	for fault, want := range map[string]error{
		faultNone:       nil,
		faultTruncate:   wire.ErrTruncated,
		faultLostLine:   wire.ErrCorrupt,
		faultSpoiltLine: wire.ErrCorrupt,
	} {
		var port bytes.Buffer
		out := wire.NewWriter(&spoiler{port: &port, fault: fault})
		if err := out.Write(wire.Line{Hello: &wire.Hello{Version: wire.Version}}); err != nil {
			t.Fatal(err)
		}
		for _, s := range faultSamples() {
			if err := out.Write(wire.Line{Sample: &s}); err != nil {
				t.Fatal(err)
			}
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := wire.Parse(&port); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", fault, err, want)
		}
	}
}

func TestSummaryOfWaits(t *testing.T) {
	upTo := func(n int64) (all []int64) {
		for i := n; i > 0; i-- {
			all = append(all, i)
		}
		return all
	}
	for n, want := range map[int64]waits{1: {1, 1, 1}, 2: {1, 2, 2}, 3: {2, 3, 3}, 100: {50, 99, 100}, 101: {51, 100, 101}, 1000: {500, 990, 1000}} {
		if got := summary(upTo(n)); got != want {
			t.Errorf("of 1 to %d: got %+v, want %+v", n, got, want)
		}
	}
}

var kept []byte

func TestQuietSeesTheRuntimeAtWork(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	own := errors.New("own")
	for _, tc := range []struct {
		name string
		run  func() error
		want error
	}{
		{"nothing", func() error { return nil }, nil},
		{"an allocation", func() error { kept = make([]byte, 16); return nil }, errRuntime},
		{"a large one", func() error { kept = make([]byte, 1<<20); return nil }, errRuntime},
		{"a collection", func() error { runtime.GC(); return nil }, errRuntime},
		{"a failure", func() error { return own }, own},
	} {
		if err := quiet(tc.run); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
	}
	if err := uncollected(); !errors.Is(err, errRuntime) {
		t.Errorf("after a collection: %v", err)
	}
}
