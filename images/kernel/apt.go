package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"splicelab/images/internal/command"
)

// apt asks apt, with the system's own lists or with those of one suite, which
// lie in a private root: nothing of the system's is read but its configuration,
// and nothing is changed.
type apt struct {
	lists string // as messages call them
	// conf is read after the system's configuration; empty for its own lists.
	conf string
	// wayOut is what may help when the lists haven't got it.
	wayOut string
}

// systemApt is apt as the system has it.
var systemApt = apt{lists: "the archive", wayOut: "run apt-get update, or name a tarball of the same upstream version as the source"}

// command is one of apt's programs.
func (a apt) command(program string, args ...string) command.Cmd {
	if a.conf != "" {
		args = slices.Concat([]string{"-c", a.conf}, args)
	}
	return command.Cmd{Args: slices.Concat([]string{program}, args), Env: aptEnv()}
}

// aptEnv lets a configuration of the user's through.
func aptEnv() []string {
	if conf, ok := os.LookupEnv("APT_CONFIG"); ok {
		return command.CleanEnv("APT_CONFIG=" + conf)
	}
	return command.CleanEnv()
}

// updateTimeout bounds the download of one suite's package list, which is under
// 1 MB for backports and 10 MB for a whole release.
const updateTimeout = 5 * time.Minute

// debianKeyrings are where the package debian-archive-keyring puts the keys
// that Debian's archive is signed with, from Debian 13 on under both names.
func debianKeyrings() []string {
	return []string{
		"/usr/share/keyrings/debian-archive-keyring.gpg",
		"/usr/share/keyrings/debian-archive-keyring.pgp",
	}
}

// suiteApt makes a private root in dir and reads the list of a suite of
// Debian's archive into it, from the mirror that the system's apt uses. An error
// is a *SourceError.
func suiteApt(ctx context.Context, dir, suite string, keyrings []string) (apt, error) {
	a := apt{lists: "suite " + suite, wayOut: "name a tarball of the same upstream version as the source"}
	fail := func(format string, args ...any) (apt, error) {
		return a, &SourceError{Detail: fmt.Sprintf("suite %s can't be read: ", suite) + fmt.Sprintf(format, args...)}
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fail("this host has no apt")
	}
	at := slices.IndexFunc(keyrings, exists)
	if at < 0 {
		return fail("there is no %s to check its signature with: install debian-archive-keyring", strings.Join(keyrings, " and no "))
	}
	site, err := debianSite(ctx)
	if ctx.Err() != nil {
		return a, ctx.Err()
	}
	if err != nil {
		return fail("%v", err)
	}
	if a.conf, err = writeRoot(dir, site, suite, keyrings[at]); err != nil {
		return a, err
	}
	update := a.command("apt-get", "update", "-q")
	update.Timeout = updateTimeout
	err = command.Run(ctx, update)
	if ctx.Err() != nil {
		return a, ctx.Err()
	}
	if err != nil {
		return fail("%s", aptErrors(err))
	}
	return a, nil
}

// aptErrors is what apt calls errors of what it said, or all that is known.
func aptErrors(err error) string {
	var failed *command.Error
	if !errors.As(err, &failed) {
		return err.Error()
	}
	var said []string
	for line := range strings.Lines(failed.Tail) {
		if text, ok := strings.CutPrefix(line, "E: "); ok {
			said = append(said, strings.TrimSpace(text))
		}
	}
	if len(said) == 0 {
		return err.Error()
	}
	return strings.Join(said, " ")
}

// debianSite is the mirror of Debian's archive that the system's apt uses. That
// of its security updates has another label, and hasn't got all suites.
func debianSite(ctx context.Context) (string, error) {
	out, err := command.Output(ctx, systemApt.command("apt-get", "indextargets", "--format", "$(SITE)",
		"Created-By: Packages", "Origin: Debian", "Label: Debian"))
	if err != nil {
		return "", err
	}
	for site := range strings.Lines(out) {
		if site = strings.TrimSpace(site); siteURI.MatchString(site) {
			return site, nil
		}
	}
	return "", fmt.Errorf("this host's apt has no list of Debian's archive to tell its mirror (on Debian: apt-get update)")
}

// siteURI is a mirror that may have other suites; a CD hasn't, and whatever
// holds a blank would be two words in a sources.list.
var siteURI = regexp.MustCompile(`^(?:https?|file|mirror|tor\+https?):[^\s]+$`)

// writeRoot writes a private root for apt into dir and returns its
// configuration. The hooks of the system's configuration are cleared: they work
// on the system's own cache.
func writeRoot(dir, site, suite, keyring string) (conf string, err error) {
	for _, name := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return "", err
		}
	}
	conf = filepath.Join(dir, "apt.conf")
	for name, text := range map[string]string{
		"sources.list": fmt.Sprintf("deb [signed-by=%s target=Packages lang=none] %s %s main\n", keyring, site, suite),
		"status":       "",
		"apt.conf": fmt.Sprintf(`Dir::State "%[1]s/state";
Dir::State::status "%[1]s/status";
Dir::Cache "%[1]s/cache";
Dir::Etc::sourcelist "%[1]s/sources.list";
Dir::Etc::sourceparts "/dev/null";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
APT::Update::Error-Mode "any";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
`, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	return conf, nil
}

// madison lists the versions of a package, the highest first, or says why there
// are none.
func (a apt) madison(ctx context.Context, pkg string) (versions []string, why string) {
	if _, err := exec.LookPath("apt-cache"); err != nil {
		return nil, "this host has no apt"
	}
	out, err := command.Output(ctx, a.command("apt-cache", "madison", pkg))
	if err != nil {
		return nil, err.Error()
	}
	if versions = parseMadison(out, pkg); len(versions) > 0 {
		return versions, ""
	}
	if a.conf != "" {
		return nil, a.lists + " has no " + pkg
	}
	return nil, "the package lists have no " + pkg
}

// parseMadison reads apt-cache madison's table: package | version | origin.
func parseMadison(out, pkg string) []string {
	var versions []string
	for line := range strings.Lines(out) {
		f := strings.Split(line, "|")
		if len(f) < 3 || strings.TrimSpace(f[0]) != pkg {
			continue
		}
		if v := strings.TrimSpace(f[1]); v != "" && !strings.HasSuffix(strings.TrimSpace(f[2]), "Sources") && !slices.Contains(versions, v) {
			versions = append(versions, v)
		}
	}
	return versions
}
