package selftest

import (
	"archive/tar"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"splicelab/images/kernel"
	"splicelab/workloads/selftest"
)

// source is a kernel's source as far as this package needs one: one test can't
// be compiled, one needs its mend.
func source(t *testing.T) kernel.Source {
	t.Helper()
	file := filepath.Join(t.TempDir(), "linux.tar")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(f)
	const tests = "tools/testing/selftests/"
	const program = "int main(void) { return 0; }\n"
	for name, text := range map[string]string{
		"Makefile":          "headers:\n\tmkdir -p $(O)/usr/include\n",
		"scripts/unifdef.c": "", "include/uapi/a.h": "", "include/linux/compiler-version.h": "",
		"arch/x86/Makefile": "", "arch/x86/include/a.h": "", "arch/x86/entry/syscalls/a": "", "arch/x86/tools/a": "",
		"tools/include/a.h": "", "mm/gup_test.h": "",
		"drivers/not-needed.c":                      "",
		tests + "net/tls.c":                         "static int tls_crypto_info_init(int a, int b, int c) { return a + b + c; }\nint main(void) { return tls_crypto_info_init(0, 0, 0, 1); }\n",
		tests + "mm/cow.c":                          "#include \"local_config.h\"\n" + program,
		tests + "mm/vm_util.c":                      "int a;\n",
		tests + "mm/thp_settings.c":                 "int b;\n",
		tests + "splice/splice_read.c":              program,
		tests + "splice/default_file_splice_read.c": "int main(void) { return nothing; }\n",
	} {
		if err := w.WriteHeader(&tar.Header{Name: "linux-0/" + name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return kernel.Source{SHA256: "0", Tarball: file}
}

func TestBuild(t *testing.T) {
	cache, src := t.TempDir(), source(t)
	for _, round := range []string{"built", "from the cache"} {
		list, err := Build(t.Context(), cache, src)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range list {
			broken := b.Name == "splice/default_file_splice_read"
			if broken != strings.Contains(b.Failed, "'nothing' undeclared") || (len(b.Data) == 0) != broken {
				t.Errorf("%s, %s: %d bytes, failed: %q", round, b.Name, len(b.Data), b.Failed)
			}
			if mended := b.Name == "net/tls"; mended != (b.Note != "") {
				t.Errorf("%s, %s: note %q", round, b.Name, b.Note)
			}
		}
		// What follows is from the cache.
		src.Tarball = "/no/such/tarball"
	}
	if left, err := filepath.Glob(filepath.Join(cache, "selftests", ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	src.SHA256 = "1"
	if _, err := Build(t.Context(), cache, src); err == nil || !strings.Contains(err.Error(), "/no/such/tarball") {
		t.Errorf("no tarball: %v", err)
	}
}

// The guest runs what is built, and all of it.
func TestProgramsAreRun(t *testing.T) {
	var built, run []string
	for _, p := range programs {
		built = append(built, p.name)
	}
	for _, p := range selftest.All() {
		run = append(run, p.Name)
	}
	if !slices.Equal(built, run) {
		t.Errorf("built: %q, run: %q", built, run)
	}
}
