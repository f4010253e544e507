// Package selftest runs the kernel's own tests of what the lab's series change
// (tools/testing/selftests), inside the VM. What they say is held against what
// they say on base: a test that fails on every kernel, for want of a cipher or
// of huge pages, tells nothing of a series.
package selftest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Dir is where the binaries lie in the VM.
const Dir = "/selftests"

// File is where a program's binary lies: splice/splice_read.
func File(program string) string {
	return filepath.Join(Dir, strings.ReplaceAll(program, "/", "_"))
}

// endTest names what a program came to where no test of it did.
const endTest = "(end)"

// Program is one of kselftest's binaries.
type Program struct {
	Name string
	// run hands over a test's result as it comes. The error is the program's.
	run func(limits Limits, file string, found func(Result)) error
}

// All lists the programs in the order in which they run.
func All() []Program {
	return []Program{
		{"splice/default_file_splice_read", runDefaultRead},
		{"splice/splice_read", runSpliceRead},
		{"mm/cow", runCOW},
		{"net/tls", runTLS},
	}
}

// NotRun are the selftests that touch splice, vmsplice or sendfile and aren't
// among All, with the reason.
func NotRun() map[string]string {
	return map[string]string{
		"splice/short_splice_read.sh, its files below /sys/module": "needs a shell and the module test_module",
		"net/tcp_mmap":        "needs libcrypto",
		"net/msg_zerocopy.sh": "needs a shell",
		"net/tls, its ChaCha20, SM4, AES-CCM and ARIA": "the kernels have AES-GCM only",
		"net/mptcp":              "needs a shell and CONFIG_MPTCP",
		"mm/memfd_secret":        "needs libcap",
		"mm/protection_keys":     "needs a CPU with protection keys",
		"mm/cow":                 "begins and ends: it needs /proc/self/pagemap (CONFIG_PROC_PAGE_MONITOR), which the kernels haven't got",
		"bpf/test_sockmap":       "needs libbpf and CONFIG_BPF_SYSCALL",
		"landlock/fs_test":       "needs CONFIG_SECURITY_LANDLOCK",
		"wireguard/qemu":         "is a virtual machine of its own",
		"arm64/fp/kernel-test":   "of another architecture",
		"exec/execveat (copies)": "sendfile only makes its scratch files",
	}
}

// Run runs a program and hands over its tests' results as they come; one that
// hangs, dies or isn't there is a result as well.
func (p Program) Run(limits Limits, found func(Result)) {
	if err := p.run(limits, File(p.Name), found); err != nil {
		found(Result{endTest, err.Error()})
	}
}

// noCipher are the variants of net/tls whose ciphers the lab's kernels haven't
// got: five hundred tests, all of which would fail for that.
var noCipher = []string{"12_chacha", "13_chacha", "13_sm4_gcm", "13_sm4_ccm", "12_aes_ccm", "13_aes_ccm", "12_aria_gcm", "12_aria_gcm_256"}

func runTLS(limits Limits, file string, found func(Result)) error {
	var args []string
	for _, variant := range noCipher {
		args = append(args, "-V", variant)
	}
	return runTAP(limits, found, file, args...)
}

func runCOW(limits Limits, file string, found func(Result)) error {
	return runTAP(limits, found, file)
}

// runDefaultRead is splice/default_file_splice_read.sh: nothing may come out of
// /dev/null.
func runDefaultRead(limits Limits, file string, found func(Result)) error {
	text, status, err := output(limits.Test, file)
	return one(found, "nothing is leaked", limits.Test, len(text) == 0 && status == 0, err)
}

// one hands over the result of a binary that is one test.
func one(found func(Result), name string, limit time.Duration, passed bool, err error) error {
	switch {
	case errors.Is(err, errTime):
		found(Result{name, hung(limit, guestTime)})
	case err != nil:
		return err
	case passed:
		found(Result{name, Passed})
	default:
		found(Result{name, Failed})
	}
	return nil
}

// spliceRead are the files of splice/short_splice_read.sh that need no module.
// modprobe's isn't there without modules.
var spliceRead = []string{"/proc/1/limits", "/proc/1/comm", "/proc/sys/fs/nr_open", "/proc/sys/kernel/version"}

// runSpliceRead is splice/short_splice_read.sh: what splice gives of a file is
// what read gives, in full and in part. That script expects /proc/PID/limits and
// comm to fail; here a test passes if they work, and the kernels are compared.
func runSpliceRead(limits Limits, file string, found func(Result)) error {
	for _, name := range spliceRead {
		full, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("what splice_read is to read: %w", err)
		}
		for _, size := range []int{4096, 2} {
			want := full[:min(size, len(full))]
			got, status, err := output(limits.Test, file, name, fmt.Sprint(size))
			passed := status == 0 && bytes.Equal(got, want)
			if err := one(found, fmt.Sprintf("%s, %d bytes", name, size), limits.Test, passed, err); err != nil {
				return err
			}
		}
	}
	return nil
}
