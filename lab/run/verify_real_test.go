//go:build vm

package run

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"splicelab/images"
	"splicelab/images/kernel"
	"splicelab/lab/config"
	"splicelab/lab/exit"
	"splicelab/lab/vm"
	"splicelab/results/stats"
	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// named is a ready kernel.
func named(t *testing.T, name string) config.Kernel {
	t.Helper()
	kernels := ready(t)
	i := slices.IndexFunc(kernels, func(k config.Kernel) bool { return k.Name == name })
	if i < 0 {
		t.Fatalf("there is no kernel %s", name)
	}
	return kernels[i]
}

func ready(t *testing.T) []config.Kernel {
	t.Helper()
	kernels, err := config.Ready()
	if err != nil {
		t.Fatal(err)
	}
	return kernels
}

// verifier boots, and keeps nothing.
func (f *fixture) verifier(t *testing.T) *verifier {
	t.Helper()
	dir := t.TempDir()
	return &verifier{
		cfg: smoke(t), initrd: f.initramfs, qemu: "test", tmp: dir, expected: images.Expected,
		console: func(boot string) string { return filepath.Join(dir, boot+".log") },
		say:     func(line string) { t.Log(line) },
	}
}

func verify(t *testing.T, v *verifier, k config.Kernel, img *kernel.Image) store.Verification {
	t.Helper()
	found, err := v.verify(t.Context(), k, img)
	if err != nil {
		t.Fatal(err)
	}
	if found.Outcome != store.OK || len(found.Taints) > 0 {
		t.Fatalf("%s: %s: %s, taints %q", k.Name, found.Outcome, found.Detail, found.Taints)
	}
	return found
}

// Every kernel of every line is what it declares, on both file systems.
func TestRealVerify(t *testing.T) {
	f := shared(t)
	for _, line := range testedLines() {
		kernels := ready(t)
		if testing.Short() { // make test; make test-all builds all
			kernels = slices.DeleteFunc(kernels, func(k config.Kernel) bool {
				return !slices.Contains([]string{"base", "vmsplice-wrapper", "sendfile-deopt"}, k.Name)
			})
		}
		for _, k := range kernels {
			t.Run(line+"/"+k.Name, func(t *testing.T) {
				found := verify(t, f.verifier(t), k, f.build(t, lineSpec(t, line, k.Name, k.Series)))
				if diff := cmp.Diff([]store.Mismatch(nil), found.Mismatches()); diff != "" {
					t.Errorf("(-as declared +observed):\n%s", diff)
				}
			})
		}
	}
}

// testedLines are the kernel lines that are built and booted: the default one
// in make test, all of them in make test-all.
func testedLines() []string {
	if testing.Short() {
		return images.Lines()[:1]
	}
	return images.Lines()
}

// straight is the plainest of wrappers: SPLICE_F_NONBLOCK becomes RWF_NOWAIT,
// which fails on what isn't FMODE_NOWAIT.
var straight = kernel.Series{Name: "straight", Patches: []kernel.Text{{Name: "0001-straight.patch", Text: `--- a/fs/splice.c
+++ b/fs/splice.c
@@ -1624,9 +1624,11 @@ SYSCALL_DEFINE4(vmsplice, int, fd, const struct iovec __user *, uiov,
 	if (!iov_iter_count(&iter))
 		error = 0;
 	else if (type == ITER_SOURCE)
-		error = vmsplice_to_pipe(fd_file(f), &iter, flags);
+		error = vfs_iter_write(fd_file(f), &iter, &(loff_t){0},
+				       flags & SPLICE_F_NONBLOCK ? RWF_NOWAIT : 0);
 	else
-		error = vmsplice_to_user(fd_file(f), &iter, flags);
+		error = vfs_iter_read(fd_file(f), &iter, &(loff_t){0},
+				      flags & SPLICE_F_NONBLOCK ? RWF_NOWAIT : 0);
 
 	kfree(iov);
 out_fdput:
`}}}

// The probes can tell: kernels under a wrong name, and a wrapper that is none.
func TestRealVerifyCatches(t *testing.T) {
	f := shared(t)
	for _, tc := range []struct {
		name  string
		label string // the kernel it is said to be
		spec  kernel.Spec
		want  map[string]string // what the probes that mismatch see, at least these
		alone bool              // and no others
	}{
		{
			name: "a kernel without its series", label: "sendfile-deopt", spec: spec(t, "base", nil), alone: true,
			want: map[string]string{"T1": "new", "T1u": "new", "T2": "new", "T4": "new", "T5": "new,new", "T6": "new", "T7": "zeroes", "T8": "new", "S5": "new", "S5t": "new", "O8": "65436(),65500"},
		},
		{
			name: "two copies for one", label: "sendfile-onecopy", spec: spec(t, "sendfile-deopt", []string{"splice-copy", "socket-copy"}), alone: true,
			want: map[string]string{"T8": "old", "O8": "EMSGSIZE,65500"},
		},
		{
			name: "RWF_NOWAIT straight through", label: "vmsplice-wrapper", spec: spec(t, "straight", nil, straight),
			want: map[string]string{"P1": "blocks", "P4": "EOPNOTSUPP", "P7": "EOPNOTSUPP", "P7r": "EOPNOTSUPP"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			label := named(t, tc.label)
			found := verify(t, f.verifier(t), label, f.build(t, tc.spec))
			if found.Verdict() != store.NotDeclared {
				t.Errorf("verdict: %s", found.Verdict())
			}
			got := map[string]string{}
			for _, m := range found.Mismatches() {
				if _, named := tc.want[m.Probe]; named || tc.alone {
					got[m.Probe] = m.Observed
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("mismatches (-want +got):\n%s", diff)
			}
		})
	}
}

// careless copies whatever is spliced from, by a read_iter that not every file
// has.
var careless = kernel.Series{Name: "careless", Patches: []kernel.Text{{Name: "0001-careless.patch", Text: `--- a/fs/splice.c
+++ b/fs/splice.c
@@ -983,9 +983,7 @@ static ssize_t do_splice_read(struct file *in, loff_t *ppos,
 	 * O_DIRECT and DAX don't deal with the pagecache, so we allocate a
 	 * buffer, copy into it and splice that into the pipe.
 	 */
-	if ((in->f_flags & O_DIRECT) || IS_DAX(in->f_mapping->host))
-		return copy_splice_read(in, ppos, pipe, len, flags);
-	return in->f_op->splice_read(in, ppos, pipe, len, flags);
+	return copy_splice_read(in, ppos, pipe, len, flags);
 }
 
 /**
`}}}

// A kernel that oopses under a probe is told by that probe, and the probes
// after it are made all the same.
func TestRealVerifyOops(t *testing.T) {
	f := shared(t)
	label := named(t, "splice-copy")
	found, err := f.verifier(t).verify(t.Context(), label, f.build(t, spec(t, "careless", nil, careless)))
	if err != nil {
		t.Fatal(err)
	}
	if found.Outcome != string(vm.Oops) || !strings.HasPrefix(found.Detail, "S1, S2: BUG: kernel NULL pointer") || found.Verdict() != store.NotProven {
		t.Errorf("%s: %s: %s", found.Outcome, found.Detail, found.Verdict())
	}
	got := map[string]string{}
	for _, m := range found.Mismatches() {
		got[m.Probe] = m.Observed
	}
	want := map[string]string{"S1": wire.ProbeOopsed, "S2": wire.ProbeOopsed, "S3": "EINVAL", "S4": "4"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mismatches (-want +got):\n%s", diff)
	}
}

// Two boots see the same; the second is spared where samples may be taken from
// the cache.
func TestRealVerifyRepeats(t *testing.T) {
	f := shared(t)
	img := f.build(t, spec(t, "base", nil))
	v := f.verifier(t)
	v.samples = store.Cache{Dir: t.TempDir()}
	base := named(t, "base")
	first, second := verify(t, v, base, img), verify(t, v, base, img)
	v.cfg.SampleCache = true
	third := verify(t, v, base, img)
	if second.Cached || !third.Cached {
		t.Errorf("from the cache: second %v, third %v, want the third alone", second.Cached, third.Cached)
	}
	third.Cached = false
	for _, other := range []store.Verification{second, third} {
		if diff := cmp.Diff(first, other); diff != "" {
			t.Errorf("(-first +later):\n%s", diff)
		}
	}
}

// runTiny runs base and sendfile-deopt, whose declaration is another, and
// returns the run's folder and what was printed.
func runTiny(t *testing.T, force bool, expected Expected) (dir, out string, err error) {
	t.Helper()
	c := smoke(t)
	c.Workloads, c.Chunks, c.Reps, c.Force = []string{"user-pipe/*"}, []config.Size{4096}, 1, force
	var text strings.Builder
	err = Run(t.Context(), Request{Config: c, Known: Known(), Command: "lab run", Expected: expected, Out: &text, Err: io.Discard})
	return c.Out, text.String(), err
}

// Whatever is built, the declaration is base's.
func asBase([]string, map[string]string) (map[string]string, bool, error) {
	return images.Expected(nil, nil)
}

func TestRealRunBarsAMislabelledKernel(t *testing.T) {
	for _, tc := range []struct {
		name     string
		force    bool
		measured bool
		want     []string // in the report
	}{
		{"barred", false, false, []string{"sendfile-deopt is NOT WHAT IT DECLARES", "old, NOT new", ": not measured"}},
		{"forced", true, true, []string{"sendfile-deopt is NOT WHAT IT DECLARES", "old, NOT new", "measured all the same (--force)"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, out, err := runTiny(t, tc.force, asBase)
			if exit.StatusOf(err) != exit.Wrong || !strings.Contains(err.Error(), "sendfile-deopt is not what it declares") {
				t.Errorf("status %d: %v", exit.StatusOf(err), err)
			}
			for _, want := range tc.want {
				if !strings.Contains(out, want) {
					t.Errorf("the report lacks %q:\n%s", want, out)
				}
			}
			m, samples, err := store.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range m.Boots {
				want := store.OK
				if b.Kernel == "sendfile-deopt" && !tc.measured {
					want = store.NotDeclared
				}
				if b.Outcome != want {
					t.Errorf("boot %s: %s, want %s", b.Name, b.Outcome, want)
				}
			}
			measured := slices.ContainsFunc(samples, func(s store.Sample) bool { return s.Kernel == "sendfile-deopt" })
			if measured != tc.measured {
				t.Errorf("measured: %v, want %v", measured, tc.measured)
			}
			noted(t, dir)
		})
	}
}

// noted: every row of the forced kernel carries a note.
func noted(t *testing.T, dir string) {
	t.Helper()
	file, err := os.Open(filepath.Join(dir, "report.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	kernel, notes := slices.Index(rows[0], "kernel"), slices.Index(rows[0], "notes")
	for _, row := range rows[1:] {
		if row[kernel] == "sendfile-deopt" && row[notes] == "" {
			t.Errorf("a row without a note: %q", row)
		}
	}
}

// forgetful builds kernels without one of their series, and says nothing of it.
type forgetful struct {
	Builder
	series string
}

func (f forgetful) Build(ctx context.Context, label kernel.Spec) (*kernel.Image, error) {
	built := label
	built.Series = slices.DeleteFunc(slices.Clone(label.Series), func(s kernel.Series) bool { return s.Name == f.series })
	img, err := f.Builder.Build(ctx, built)
	if img != nil {
		img.Spec = label
	}
	return img, err
}

// A kernel labelled sendfile-onecopy that hasn't got its series is caught by T8,
// and by the copy account where the probes see what they expect.
func TestRealRunCatchesAForgottenSeries(t *testing.T) {
	const label = "sendfile-onecopy"
	asDeopt := func(series []string, own map[string]string) (map[string]string, bool, error) {
		return images.Expected(slices.DeleteFunc(slices.Clone(series), func(s string) bool { return s == label }), own)
	}
	for _, tc := range []struct {
		name     string
		expected Expected
		account  bool
		want     string // in the error
	}{
		{"by T8", images.Expected, false, label + " is not what it declares (T8 is old, declared new; O8 is "},
		{"by its account", asDeopt, true, "by the account of copies: " + label},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := smoke(t)
			c.Kernels = slices.DeleteFunc(ready(t), func(k config.Kernel) bool { return k.Name != c.Baseline && k.Name != label })
			c.Workloads, c.Reps, c.Account = []string{"file-tcp/*"}, 1, tc.account
			var out strings.Builder
			err := Run(t.Context(), Request{
				Config: c, Known: Known(), Command: "lab run", Out: &out, Err: io.Discard,
				Expected: tc.expected, Builder: forgetful{shared(t).builder, label},
			})
			if exit.StatusOf(err) != exit.Wrong || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("status %d: %v\n%s", exit.StatusOf(err), err, out.String())
			}
			m, samples, err := store.Load(c.Out)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range stats.Count(m, samples).Accounts {
				if wrong := a.Kernel == label && a.Workload == "file-tcp/sendfile"; a.Contradicts != wrong {
					t.Errorf("%s %s on %s: %.2f copies, contradicts %v, want %v", a.Workload, a.Sink, a.Kernel, a.Copies, a.Contradicts, wrong)
				}
			}
		})
	}
}

// A kernel that declares nothing is described.
func TestRealRunDescribesAnUndeclaredKernel(t *testing.T) {
	_, out, err := runTiny(t, false, func(series []string, _ map[string]string) (map[string]string, bool, error) {
		if len(series) > 0 {
			return nil, false, nil
		}
		return images.Expected(nil, nil)
	})
	if err != nil {
		t.Error(err)
	}
	if want := "sendfile-deopt declares nothing; it differs from base in T1, T1u, T2, T4, T5, T6, T7, T8, S5, S5t, O8."; !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
		t.Errorf("the report lacks %q:\n%s", want, out)
	}
}

// A declaration that can't be read ends a run.
func TestRealRunWithoutDeclarations(t *testing.T) {
	broken := errors.New("torn")
	if _, _, err := runTiny(t, false, func([]string, map[string]string) (map[string]string, bool, error) { return nil, false, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// The command prints what the probes saw and what was counted, and fails for a
// kernel that declares something else.
func TestRealVerifyCommand(t *testing.T) {
	c := smoke(t)
	c.Account, c.Workloads = true, []string{"user-pipe/*"}
	c.Kernels = []config.Kernel{named(t, "base"), named(t, "sendfile-deopt")}
	c.Kernels[1].Expect = []string{"T1=new"}
	var out strings.Builder
	err := Verify(t.Context(), c, Known(), &out, io.Discard, false)
	if exit.StatusOf(err) != exit.Wrong || !strings.Contains(err.Error(), "kernel sendfile-deopt is not what it declares: T1 is old, declared new") {
		t.Errorf("status %d: %v", exit.StatusOf(err), err)
	}
	for _, want := range []string{"old, NOT new", "user-pipe/vmsplice", "all of it is what the kernels declare"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it doesn't print %q:\n%s", want, out.String())
		}
	}
}
