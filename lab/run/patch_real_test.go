//go:build vm

package run

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"splicelab/images/kernel"
	"splicelab/lab/config"
	"splicelab/lab/exit"
	"splicelab/results/store"
)

// counterPatch adds a counter to fs/splice.c, as a mail client saves it.
const counterPatch = `From - Mon Jun 01 12:00:00 2026
From: Ann Author <ann@example.com>
Date: Mon, 1 Jun 2026 12:00:00 +0200
Subject: [PATCH v2] splice: count the calls
Message-ID: <1@example.com>

---
diff --git a/fs/splice.c b/fs/splice.c
--- a/fs/splice.c
+++ b/fs/splice.c
@@ -799,6 +799,8 @@ ssize_t iter_file_splice_write(struct pipe_inode_info *pipe, struct file *out,
  *    is involved.
  *
  */
+unsigned long splice_to_socket_calls;
+
 ssize_t splice_to_socket(struct pipe_inode_info *pipe, struct file *out,
 			 loff_t *ppos, size_t len, unsigned int flags)
 {
@@ -809,6 +811,7 @@ ssize_t splice_to_socket(struct pipe_inode_info *pipe, struct file *out,
 	size_t spliced = 0;
 	bool need_wakeup = false;
 
+	splice_to_socket_calls++;
 	pipe_lock(pipe);
 
 	while (len > 0) {
`

// commentPatch changes a comment, and moves no line.
const commentPatch = `--- a/fs/splice.c
+++ b/fs/splice.c
@@ -796,5 +796,5 @@
  *
  * Description:
- *    Will send @len bytes from the pipe to a network socket. No data copying
+ *    Sends @len bytes from the pipe to a network socket. No data copying
  *    is involved.
  *
`

// patched is the configuration of lab run --patch, for a file of that text.
func patched(t *testing.T, name, text string) config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Options{File: "configs/patch.yaml", Known: Known()})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = c.WithPatches(config.Patches{Paths: []string{path}}); err != nil {
		t.Fatal(err)
	}
	c.Workloads = []string{"user-pipe/*"}
	c.Out = filepath.Join(t.TempDir(), "run")
	return c
}

func runIt(t *testing.T, req Request) (report string, m store.Manifest, err error) {
	t.Helper()
	var out strings.Builder
	req.Known, req.Command, req.Out, req.Err = Known(), "lab run", &out, io.Discard
	err = Run(t.Context(), req)
	dir := req.Resume
	if dir == "" {
		dir = req.Config.Out
	}
	if _, statErr := os.Stat(dir); statErr == nil {
		if m, _, err := store.Load(dir); err == nil {
			return out.String(), m, nil
		}
	}
	return out.String(), m, err
}

// From a mail to the table; then the run goes on, when it was cut off, without
// the mail.
func TestRealPatch(t *testing.T) {
	c := patched(t, "counter.eml", counterPatch)
	text, m, err := runIt(t, Request{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	folded := strings.Join(strings.Fields(text), " ")
	for _, want := range []string{"base against counter", `v2 of "splice: count the calls", 1 patch, from `, "user-pipe/vmsplice"} {
		if !strings.Contains(folded, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "CHANGES NOTHING") || strings.Contains(strings.Join(m.Notes, "\n"), "change nothing") {
		t.Errorf("a counter is said to change nothing:\n%s", text)
	}
	if k := m.Kernels[1]; k.Spec.Name != "counter" || k.Signature == m.Kernels[0].Signature {
		t.Errorf("kernel %s, signature of the base %v", k.Spec.Name, k.Signature == m.Kernels[0].Signature)
	}

	// As it is when the patched kernel wasn't built yet.
	dir := filepath.Join(t.TempDir(), "cut-off")
	m.Kernels, m.Finished, m.Settings = m.Kernels[:1], time.Time{}, nil
	for i := range m.Boots {
		b := m.Boots[i]
		m.Boots[i] = store.Boot{Name: b.Name, Kernel: b.Kernel, Family: b.Family, Condition: b.Condition, Mode: b.Mode, Seed: b.Seed}
	}
	again, err := store.Create(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	k, _ := c.Kernel("counter")
	if err := os.Remove(k.Patches[0]); err != nil {
		t.Fatal(err)
	}
	resumed, m, err := runIt(t, Request{Resume: dir})
	if err != nil || m.Finished.IsZero() || !strings.Contains(resumed, "base against counter") {
		t.Errorf("resumed without its patch: %v\n%s", err, resumed)
	}
}

func TestRealPatchThatChangesNothing(t *testing.T) {
	text, m, err := runIt(t, Request{Config: patched(t, "comment.diff", commentPatch)})
	if err != nil {
		t.Fatal(err)
	}
	const want = "kernel comment is base: its patches change no byte of code or data"
	if !strings.Contains(strings.Join(m.Notes, "\n"), want) || !strings.Contains(text, want) || !strings.Contains(text, "CHANGES NOTHING") {
		t.Errorf("notes %q, report:\n%s", m.Notes, text)
	}
	// A line more moves the line numbers of the warnings below it.
	longer := strings.NewReplacer("+796,5", "+796,6", "+ *    Sends", "+ *\n+ *    Sends").Replace(commentPatch)
	f := shared(t)
	base := f.build(t, spec(t, "base", nil))
	img := f.build(t, spec(t, "longer", nil, kernel.Series{Name: "longer", Patches: []kernel.Text{{Name: "1.diff", Text: longer}}}))
	if note, err := unchanged(base, img); err != nil || !strings.Contains(note, "nothing but line numbers of warnings") {
		t.Errorf("a comment that is a line longer: %q, %v", note, err)
	}
}

// A patch that doesn't apply ends a run before it has a folder, with the hunk;
// one that doesn't compile ends it with the compiler's words. The base is none
// the worse.
func TestRealPatchThatIsNoGood(t *testing.T) {
	f := shared(t)
	base := f.build(t, spec(t, "base", nil))
	stale := patched(t, "stale.eml", strings.ReplaceAll(counterPatch, "bool need_wakeup", "int need_wakeup"))
	_, _, err := runIt(t, Request{Config: stale})
	var bad *kernel.PatchError
	if !errors.As(err, &bad) || exit.StatusOf(err) != exit.Usage || bad.File != "fs/splice.c" || bad.Hunk != 2 {
		t.Errorf("a stale patch: %v", err)
	}
	if text := exit.Text(err); !strings.Contains(text, "\n+\tsplice_to_socket_calls++;\n") {
		t.Errorf("its reject isn't shown:\n%s", text)
	}
	if _, err := os.Stat(stale.Out); err == nil {
		t.Error("a run's folder is left behind")
	}

	broken := patched(t, "broken.eml", strings.Replace(counterPatch, "splice_to_socket_calls++", "splice_to_socket_callz++", 1))
	err = Run(context.Background(), Request{Config: broken, Known: Known(), Command: "lab run", Out: io.Discard, Err: io.Discard})
	var compile *kernel.CompileError
	if !errors.As(err, &compile) || exit.StatusOf(err) != exit.Wrong || !strings.Contains(err.Error(), "splice_to_socket_callz") || !strings.Contains(err.Error(), compile.Log) {
		t.Errorf("a patch that doesn't compile: %v", err)
	}
	if again := f.build(t, spec(t, "base", nil)); again.BzImageSHA256 != base.BzImageSHA256 {
		t.Error("base is another one after bad patches")
	}
}
