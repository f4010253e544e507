package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// host is a machine as the preflight sees it: programs by name, each a shell
// script. apt-get and sudo write what they are told to $CALLS; apt-get update
// adds $DIR/after to the package lists, apt-get install makes the programs.
type host struct {
	programs map[string]string
	meminfo  string
	env      []string
	args     []string
}

// completeHost lacks nothing.
func completeHost() *host {
	h := &host{
		meminfo: "MemTotal: 2000000 kB",
		programs: map[string]string{
			"uname":     `case $1 in -s) echo Linux ;; -m) echo x86_64 ;; esac`,
			"id":        `echo 0`,
			"df":        `printf 'Filesystem 1024-blocks Used Available Capacity Mounted\n/dev/x 9 9 5000000 9%% /\n'`,
			"go":        goStub("1.26.0", "auto"),
			"gcc":       `:`,
			"apt-get":   `echo "apt-get $*" >>"$CALLS"; case $1 in update) touch "$DIR/updated" ;; esac`,
			"apt-cache": aptCache("", ""),
		},
	}
	for _, p := range []string{"ld", "make", "git", "flex", "bison", "bc", "perl", "tar", "xz", "gzip", "lz4", "qemu-system-x86_64"} {
		h.programs[p] = ":"
	}
	return h
}

func goStub(version, toolchain string) string {
	return fmt.Sprintf(`case $1 in version) echo "go version go%s linux/amd64" ;; env) echo %s ;; esac`, version, toolchain)
}

// aptCache knows every package but the lacking ones, and after an update every
// one but those that are missing for good.
func aptCache(lacking, forGood string) string {
	return fmt.Sprintf(`[ "$1" = madison ] || exit 9
lacking=" %s "; [ ! -e "$DIR/updated" ] || lacking=" %s "
case $lacking in *" $2 "*) ;; *) echo "$2 | 1.0 | archive" ;; esac`, lacking, forGood)
}

// run starts the preflight there and returns its output, the calls of apt-get
// and sudo, and the exit status.
func (h *host) run(t *testing.T) (output, calls string, status int) {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o777); err != nil {
		t.Fatal(err)
	}
	// What every POSIX system has.
	for _, p := range []string{"sh", "awk", "sed", "tail", "dirname", "env", "touch", "cat"} {
		real, err := exec.LookPath(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(real, filepath.Join(bin, p)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(h.programs)) {
		write(t, filepath.Join(bin, name), "#!/bin/sh\n"+h.programs[name]+"\n")
	}
	write(t, filepath.Join(dir, "meminfo"), h.meminfo+"\n")
	write(t, filepath.Join(dir, "calls"), "")
	var out bytes.Buffer
	cmd := exec.Command("./preflight.sh", h.args...)
	cmd.Env = append([]string{
		"PATH=" + bin, "HOME=" + dir, "DIR=" + dir, "BIN=" + bin, "CALLS=" + filepath.Join(dir, "calls"),
		"PREFLIGHT_MEMINFO=" + filepath.Join(dir, "meminfo"), "PREFLIGHT_KEYRINGS=" + dir,
	}, h.env...)
	cmd.Stdout, cmd.Stderr = &out, &out
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	done, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(out.String(), dir, "$HOME"), string(done), cmd.ProcessState.ExitCode()
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o777); err != nil {
		t.Fatal(err)
	}
}

func TestPreflightOnACompleteHost(t *testing.T) {
	output, calls, status := completeHost().run(t)
	want := `Preflight
  ok       architecture   Linux x86_64
  ok       Go             1.26.0
  ok       disk           4882 MiB free in $HOME
  ok       memory         1953 MiB
  ok       packages       all there
  ok       kernel source  linux-source-6.12, from the package archive
`
	if diff := cmp.Diff(want, output); diff != "" || status != 0 || calls != "" {
		t.Errorf("status %d, calls %q, output (-want +got):\n%s", status, calls, diff)
	}
}

const (
	tarballWayOut = "get linux-6.12.117.tar.xz from kernel.org, then make lab ARGS='--tarball FILE --sha256 HEX' (or kind: tarball under sources in configs/default.yaml)"
	installFlex   = "apt-get install -y --no-install-recommends flex"
)

// TestPreflightRefuses: each thing that this host can't, in one line, and
// nothing was started.
func TestPreflightRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*host)
		want   []string // the lines marked FAIL
	}{
		"other architecture": {
			func(h *host) { h.programs["uname"] = `case $1 in -s) echo Linux ;; -m) echo aarch64 ;; esac` },
			[]string{"architecture   Linux aarch64: the lab builds and boots x86-64 kernels on x86-64 Linux only"},
		},
		"no Go": {
			func(h *host) { delete(h.programs, "go") },
			[]string{"Go             not found: install Go 1.21 or newer (go.dev/dl); Debian 12's own package, 1.19, is too old"},
		},
		"Go that doesn't run": {
			func(h *host) { h.programs["go"] = "exit 1" },
			[]string{"Go             `go version` doesn't work: install Go 1.21 or newer (go.dev/dl)"},
		},
		"Debian 12's Go": {
			func(h *host) { h.programs["go"] = goStub("1.19.8", "") },
			[]string{"Go             1.19.8 is too old: install Go 1.21 or newer (go.dev/dl), which fetches 1.26.0 itself"},
		},
		"Go that may not fetch": {
			func(h *host) { h.programs["go"] = goStub("1.22.3", "local") },
			[]string{"Go             1.22.3, and GOTOOLCHAIN=local forbids to fetch 1.26.0: unset GOTOOLCHAIN, or install Go 1.26.0"},
		},
		"no space": {
			func(h *host) {
				h.programs["df"] = `printf 'Filesystem\n/dev/x 9 9 4000000 9%% /\n'`
				h.env = []string{"SPLICELAB_CACHE=/proc/none/such"}
			},
			[]string{"disk           3906 MiB free in /proc, 4096 needed: free some, or set SPLICELAB_CACHE to a folder elsewhere"},
		},
		"no cache folder": {
			func(h *host) { h.env = []string{"HOME="} },
			[]string{"disk           no cache folder: set SPLICELAB_CACHE to one with 4 GB free"},
		},
		"little memory": {
			func(h *host) { h.meminfo = "MemTotal: 1000000 kB" },
			[]string{"memory         976 MiB, 2 GB needed to link a kernel and boot it"},
		},
		"no sudo": {
			func(h *host) { h.programs["id"] = "echo 1000"; delete(h.programs, "flex") },
			[]string{"packages       neither root nor sudo without a password: type  sudo " + installFlex},
		},
		"sudo asks": {
			func(h *host) {
				h.programs["id"] = "echo 1000"
				h.programs["sudo"] = `[ "$*" = "-n true" ] && exit 1; echo "sudo $*" >>"$CALLS"`
				delete(h.programs, "flex")
				h.programs["apt-cache"] = aptCache("flex", "")
			},
			[]string{"packages       neither root nor sudo without a password: type  sudo apt-get update && sudo " + installFlex},
		},
		"lists without the kernel, no sudo": {
			func(h *host) {
				h.programs["id"] = "echo 1000"
				h.programs["apt-cache"] = aptCache("linux-source-6.12", "")
			},
			[]string{"packages       neither root nor sudo without a password: type  sudo apt-get update"},
		},
		"not Debian": {
			func(h *host) { delete(h.programs, "apt-get"); delete(h.programs, "bison"); delete(h.programs, "bc") },
			[]string{
				"packages       no apt-get here: install what holds the following (Debian's names): bison bc",
				"kernel source  no linux-source-6.12 in this system's package lists: " + tarballWayOut,
			},
		},
		"several at once": {
			func(h *host) {
				delete(h.programs, "go")
				delete(h.programs, "flex")
				h.meminfo = ""
			},
			[]string{
				"Go             not found: install Go 1.21 or newer (go.dev/dl); Debian 12's own package, 1.19, is too old",
				"memory         0 MiB, 2 GB needed to link a kernel and boot it",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := completeHost()
			test.change(h)
			output, calls, status := h.run(t)
			if status != 3 || calls != "" {
				t.Errorf("status %d, want 3; calls %q, want none\n%s", status, calls, output)
			}
			if diff := cmp.Diff(test.want, failures(output)); diff != "" {
				t.Errorf("lines marked FAIL (-want +got):\n%s", diff)
			}
		})
	}
}

func failures(output string) []string {
	var lines []string
	for line := range strings.Lines(output) {
		if text, ok := strings.CutPrefix(line, "  FAIL     "); ok {
			lines = append(lines, strings.TrimSuffix(text, "\n"))
		}
	}
	return lines
}

// TestPreflightInstalls what is missing, and no more.
func TestPreflightInstalls(t *testing.T) {
	const install = "apt-get install -y --no-install-recommends "
	for name, test := range map[string]struct {
		change func(*host)
		calls  string
		status int
		want   []string
	}{
		"one package": {
			change: func(h *host) { delete(h.programs, "flex") },
			calls:  install + "flex\n",
		},
		"headers": {
			change: func(h *host) { h.programs["gcc"] = `while read -r l; do case $l in *gelf.h*) exit 1 ;; esac; done` },
			calls:  install + "libelf-dev\n",
		},
		"no compiler": {
			change: func(h *host) { delete(h.programs, "gcc") },
			calls:  install + "gcc libc6-dev libelf-dev\n",
		},
		"lists lack it": {
			change: func(h *host) {
				delete(h.programs, "qemu-system-x86_64")
				h.programs["apt-cache"] = aptCache("qemu-system-x86 linux-source-6.12", "")
			},
			calls: "apt-get update\n" + install + "qemu-system-x86\n",
		},
		"by sudo": {
			change: func(h *host) {
				h.programs["id"] = "echo 1000"
				h.programs["sudo"] = `[ "$1" = -n ] || exit 1; [ "$2" = true ] || { echo "sudo" >>"$CALLS"; shift; exec "$@"; }`
				delete(h.programs, "flex")
			},
			calls: "sudo\n" + install + "flex\n",
		},
		"it exists nowhere": {
			change: func(h *host) {
				delete(h.programs, "flex")
				h.programs["apt-cache"] = aptCache("flex", "flex")
			},
			calls: "apt-get update\n", status: 3,
			want: []string{"packages       not in this system's package lists: flex "},
		},
		"no kernel source anywhere": {
			change: func(h *host) { h.programs["apt-cache"] = aptCache("linux-source-6.12", "linux-source-6.12") },
			calls:  "apt-get update\n", status: 3,
			want: []string{"kernel source  no linux-source-6.12 in this system's package lists: " + tarballWayOut},
		},
		"a tarball instead": {
			change: func(h *host) {
				h.programs["apt-cache"] = aptCache("linux-source-6.12", "linux-source-6.12")
				h.args = []string{"--kernel", "base", "--tarball=/x", "--sha256", "y"}
			},
		},
		"install fails": {
			change: func(h *host) {
				delete(h.programs, "flex")
				h.programs["apt-get"] = `echo "apt-get $*" >>"$CALLS"; echo E: broken; exit 100`
			},
			calls: install + "flex\n", status: 3,
			want: []string{"packages       " + install + "flex failed: its output stands above"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := completeHost()
			test.change(h)
			output, calls, status := h.run(t)
			if status != test.status {
				t.Errorf("status %d, want %d\n%s", status, test.status, output)
			}
			if diff := cmp.Diff(test.calls, calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, failures(output)); diff != "" {
				t.Errorf("lines marked FAIL (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPreflightOnAnotherLine: its source is no package of this system's lists,
// so that neither they nor what they lack matter, but the keys of Debian's
// archive do.
func TestPreflightOnAnotherLine(t *testing.T) {
	const from = "  ok       kernel source  linux-source-7.3, from suite trixie-backports of Debian's archive\n"
	keys := "apt-get install -y --no-install-recommends debian-archive-keyring\n"
	for name, test := range map[string]struct {
		change func(*host)
		calls  string
	}{
		"no keys":     {func(h *host) { h.args = []string{"--line", "7.3"} }, keys},
		"one word":    {func(h *host) { h.args = []string{"--kernel", "base", "--line=7.3"} }, keys},
		"environment": {func(h *host) { h.env = []string{"LAB_LINE=7.3"} }, keys},
		"keys": {func(h *host) {
			h.args = []string{"--line", "7.3"}
			keyrings := t.TempDir()
			h.env = []string{"PREFLIGHT_KEYRINGS=" + keyrings}
			write(t, filepath.Join(keyrings, "debian-archive-keyring.pgp"), "")
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := completeHost()
			h.programs["apt-cache"] = aptCache("linux-source-6.12 linux-source-7.3", "linux-source-6.12 linux-source-7.3")
			test.change(h)
			output, calls, status := h.run(t)
			if status != 0 || calls != test.calls || !strings.Contains(output, from) {
				t.Errorf("status %d, calls %q, want %q\n%s", status, calls, test.calls, output)
			}
		})
	}

	h := completeHost()
	h.args = []string{"--line", "7.3"}
	delete(h.programs, "apt-get")
	output, _, status := h.run(t)
	want := []string{"kernel source  no linux-source-7.3 in this system's package lists: " + strings.ReplaceAll(tarballWayOut, "6.12.117", "7.3.4")}
	if diff := cmp.Diff(want, failures(output)); diff != "" || status != 3 {
		t.Errorf("not Debian: status %d, lines marked FAIL (-want +got):\n%s", status, diff)
	}
}

// TestPreflightWithCachedSource: a machine without package lists goes on with
// what it has.
func TestPreflightWithCachedSource(t *testing.T) {
	h := completeHost()
	h.programs["apt-cache"] = "exit 1"
	cache := t.TempDir()
	h.env = []string{"SPLICELAB_CACHE=" + cache}
	if err := os.Mkdir(filepath.Join(cache, "sources"), 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(cache, "sources", "585a4a074597aefa2b1a68ada83a3184ba351c127544dea80618bbcceaa3961f.tar"), "")
	output, calls, status := h.run(t)
	if status != 0 || calls != "" || !strings.Contains(output, "  ok       kernel source  in the cache\n") {
		t.Errorf("status %d, calls %q\n%s", status, calls, output)
	}
}
