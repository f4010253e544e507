package kernel

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rootless finds the private root, whose name is another each time.
var rootless = regexp.MustCompile(`-c \S+`)

const suitePin, suiteNewer = "7.3.4-1~bpo13+1", "7.3.5-1~bpo13+1"

func suiteSpec(sum string) SourceSpec {
	return SourceSpec{Kind: SourceDebian, Package: "linux-source-6.12", Version: suitePin, Suite: "trixie-backports", SHA256: sum}
}

// suiteArchive is an archive of which one suite has the versions, and the
// system's own lists have nothing. What it was given as a root lies beside it
// afterwards: apt.conf, sources.list.
func suiteArchive(t *testing.T, versions ...string) archive {
	t.Helper()
	a := newArchive(t)
	rows := ""
	for _, v := range versions {
		rows += "linux-source-6.12 | " + v + " | http://mirror trixie-backports/main amd64 Packages\n"
	}
	a.write(t, "rows", rows)
	a.write(t, "sites", "cdrom://[Debian 12]\nhttp://mirror/debian\nhttp://other/debian\n")
	a.write(t, "apt-cache", `#!/bin/sh
test "$1 $3 $4" = "-c madison linux-source-6.12" || exit 9
test ! -e "${2%/*}/state/lists/read" || cat `+a.dir+`/rows
`)
	a.write(t, "apt-get", `#!/bin/sh
dir=`+a.dir+`
case $1 in -c) conf=$2; shift 2; echo "suite: $1" >>$dir/calls ;; *) echo "system: $1" >>$dir/calls ;; esac
case $1 in
indextargets) test -z "$conf" || exit 9; cat $dir/sites ;;
update)
	root=${conf%/*}
	sed "s,$root,ROOT,g" $conf >$dir/apt.conf; cp $root/sources.list $dir
	test -d $root/state/lists/partial -a -d $root/cache/archives/partial || exit 9
	test ! -e $dir/update || { cat $dir/update >&2; exit 100; }
	touch $root/state/lists/read ;;
download)
	v=${3#*=}; test -e $dir/$v.tar.xz || { echo "E: Can't find $3" >&2; exit 100; }
	mkdir -p pkg.deb/usr/src; exec cp $dir/$v.tar.xz pkg.deb/usr/src/linux-source-6.12.tar.xz ;;
*) exit 9 ;;
esac
`)
	a.write(t, "keys.gpg", "")
	return a
}

func (a archive) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// builder knows the archive's keys, and no others.
func (a archive) builder(t *testing.T) *Builder {
	b := NewBuilder(t.TempDir(), nil)
	b.keyrings = []string{filepath.Join(a.dir, "none.gpg"), filepath.Join(a.dir, "keys.gpg")}
	return b
}

func TestSuitePin(t *testing.T) {
	a := suiteArchive(t, suiteNewer, suitePin)
	sum := a.publish(t, suitePin)
	b := a.builder(t)
	got, err := b.Resolve(context.Background(), suiteSpec(sum))
	if err != nil {
		t.Fatal(err)
	}
	want := Source{Spec: suiteSpec(sum), Version: suitePin, SHA256: sum, From: FromArchive, Tarball: b.tarball(sum)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if want := "system: indextargets\nsuite: update\nsuite: download\n"; a.calls(t) != want {
		t.Errorf("apt-get was called with %q, want %q", a.calls(t), want)
	}
	left, err := filepath.Glob(filepath.Join(b.Cache, "sources", ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the cache: %q, %v", left, err)
	}

	// What is in the cache needs no list.
	again, err := NewBuilder(b.Cache, nil).Resolve(context.Background(), suiteSpec(sum))
	if err != nil || again.From != FromCache {
		t.Errorf("from %q, %v", again.From, err)
	}
	if strings.Count(a.calls(t), "update") != 1 {
		t.Errorf("apt-get was called again: %s", a.calls(t))
	}
}

// What apt is given: its own lists and caches, Debian's keys, the mirror of the
// system, one kind of list, none of the system's hooks.
func TestSuiteRoot(t *testing.T) {
	a := suiteArchive(t, suitePin)
	a.publish(t, suitePin)
	if _, err := a.builder(t).Resolve(context.Background(), suiteSpec("")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"sources.list": "deb [signed-by=" + a.dir + "/keys.gpg target=Packages lang=none] http://mirror/debian trixie-backports main\n",
		"apt.conf": `Dir::State "ROOT/state";
Dir::State::status "ROOT/status";
Dir::Cache "ROOT/cache";
Dir::Etc::sourcelist "ROOT/sources.list";
Dir::Etc::sourceparts "/dev/null";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
APT::Update::Error-Mode "any";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
`,
	} {
		got, err := os.ReadFile(filepath.Join(a.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSuiteNewerIsSaidAloud(t *testing.T) {
	a := suiteArchive(t, suiteNewer)
	sum := a.publish(t, suiteNewer)
	got, err := a.builder(t).Resolve(context.Background(), suiteSpec(strings.Repeat("0", 64)))
	want := "pin not met: linux-source-6.12 7.3.4-1~bpo13+1 is not to be had (suite trixie-backports has 7.3.5-1~bpo13+1 alone; no URL to fall back on); " +
		"built from 7.3.5-1~bpo13+1 instead, whose figures are not those of the pin"
	if err != nil || got.From != FromArchiveNewer || got.SHA256 != sum || got.PinMissed != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Each way in which a suite can't be had: one line, and the way out.
func TestSuiteNothing(t *testing.T) {
	const tarball = "; no URL to fall back on, and nothing newer; name a tarball of the same upstream version as the source"
	for name, test := range map[string]struct {
		change func(*testing.T, archive, *Builder)
		want   string
	}{
		"no such package": {
			func(t *testing.T, a archive, _ *Builder) { a.write(t, "rows", "") },
			"suite trixie-backports has no linux-source-6.12",
		},
		"older alone": {
			func(t *testing.T, a archive, _ *Builder) {
				a.write(t, "rows", "linux-source-6.12 | 7.3.1-1 | http://mirror Packages\n")
			},
			"suite trixie-backports has 7.3.1-1 alone",
		},
		"unreachable": {
			func(t *testing.T, a archive, _ *Builder) {
				a.write(t, "update", "Err:1 http://mirror/debian\nE: Failed to fetch http://mirror/debian\nW: Something else.\nE: Some index files failed to download.\n")
			},
			"suite trixie-backports can't be read: Failed to fetch http://mirror/debian Some index files failed to download.",
		},
		"apt dies": {
			func(t *testing.T, a archive, _ *Builder) { a.write(t, "update", "out of memory\n") },
			"suite trixie-backports can't be read: apt-get -c ROOT update -q: exit status 100: out of memory",
		},
		"no keys": {
			func(_ *testing.T, _ archive, b *Builder) { b.keyrings = []string{"/nowhere/a.gpg", "/nowhere/b.gpg"} },
			"suite trixie-backports can't be read: there is no /nowhere/a.gpg and no /nowhere/b.gpg to check its signature with: install debian-archive-keyring",
		},
		"no mirror of Debian's": {
			func(t *testing.T, a archive, _ *Builder) { a.write(t, "sites", "cdrom://[Debian 12]\n") },
			"suite trixie-backports can't be read: this host's apt has no list of Debian's archive to tell its mirror (on Debian: apt-get update)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := suiteArchive(t, suitePin)
			b := a.builder(t)
			test.change(t, a, b)
			_, err := b.Resolve(context.Background(), suiteSpec(""))
			var bad *SourceError
			if !errors.As(err, &bad) {
				t.Fatalf("error %v", err)
			}
			want := "linux-source-6.12 7.3.4-1~bpo13+1 is not to be had: " + test.want + tarball
			if diff := cmp.Diff(want, rootless.ReplaceAllString(bad.Detail, "-c ROOT")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// An interruption is one, not a suite that can't be read.
func TestSuiteInterrupted(t *testing.T) {
	a := suiteArchive(t, suitePin)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := a.builder(t).Resolve(ctx, suiteSpec(""))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// Whatever apt-cache prints, a version is there once, without what is around it.
func FuzzParseMadison(f *testing.F) {
	f.Add("linux-source-7.3 | 7.3.4-1~bpo13+1 | http://mirror trixie-backports/main amd64 Packages\n" +
		"linux-source-7.3 | 7.3.4-1~bpo13+1 | http://mirror trixie-backports/main Sources\n")
	f.Add("linux-source-7.3 || \nlinux-source-7.3 | a b | c\n")
	f.Fuzz(func(t *testing.T, out string) {
		seen := map[string]bool{}
		for _, v := range parseMadison(out, "linux-source-7.3") {
			if v == "" || strings.ContainsAny(v, "|\n") || v != strings.TrimSpace(v) || seen[v] {
				t.Errorf("version %q", v)
			}
			seen[v] = true
		}
	})
}
