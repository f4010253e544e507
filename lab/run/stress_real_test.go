//go:build vm

package run

import (
	"os"
	"slices"
	"strings"
	"testing"

	"splicelab/images"
	"splicelab/images/kernel"
	"splicelab/lab/vm"
	"splicelab/workloads/wire"
)

// stress boots a kernel on two CPUs and leaves a file on XFS no rest.
func (f *fixture) stress(t *testing.T, s kernel.Spec, seconds int) vm.Result {
	t.Helper()
	b := f.vm(t, f.build(t, s), plainCPU, wire.Plan{Kind: wire.KindStress, Seed: 1, Stress: seconds, CellDeadline: 60})
	// Two CPUs are none that count: one would never wait for the other.
	b.Machine.Count, b.Machine.CPUs, b.Machine.MemoryMiB, b.Machine.Cmdline = false, 2, 512, vm.Cmdline(false)
	r := boot(t, b)
	// Without icount the clock is the host's, which may be too busy for it.
	r.Taints = slices.DeleteFunc(r.Taints, func(line string) bool {
		return strings.HasPrefix(line, "tsc: ") || strings.HasPrefix(line, "clocksource: ")
	})
	if text, err := os.ReadFile(b.Console); err != nil || !strings.Contains(string(text), "Brought up 1 node, 2 CPUs") {
		t.Errorf("it hasn't got two CPUs (%v)", err)
	}
	return r
}

// withLockdep is a kernel that checks its own locking.
func withLockdep(t *testing.T, name string, series []string, more ...kernel.Series) kernel.Spec {
	t.Helper()
	s := spec(t, name, series, more...)
	fragments, err := images.Fragments(s.Line, "lockdep")
	if err != nil {
		t.Fatal(err)
	}
	s.Profile, s.Fragments = "lockdep", fragments
	return s
}

// Splice and sendfile beside ftruncate, pwrite and hole punching on XFS: no
// report, neither of lockdep's nor of another. make test has no kernel with
// lockdep, which takes a full build: it only sees that the stress runs.
func TestRealStress(t *testing.T) {
	f := shared(t)
	kernels := []kernel.Spec{spec(t, "base", nil)}
	seconds := 3
	if !testing.Short() {
		seconds = 20
		for _, k := range ready(t) {
			// Those whose splice or sendfile is another.
			if k.Name == "base" || slices.Contains(k.Series, "splice-copy") {
				kernels = append(kernels, withLockdep(t, k.Name, k.Series))
			}
		}
	}
	for _, k := range kernels {
		t.Run(k.Name+", "+k.Profile, func(t *testing.T) {
			r := f.stress(t, k, seconds)
			if r.Outcome != vm.OK || len(r.Taints) > 0 {
				t.Fatalf("%s: %s, taints %q\n%s", r.Outcome, r.Detail, r.Taints, r.Tail)
			}
			if len(r.Stream.Observations) != 1 || r.Stream.Observations[0].Value != "ok" {
				t.Errorf("observed %+v", r.Stream.Observations)
			}
		})
	}
}

// twice copies where a file system may hold locks that its read_iter takes
// again, as XFS does with its IOLOCK (facts.md, section 2).
var twice = kernel.Series{Name: "twice", Patches: []kernel.Text{{Name: "0001-twice.patch", Text: `--- a/mm/filemap.c
+++ b/mm/filemap.c
@@ -2902,6 +2902,9 @@ ssize_t filemap_splice_read(struct file *in, loff_t *ppos,
 	bool writably_mapped;
 	int i, error = 0;
 
+	if (in->f_op->read_iter)
+		return copy_splice_read(in, ppos, pipe, len, flags);
+
 	if (unlikely(*ppos >= in->f_mapping->host->i_sb->s_maxbytes))
 		return 0;
 
`}}}

// The stress can tell: a kernel that takes XFS's lock twice is reported. It may
// hang as well.
func TestRealStressCatches(t *testing.T) {
	if testing.Short() {
		t.Log("left to make test-all: it takes a kernel with lockdep")
		return
	}
	r := shared(t).stress(t, withLockdep(t, "twice", nil, twice), 20)
	const want = "WARNING: possible recursive locking detected"
	if !slices.ContainsFunc(r.Taints, func(line string) bool { return strings.HasPrefix(line, want) }) {
		t.Errorf("%s: %s, taints %q, want %s\n%s", r.Outcome, r.Detail, r.Taints, want, r.Tail)
	}
}
