package kernel

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePatch(t *testing.T) {
	tests := map[string]struct {
		in    string
		names []string
		hunks []hunk
		err   string
	}{
		"with a message that looks like a diff": {
			in: socketCopy, names: []string{"fs/splice.c"}, hunks: []hunk{{"fs/splice.c", 3}},
		},
		"every kind": {
			in: everyKind,
			names: []string{"fs/copy/deep/notes.txt", "fs/read_write.c", "fs/sendfile.c", "net/sock.c",
				"net/socket.c", "scripts/run.sh"},
			hunks: []hunk{{"fs/sendfile.c", 0}, {"fs/copy/deep/notes.txt", 0}, {"fs/read_write.c", 1}, {"net/socket.c", 1}},
		},
		"removed and added lines that look like headers": {
			in:    "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- a/not\n+++ b/not\n @@ -7 +7 @@\n",
			names: []string{"x"}, hunks: []hunk{{"x", 1}},
		},
		"two files, plain, with time stamps": {
			in:    "--- a/x\t2026-01-01 00:00:00\n+++ b/x\t2026-01-01 00:00:01\n@@ -3 +3 @@\n-a\n+b\n--- a/y\n+++ b/y\n@@ -9,0 +10 @@\n+b\n",
			names: []string{"x", "y"}, hunks: []hunk{{"x", 3}, {"y", 9}},
		},
		"quoted names": {
			in:    "diff --git \"a/t\\303\\244.c\" \"b/t\\303\\244.c\"\n--- \"a/t\\303\\244.c\"\n+++ \"b/t\\303\\244.c\"\n@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file\n",
			names: []string{"tä.c"}, hunks: []hunk{{"tä.c", 1}},
		},
		"pure rename": {
			in:    "diff --git a/x y.c b/z.c\nsimilarity index 100%\nrename from x y.c\nrename to z.c\n",
			names: []string{"x y.c", "z.c"},
		},
		"nothing":         {in: "hello\n", err: "no diff in it"},
		"cut off":         {in: "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\n", err: "the last hunk is cut off"},
		"cut off by text": {in: "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\nhello\n", err: `line 5: the hunk is cut off before "hello"`},
		"longer":          {in: "--- a/x\n+++ b/x\n@@ -1,2 +1,1 @@\n+a\n+b\n", err: "line 5: the hunk is longer than its header says"},
		"bad range":       {in: "--- a/x\n+++ b/x\n@@ -1,-3 +1 @@\n", err: `line 3: hunk range "-1,-3"`},
		"absolute":        {in: "--- /etc/passwd\n+++ b//etc/passwd\n", err: `line 2: file name "b//etc/passwd": a file below the tree is needed, as in a/fs/splice.c`},
		"-p0":             {in: "--- splice.c\n+++ splice.c\n", err: `line 2: file name "splice.c": a file below the tree is needed, as in a/fs/splice.c`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parsePatch(tt.in)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.hunks == nil {
				got.hunks = nil
			}
			want := patchFiles{names: tt.names, hunks: tt.hunks}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(patchFiles{}, hunk{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParsePatch(f *testing.F) {
	for _, seed := range []string{socketCopy, wrapper, everyKind, "--- a/x\n+++ b/../x\n", "diff --git a/ b/\n", "diff --git \"a/\\000\" b/x\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parsePatch(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has more than one line: %q", err)
			}
			return
		}
		if len(got.names) == 0 {
			t.Error("no file and no error")
		}
		for _, name := range got.names {
			if !filepath.IsLocal(name) || filepath.Clean(name) != name || name == "." {
				t.Errorf("file %q is not one below the tree", name)
			}
		}
		for _, h := range got.hunks {
			if h.file == "" || h.line < 0 {
				t.Errorf("hunk %+v", h)
			}
		}
	})
}
