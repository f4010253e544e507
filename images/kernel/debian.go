package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"splicelab/images/internal/command"
)

// resolveDebian follows the order of fallbacks: the pinned version in the
// archive, the cache, the URL, the newer version in the archive. The cache is
// asked first all the same: a tarball with the pinned hash is the archive's,
// byte for byte, and 150 MB needn't travel again. Without a hash in the pin,
// the cache remembers what the archive gave for the pinned version.
func (b *Builder) resolveDebian(ctx context.Context, spec SourceSpec) (Source, error) {
	if !plainName.MatchString(spec.Package) || spec.Version == "" {
		return Source{}, &SourceError{Detail: fmt.Sprintf("a Debian source needs a package and its version, not %q", spec)}
	}
	src := Source{Spec: spec, Version: spec.Version}
	sum := spec.SHA256
	if sum == "" {
		sum = b.remembered(spec.Package, spec.Version)
	}
	if sum != "" {
		ok, err := b.have(sum)
		if err != nil {
			return Source{}, err
		}
		if ok {
			src.From, src.SHA256, src.Tarball = FromCache, sum, b.tarball(sum)
			return src, nil
		}
	}
	lists, why, err := b.openLists(ctx, spec.Suite)
	if err != nil {
		return Source{}, err
	}
	defer lists.close()
	var versions []string
	if why == "" {
		versions, why = lists.madison(ctx, spec.Package)
	}
	if len(versions) > 0 {
		why = fmt.Sprintf("%s has %s alone", lists.lists, strings.Join(versions, ", "))
	}
	if slices.Contains(versions, spec.Version) {
		src.From = FromArchive
		got, err := b.fetchPackage(ctx, lists.apt, src)
		if err == nil || !isDownload(err) {
			return got, err
		}
		// Lists that are out of date name what the archive has no more.
		why = err.Error()
	}
	if spec.URL == "" {
		return b.newer(ctx, lists.apt, spec, versions, why+"; no URL to fall back on")
	}
	src.From = FromURL
	got, err := b.fetchURL(ctx, src)
	if err == nil || ctx.Err() != nil {
		return got, err
	}
	return b.newer(ctx, lists.apt, spec, versions, why+"; "+err.Error())
}

// packageLists are those that a source is looked up in.
type packageLists struct {
	apt
	dir string // to be removed; empty for the system's own
}

func (l packageLists) close() { os.RemoveAll(l.dir) }

// openLists returns the lists of a suite, the system's own when it has no name;
// or why there are none.
func (b *Builder) openLists(ctx context.Context, suite string) (l packageLists, why string, err error) {
	if suite == "" {
		return packageLists{apt: systemApt}, "", nil
	}
	if l.dir, err = os.MkdirTemp(b.sources(), ".new-"); err != nil {
		return l, "", err
	}
	b.event(Event{Step: StepSource, Detail: "reading the package list of suite " + suite})
	l.apt, err = suiteApt(ctx, l.dir, suite, b.keyrings)
	var none *SourceError
	if errors.As(err, &none) {
		return l, none.Detail, nil
	}
	if err != nil {
		l.close()
	}
	return l, "", err
}

// isDownload reports whether err is that of a download that failed, which
// another place may make good: not a wrong hash, and not an interruption.
func isDownload(err error) bool {
	var failed *command.Error
	return errors.As(err, &failed) && failed.Exited() && !strings.Contains(failed.Tail, noSpaceText)
}

// newer takes what the lists have instead of the pin, and says so.
func (b *Builder) newer(ctx context.Context, lists apt, spec SourceSpec, versions []string, why string) (Source, error) {
	for _, v := range versions {
		err := command.Run(ctx, command.Cmd{Args: []string{"dpkg", "--compare-versions", v, "gt", spec.Version}, Env: command.CleanEnv()})
		if err != nil {
			continue
		}
		src := Source{Spec: spec, Version: v, From: FromArchiveNewer, PinMissed: fmt.Sprintf(
			"pin not met: %s is not to be had (%s); built from %s instead, whose figures are not those of the pin", spec, why, v)}
		if sum := b.remembered(spec.Package, v); sum != "" {
			if ok, err := b.have(sum); ok || err != nil {
				src.SHA256, src.Tarball = sum, b.tarball(sum)
				return src, err
			}
		}
		return b.fetchPackage(ctx, lists, src)
	}
	return Source{}, &SourceError{Detail: fmt.Sprintf("%s is not to be had: %s, and nothing newer; %s", spec, why, lists.wayOut)}
}

// fetchPackage downloads the package src.Version that lists name, as the current
// user, installing nothing.
func (b *Builder) fetchPackage(ctx context.Context, lists apt, src Source) (Source, error) {
	tmp, err := os.MkdirTemp(b.sources(), ".new-")
	if err != nil {
		return Source{}, err
	}
	defer os.RemoveAll(tmp)
	b.event(Event{Step: StepSource, Detail: "downloading " + src.Spec.Package + " " + src.Version})
	get := lists.command("apt-get", "download", "-q", src.Spec.Package+"="+src.Version)
	get.Dir, get.Timeout = tmp, downloadTimeout
	if err := command.Run(ctx, get); err != nil {
		return Source{}, fmt.Errorf("kernel source: %w", err)
	}
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil || len(debs) != 1 {
		return Source{}, &SourceError{Detail: fmt.Sprintf("apt-get download left %d packages, one was expected", len(debs))}
	}
	return b.keepPackage(ctx, src, debs[0])
}

// fetchURL downloads the pinned source from its URL: the package itself, or
// the tarball in it.
func (b *Builder) fetchURL(ctx context.Context, src Source) (Source, error) {
	if src.Spec.SHA256 == "" {
		return Source{}, &SourceError{Detail: "the URL can't be used without the tarball's sha256"}
	}
	tmp, err := os.MkdirTemp(b.sources(), ".new-")
	if err != nil {
		return Source{}, err
	}
	defer os.RemoveAll(tmp)
	b.event(Event{Step: StepSource, Detail: "downloading " + src.Spec.URL})
	file := filepath.Join(tmp, "file")
	if err := download(ctx, src.Spec.URL, file); err != nil {
		return Source{}, err
	}
	if strings.HasSuffix(src.Spec.URL, ".deb") {
		return b.keepPackage(ctx, src, file)
	}
	src.SHA256, src.Tarball = src.Spec.SHA256, b.tarball(src.Spec.SHA256)
	return src, b.keep(file, src.SHA256, src.Spec.URL)
}

// keepPackage takes the tarball out of a package file and keeps it. The pin's
// hash holds for the pinned version alone.
func (b *Builder) keepPackage(ctx context.Context, src Source, deb string) (Source, error) {
	dir := deb + ".d"
	err := command.Run(ctx, command.Cmd{Args: []string{"dpkg-deb", "--extract", deb, dir}, Env: command.CleanEnv()})
	if err != nil {
		return Source{}, fmt.Errorf("kernel source: %w", err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "usr", "src", src.Spec.Package+".tar*"))
	if err != nil || len(found) != 1 {
		return Source{}, &SourceError{Detail: fmt.Sprintf("package %s %s holds %d tarballs named %s.tar, one was expected", src.Spec.Package, src.Version, len(found), src.Spec.Package)}
	}
	sum, err := hashFile(found[0])
	if err != nil {
		return Source{}, err
	}
	want := sum
	if src.Spec.SHA256 != "" && src.Version == src.Spec.Version {
		want = src.Spec.SHA256
	}
	if err := b.keep(found[0], want, src.Spec.Package+" "+src.Version); err != nil {
		return Source{}, err
	}
	src.SHA256, src.Tarball = sum, b.tarball(sum)
	return src, b.remember(src.Spec.Package, src.Version, sum)
}

// remembered and remember keep which hash the archive gave for a version.
func (b *Builder) remembered(pkg, version string) string {
	var note struct{ SHA256 string }
	text, err := os.ReadFile(b.noteOf(pkg, version))
	if err != nil || json.Unmarshal(text, &note) != nil || !hexSum.MatchString(note.SHA256) {
		return ""
	}
	return note.SHA256
}

func (b *Builder) remember(pkg, version, sum string) error {
	return renameio.WriteFile(b.noteOf(pkg, version), []byte(`{"SHA256":"`+sum+`"}`+"\n"), 0o644)
}

func (b *Builder) noteOf(pkg, version string) string {
	return filepath.Join(b.sources(), strings.ReplaceAll(pkg+"_"+version, "/", "_")+".json")
}
