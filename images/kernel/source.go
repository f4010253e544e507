package kernel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"splicelab/images/internal/command"
)

// downloadTimeout bounds one download; the tarball is 150 MB.
const downloadTimeout = time.Hour

// The values of Source.From.
const (
	FromArchive      = "archive"
	FromCache        = "cache"
	FromURL          = "url"
	FromArchiveNewer = "archive, newer"
	FromPath         = "path" // a tarball, repository or tree of the user's
)

// Resolve finds the source of spec and has its tarball in the cache. It asks
// once a Builder; later calls return the same answer.
func (b *Builder) Resolve(ctx context.Context, spec SourceSpec) (Source, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if src, ok := b.resolved[spec]; ok {
		return src, nil
	}
	if err := b.check(); err != nil {
		return Source{}, err
	}
	b.event(Event{Step: StepSource, Detail: spec.String()})
	if err := os.MkdirAll(b.sources(), 0o755); err != nil {
		return Source{}, explainSpace(err, b.Cache)
	}
	lock, err := acquire(ctx, filepath.Join(b.sources(), "lock"), func() {
		b.event(Event{Step: StepWait, Detail: "another process fetches a source"})
	})
	if err != nil {
		return Source{}, err
	}
	defer lock.Close()
	src, err := b.resolve(ctx, spec)
	if err != nil {
		return Source{}, explainSpace(err, b.Cache)
	}
	if src.PinMissed != "" {
		b.event(Event{Step: StepNote, Detail: src.PinMissed})
	}
	if b.resolved == nil {
		b.resolved = make(map[SourceSpec]Source)
	}
	b.resolved[spec] = src
	return src, nil
}

func (b *Builder) resolve(ctx context.Context, spec SourceSpec) (Source, error) {
	if spec.SHA256 != "" && !hexSum.MatchString(spec.SHA256) {
		return Source{}, &SourceError{Detail: fmt.Sprintf("%s: sha256 %q is not 64 lower-case hex digits", spec, spec.SHA256)}
	}
	switch spec.Kind {
	case SourceDebian:
		return b.resolveDebian(ctx, spec)
	case SourceTarball:
		return b.resolveTarball(ctx, spec)
	case SourceGit:
		return b.resolveGit(ctx, spec)
	case SourceTree:
		return b.resolveTree(ctx, spec)
	default:
		return Source{}, &SourceError{Detail: fmt.Sprintf("unknown kind %q: debian, tarball, git and tree are known", spec.Kind)}
	}
}

var hexSum = regexp.MustCompile(`^[0-9a-f]{64}$`)

// String names the source in messages.
func (s SourceSpec) String() string {
	switch {
	case s.Kind == SourceDebian:
		return s.Package + " " + s.Version
	case s.Rev != "":
		return s.Path + " at " + s.Rev
	case s.Path != "":
		return s.Path
	default:
		return s.URL
	}
}

func (b *Builder) sources() string { return filepath.Join(b.Cache, "sources") }

// tarball is where the tarball of a hash lies, however it is compressed: tar
// finds that out.
func (b *Builder) tarball(sum string) string { return filepath.Join(b.sources(), sum+".tar") }

// have reports whether the cache can serve the source with hash sum. A tree
// that is unpacked was checked when it was; a tarball is checked now, and
// removed when it is damaged.
func (b *Builder) have(sum string) (bool, error) {
	if exists(filepath.Join(b.treePath(sum), "src")) {
		return true, nil
	}
	got, err := hashFile(b.tarball(sum))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case got == sum:
		return true, nil
	}
	b.event(Event{Step: StepNote, Detail: "damaged tarball removed from the cache: " + b.tarball(sum)})
	return false, os.Remove(b.tarball(sum))
}

func (b *Builder) resolveTarball(ctx context.Context, spec SourceSpec) (Source, error) {
	if spec.SHA256 == "" {
		return Source{}, &SourceError{Detail: fmt.Sprintf("tarball %s: its sha256 is missing: sha256sum prints it", spec)}
	}
	src := Source{Spec: spec, Version: filepath.Base(spec.String()), SHA256: spec.SHA256, From: FromCache, Tarball: b.tarball(spec.SHA256)}
	if ok, err := b.have(spec.SHA256); ok || err != nil {
		return src, err
	}
	tmp, err := os.MkdirTemp(b.sources(), ".new-")
	if err != nil {
		return Source{}, err
	}
	defer os.RemoveAll(tmp)
	file := filepath.Join(tmp, "tarball")
	switch {
	case spec.Path != "":
		src.From = FromPath
		err = copyFile(spec.Path, file)
	case spec.URL != "":
		src.From = FromURL
		err = download(ctx, spec.URL, file)
	default:
		err = &SourceError{Detail: "a tarball needs a path or a URL"}
	}
	if err != nil {
		return Source{}, err
	}
	return src, b.keep(file, spec.SHA256, spec.String())
}

// keep moves file into the cache as the tarball with hash sum, or refuses it.
func (b *Builder) keep(file, sum, what string) error {
	got, err := hashFile(file)
	if err != nil {
		return err
	}
	if got != sum {
		return &SourceError{Detail: fmt.Sprintf("%s: its sha256 is %s, and %s was asked for: it isn't the same source", what, got, sum)}
	}
	return os.Rename(file, b.tarball(sum))
}

// download fetches url into file.
func download(ctx context.Context, url, file string) error {
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return &SourceError{Detail: err.Error()}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("download: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &SourceError{Detail: fmt.Sprintf("%s: the server says %s", url, resp.Status)}
	}
	return writeFrom(file, resp.Body)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return &SourceError{Detail: from + " is not there"}
	}
	if err != nil {
		return err
	}
	defer in.Close()
	return writeFrom(to, in)
}

// writeFrom writes all of r to a new file and to the disk.
func writeFrom(path string, r io.Reader) (err error) {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, r); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return out.Sync()
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// resolveGit takes a revision of a repository on this machine, as the tarball
// that git archive makes of it.
func (b *Builder) resolveGit(ctx context.Context, spec SourceSpec) (Source, error) {
	if spec.Path == "" || spec.Rev == "" {
		return Source{}, &SourceError{Detail: "a git source needs the path of a clone on this machine, and a revision"}
	}
	commit, err := command.Output(ctx, command.Cmd{
		Args: []string{"git", "-C", spec.Path, "rev-parse", "--verify", "--quiet", "--end-of-options", spec.Rev + "^{commit}"},
		Env:  command.CleanEnv(),
	})
	commit = strings.TrimSpace(commit)
	if err != nil {
		return Source{}, &SourceError{Detail: fmt.Sprintf("%s: no such revision in that repository (%v)", spec, err)}
	}
	if sum := b.remembered("git", commit); sum != "" {
		src := Source{Spec: spec, Version: commit, SHA256: sum, From: FromCache, Tarball: b.tarball(sum)}
		if ok, err := b.have(sum); ok || err != nil {
			return src, err
		}
	}
	src, err := b.archive(ctx, spec, []string{"git", "-C", spec.Path, "archive", "--format=tar", "--prefix=linux/", commit})
	if err != nil {
		return Source{}, err
	}
	src.Version = commit
	return src, b.remember("git", commit, src.SHA256)
}

// resolveTree takes a plain folder, as a tarball that depends on its contents
// alone.
func (b *Builder) resolveTree(ctx context.Context, spec SourceSpec) (Source, error) {
	if !exists(filepath.Join(spec.Path, "Kconfig")) {
		return Source{}, &SourceError{Detail: fmt.Sprintf("%q is not a kernel tree: it has no Kconfig", spec.Path)}
	}
	if exists(filepath.Join(spec.Path, ".config")) || exists(filepath.Join(spec.Path, "include", "config")) {
		return Source{}, &SourceError{Detail: fmt.Sprintf("%s was built in: run make mrproper there, or make with O=", spec.Path)}
	}
	src, err := b.archive(ctx, spec, []string{"tar", "-C", spec.Path, "--create", "--format=gnu", "--sort=name", "--mtime=@0",
		"--owner=0", "--group=0", "--numeric-owner", "--mode=u+rw,go+r-w", "--exclude-vcs", `--transform=flags=r;s,^\.,linux,`, "."})
	src.Version = filepath.Base(spec.Path)
	return src, err
}

// archive keeps what args write to their output as the source's tarball.
func (b *Builder) archive(ctx context.Context, spec SourceSpec, args []string) (Source, error) {
	tmp, err := os.MkdirTemp(b.sources(), ".new-")
	if err != nil {
		return Source{}, err
	}
	defer os.RemoveAll(tmp)
	file := filepath.Join(tmp, "tarball")
	out, err := os.Create(file)
	if err != nil {
		return Source{}, err
	}
	err = command.Run(ctx, command.Cmd{Args: args, Env: command.CleanEnv(), Stdout: out})
	if err := errors.Join(err, out.Close()); err != nil {
		return Source{}, err
	}
	sum, err := hashFile(file)
	if err != nil {
		return Source{}, err
	}
	src := Source{Spec: spec, SHA256: sum, From: FromPath, Tarball: b.tarball(sum)}
	return src, os.Rename(file, src.Tarball)
}
