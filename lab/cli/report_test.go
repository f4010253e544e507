package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"splicelab/images/kernel"
	"splicelab/lab/cli"
	"splicelab/results/store"
)

// stored writes a run with one boot done of two.
func stored(t *testing.T, dir string) {
	t.Helper()
	m := store.Manifest{
		Name: "tiny", Started: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC), Mode: "count", Baseline: "base",
		Kernels:    []kernel.Image{{Spec: kernel.Spec{Name: "base"}}},
		Conditions: []store.Condition{{Name: "qemu64", CPUModel: "qemu64"}},
		Workloads:  []string{"*/*"}, Chunks: []int64{65536}, Reps: 1,
		Boots: []store.Boot{
			{Name: "one", Kernel: "base", Family: "file-tcp", Condition: "qemu64", Seed: 1},
			{Name: "two", Kernel: "base", Family: "file-tcp", Condition: "qemu64", Seed: 2},
		},
	}
	run, err := store.Create(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	done := m.Boots[0]
	done.Outcome = store.OK
	if err := run.Commit(done, []store.Sample{{
		Kernel: "base", Workload: "file-tcp/sendfile", Schedule: "lockstep", Sink: "read", CPUModel: "qemu64",
		Profile: "minimal", Chunk: 65536, Bytes: 1 << 24, Mode: "count", Boot: "one", Seed: 1,
		Metrics: map[string]int64{"insns": 11072962}, Outcome: store.OK,
	}}); err != nil {
		t.Fatal(err)
	}
	if err := run.Close(); err != nil {
		t.Fatal(err)
	}
}

func runLab(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, err bytes.Buffer
	status = cli.Main(context.Background(), recorder(), args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &err})
	return out.String(), err.String(), status
}

// TestReport: each format, and two at once, from the stored data alone.
func TestReport(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	stored(t, dir)
	var both string
	for _, format := range []string{"csv", "term"} {
		out, errs, status := runLab(t, "report", dir, "--format", format)
		if status != 0 || errs != "" || !strings.Contains(out, "sendfile") || !strings.Contains(out, "base") {
			t.Errorf("%s: status %d, stderr %q, stdout\n%s", format, status, errs, out)
		}
		both += out
	}
	out, _, _ := runLab(t, "report", dir, "--format", "csv,term")
	if diff := cmp.Diff(both, out); diff != "" {
		t.Errorf("both formats at once (-one by one +at once):\n%s", diff)
	}
}

func TestReportOfADamagedRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	stored(t, dir)
	if err := os.WriteFile(filepath.Join(dir, store.ManifestName), []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	out, errs, status := runLab(t, "report", dir)
	if status != 1 || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, store.ManifestName) {
		t.Errorf("status %d, stdout %q, stderr %q, want 1 and one line that names the file", status, out, errs)
	}
}

// TestListRuns: how much of each run is there, and how to go on.
func TestListRuns(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	dir := filepath.Join("results", "runs", "2026-tiny")
	stored(t, dir)
	if err := store.LinkLatest(dir); err != nil {
		t.Fatal(err)
	}
	out, errs, status := runLab(t, "list")
	_, runs, _ := strings.Cut(out, "\nRuns\n")
	want := "  results/runs/2026-tiny  1 of 2 boots: go on with lab run --resume results/runs/2026-tiny\n"
	if diff := cmp.Diff(want, runs); diff != "" || status != 0 || errs != "" {
		t.Errorf("status %d, stderr %q, runs (-want +got):\n%s", status, errs, diff)
	}
	if out, errs, _ := runLab(t, "report", "latest", "--format", "csv"); !strings.Contains(out, "sendfile") {
		t.Errorf("a run is not found by its name: %q", errs)
	}
}
