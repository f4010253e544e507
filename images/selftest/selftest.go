// Package selftest builds the kernel's own tests of what the lab changes, out
// of the same source as the kernels: static, so that they need nothing in the
// VM, and apart from the tree that kernels are built in.
package selftest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"splicelab/images/internal/command"
	"splicelab/images/kernel"
)

// program is one binary of tools/testing/selftests.
type program struct {
	name    string   // as there, without .c
	sources []string // more than name.c
	flags   []string
	// mend are flags for a source that doesn't compile without them, and why
	// tells what they do.
	mend []string
	why  string
}

// programs are those that splice, vmsplice or sendfile and need neither a shell
// nor a module. What isn't among them, and why, is selftest.NotRun's.
var programs = []program{
	{name: "splice/default_file_splice_read"},
	{name: "splice/splice_read"},
	{
		name: "mm/cow", sources: []string{"mm/vm_util.c", "mm/thp_settings.c"},
		flags: []string{"-lpthread"},
	},
	{
		name: "net/tls",
		// 6.12.117 has tests of a later kernel, for a function with a fourth
		// parameter: which of several keys. It has no other key, and refuses
		// what these tests ask for.
		mend: []string{"-Dtls_crypto_info_init(version,type,keys,...)=tls_crypto_info_init(version,type,keys)"},
		why:  "net/tls.c calls tls_crypto_info_init with four arguments where it takes three: the fourth was left out",
	},
}

// members are what of the tarball the tests, and the headers of the kernel's
// own interface, are made of.
var members = []string{
	"*/Makefile", "*/scripts", "*/include/uapi", "*/include/linux/compiler-version.h", "*/arch/x86/Makefile*",
	"*/arch/x86/include", "*/arch/x86/entry/syscalls", "*/arch/x86/tools", "*/tools/include", "*/mm/gup_test.h",
	"*/tools/testing/selftests",
}

// recipe is part of the cache's key: it changes with how programs are built.
const recipe = "1"

// buildTimeout bounds one step. The tarball is unpacked in 15 s.
const buildTimeout = 20 * time.Minute

// Binary is one program.
type Binary struct {
	Name string `json:"name"`           // net/tls
	Note string `json:"note,omitempty"` // what had to be changed to compile it
	// Failed is the compiler's first error where there is no binary.
	Failed string `json:"failed,omitempty"`

	Data []byte `json:"-"`
}

// Build returns the programs of a kernel source, built now or earlier. cache is
// the root of the cache. One that doesn't compile isn't an error. Errors a
// caller may tell apart: *kernel.HostError, and ctx's.
func Build(ctx context.Context, cache string, src kernel.Source) ([]Binary, error) {
	cc, err := command.Output(ctx, command.Cmd{Args: []string{"gcc", "--version"}, Env: command.CleanEnv()})
	if err != nil {
		return nil, &kernel.HostError{Detail: "this host lacks gcc", Packages: []string{"gcc", "libc6-dev"}}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %s %+v %q", recipe, src.SHA256, cc, programs, members))
	dir := filepath.Join(cache, "selftests", hex.EncodeToString(sum[:]))
	if list, err := load(dir); err == nil {
		return list, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".new-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if err := build(ctx, tmp, src); err != nil {
		return nil, err
	}
	// Another process may have been faster: what it built is the same.
	if err := os.Rename(filepath.Join(tmp, "bin"), dir); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	return load(dir)
}

// build makes tmp/bin.
func build(ctx context.Context, tmp string, src kernel.Source) error {
	tree, bin := filepath.Join(tmp, "src"), filepath.Join(tmp, "bin")
	for _, d := range []string{tree, bin} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	tar := append([]string{
		"tar", "--extract", "--wildcards", "--no-wildcards-match-slash", "--no-same-owner", "--strip-components=1",
		"--file", src.Tarball, "--directory", tree,
	}, members...)
	headers := []string{"make", "ARCH=x86", "-C", tree, "O=" + filepath.Join(tmp, "out"), "headers"}
	for _, args := range [][]string{tar, headers} {
		if err := command.Run(ctx, command.Cmd{Args: args, Env: command.CleanEnv(), Timeout: buildTimeout}); err != nil {
			return fmt.Errorf("the kernel's selftests: %w", err)
		}
	}
	// What mm/check_config.sh finds out: there is no static liburing.
	if err := os.WriteFile(filepath.Join(tree, "tools/testing/selftests/mm/local_config.h"), nil, 0o644); err != nil {
		return err
	}
	var list []Binary
	for _, p := range programs {
		b, err := p.build(ctx, tmp)
		if err != nil {
			return err
		}
		list = append(list, b)
	}
	text, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(bin, listName), text, 0o644)
}

func (p program) build(ctx context.Context, tmp string) (Binary, error) {
	b := Binary{Name: p.name}
	failed, err := p.compile(ctx, tmp, nil)
	if failed != "" && p.mend != nil {
		b.Note = p.why
		failed, err = p.compile(ctx, tmp, p.mend)
	}
	b.Failed = failed
	return b, err
}

// compile returns the compiler's first error in failed.
func (p program) compile(ctx context.Context, tmp string, more []string) (failed string, err error) {
	dir := filepath.Join(tmp, "src", "tools/testing/selftests")
	args := []string{
		"gcc", "-O2", "-static", "-D_GNU_SOURCE=", "-isystem", filepath.Join(tmp, "out/usr/include"),
		"-I", filepath.Join(tmp, "src/tools/include"), "-o", filepath.Join(tmp, "bin", fileName(p.name)),
	}
	args = append(append(args, more...), p.name+".c")
	args = append(append(args, p.sources...), p.flags...)
	var text strings.Builder
	err = command.Run(ctx, command.Cmd{Args: args, Dir: dir, Env: command.CleanEnv(), Timeout: buildTimeout, Stderr: &text})
	var wrong *command.Error
	if errors.As(err, &wrong) && wrong.Exited() {
		return firstError(text.String()), nil
	}
	return "", err
}

// firstError is the first line of a compiler's output that is one.
func firstError(text string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, "error: ") || strings.Contains(line, "cannot find") {
			return strings.TrimSpace(line)
		}
	}
	return "the compiler failed"
}

// listName describes what lies beside it.
const listName = "selftests.json"

func fileName(program string) string { return strings.ReplaceAll(program, "/", "_") }

// load reads what build made.
func load(dir string) ([]Binary, error) {
	text, err := os.ReadFile(filepath.Join(dir, listName))
	if err != nil {
		return nil, err
	}
	var list []Binary
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, listName), err)
	}
	for i, b := range list {
		if b.Failed != "" {
			continue
		}
		if list[i].Data, err = os.ReadFile(filepath.Join(dir, fileName(path.Clean(b.Name)))); err != nil {
			return nil, err
		}
	}
	return list, nil
}
