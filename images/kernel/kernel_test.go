package kernel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// makeTree writes testdata/tree.txtar below dir and returns dir.
func makeTree(t *testing.T, dir string) string {
	t.Helper()
	a, err := txtar.ParseFile("testdata/tree.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Files {
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(f.Name, ".sh") {
			mode = 0o755
		}
		name := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// makeTarball packs the small tree, as Debian packs its own, and returns the
// source that names it.
func makeTarball(t *testing.T) SourceSpec {
	t.Helper()
	dir := t.TempDir()
	makeTree(t, filepath.Join(dir, "linux-source-6.12"))
	ball := filepath.Join(dir, "linux-source-6.12.tar.xz")
	old := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	cmd := exec.Command("tar", "-cJf", ball, "--mtime="+old.Format(time.RFC3339), "-C", dir, "linux-source-6.12")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	sum, err := hashFile(ball)
	if err != nil {
		t.Fatal(err)
	}
	return SourceSpec{Kind: SourceTarball, Path: ball, SHA256: sum}
}

// events collects what a Builder says.
type events []Event

func (e *events) add(x Event) { *e = append(*e, x) }

// notes are the lines to be said aloud.
func (e events) notes() []string {
	var lines []string
	for _, x := range e {
		if x.Step == StepNote {
			lines = append(lines, x.Detail)
		}
	}
	return lines
}

func series(name string, patches ...string) Series {
	s := Series{Name: name}
	for i, p := range patches {
		s.Patches = append(s.Patches, Text{Name: fmt.Sprintf("%04d-%s.patch", i+1, name), Text: p})
	}
	return s
}

// snapshot is what a folder holds: kind, mode and content of each file, by
// name.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		if d.IsDir() {
			all[rel] = "folder"
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(name)
		sum := sha256.Sum256(data)
		all[rel] = fmt.Sprintf("%v %s", info.Mode(), hex.EncodeToString(sum[:8]))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// openTest opens the tree of spec in a new cache.
func openTest(t *testing.T) (*Builder, Source, *tree) {
	t.Helper()
	b := NewBuilder(t.TempDir(), nil)
	src, err := b.Resolve(context.Background(), makeTarball(t))
	if err != nil {
		t.Fatal(err)
	}
	return b, src, reopen(t, b, src)
}

func reopen(t *testing.T, b *Builder, src Source) *tree {
	t.Helper()
	tr, err := b.openTree(context.Background(), "test", src)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.close)
	return tr
}

const socketCopy = `From: splicelab <splicelab@localhost>
Subject: [PATCH] splice: copy into the socket

--- a/tools/old.c is named in the message, and is no header.
---
 fs/splice.c | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

diff --git a/fs/splice.c b/fs/splice.c
index 1111111..2222222 100644
--- a/fs/splice.c
+++ b/fs/splice.c
@@ -3,7 +3,7 @@ int splice_flags;
 
 int splice_to_socket(int n)
 {
-	int flags = 1;
+	int flags = 0;
 
 	splice_flags = flags;
 	return n + flags;
-- 
2.39.5
`

const wrapper = `diff --git a/fs/splice.c b/fs/splice.c
--- a/fs/splice.c
+++ b/fs/splice.c
@@ -11,5 +11,5 @@ int splice_to_socket(int n)
 
 int vmsplice(int n)
 {
-	return n;
+	return n + 1;
 }
`

const everyKind = `diff --git a/fs/sendfile.c b/fs/sendfile.c
new file mode 100644
--- /dev/null
+++ b/fs/sendfile.c
@@ -0,0 +1,4 @@
+int sendfile_plain(int n)
+{
+	return n;
+}
diff --git a/fs/copy/deep/notes.txt b/fs/copy/deep/notes.txt
new file mode 100644
--- /dev/null
+++ b/fs/copy/deep/notes.txt
@@ -0,0 +1 @@
+in folders of its own
diff --git a/fs/read_write.c b/fs/read_write.c
deleted file mode 100644
--- a/fs/read_write.c
+++ /dev/null
@@ -1,4 +0,0 @@
-int do_sendfile(int n)
-{
-	return n;
-}
diff --git a/net/socket.c b/net/sock.c
similarity index 60%
rename from net/socket.c
rename to net/sock.c
--- a/net/socket.c
+++ b/net/sock.c
@@ -1,4 +1,4 @@
 int sock_sendmsg(int n)
 {
-	return n;
+	return n - 1;
 }
diff --git a/scripts/run.sh b/scripts/run.sh
old mode 100755
new mode 100644
`
