package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"splicelab/images/internal/command"
)

// downloadTimeout bounds the download of a program's packages.
const downloadTimeout = 20 * time.Minute

// debPackage is one package, unpacked.
type debPackage struct {
	root
	// asked: the configuration names it; it isn't there as a dependency alone.
	asked bool
}

// fetch returns a program's packages and all they depend on, unpacked in the
// cache. What is there is taken: a program's figures don't change because the
// archive did. The system's own packages are neither asked nor touched.
func fetch(ctx context.Context, cache string, p Program, say func(string)) ([]debPackage, error) {
	if len(p.Packages) == 0 {
		return nil, nil
	}
	names := slices.Sorted(slices.Values(p.Packages))
	key := sha256.Sum256([]byte(strings.Join(names, "\n")))
	dir := filepath.Join(cache, "packages", hex.EncodeToString(key[:8]))
	list, err := unpacked(dir, names)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return list, err
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, &HostError{p.Name, fmt.Sprintf("packages: this host has no apt-get for %s: unpack it yourself and name its files under files", strings.Join(names, ", "))}
	}
	say("fetching packages for program " + p.Name + ": " + strings.Join(names, ", "))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".new-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if err := download(ctx, tmp, p.Name, names); err != nil {
		return nil, err
	}
	if err := unpack(ctx, tmp, filepath.Join(tmp, "all")); err != nil {
		return nil, fmt.Errorf("program %s: %w", p.Name, err)
	}
	// Another lab may have been faster: its packages do as well.
	if err := os.Rename(filepath.Join(tmp, "all"), dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("keep packages: %w", err)
	}
	return unpacked(dir, names)
}

// download fetches the packages and what they depend on into dir, as on a
// system that has none installed, as the current user.
func download(ctx context.Context, dir, program string, names []string) error {
	if err := os.Mkdir(filepath.Join(dir, "partial"), 0o755); err != nil {
		return err
	}
	args := []string{"apt-get", "install", "--download-only", "-y", "-q", "--no-install-recommends",
		"-o", "Dir::State::status=/dev/null", "-o", "Dir::Cache::archives=" + dir,
		// Apt's own caches are those of another status, and not ours to write.
		"-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "-o", "Debug::NoLocking=1",
		// Root's downloads would be made by a user that can't write into dir.
		"-o", "APT::Sandbox::User=root", "--"}
	env := command.CleanEnv()
	if conf, ok := os.LookupEnv("APT_CONFIG"); ok { // a private apt root
		env = append(env, "APT_CONFIG="+conf)
	}
	err := command.Run(ctx, command.Cmd{Args: append(args, names...), Env: env, Timeout: downloadTimeout})
	var failed *command.Error
	if errors.As(err, &failed) && failed.Exited() {
		return &HostError{program, fmt.Sprintf("packages: %s can't be had (%s): run apt-get update, or unpack them yourself and name their files under files",
			strings.Join(names, ", "), aptReason(failed.Tail))}
	}
	return err
}

// aptReason is the first error that apt-get printed.
func aptReason(output string) string {
	for line := range strings.Lines(output) {
		if reason, ok := strings.CutPrefix(line, "E: "); ok {
			return strings.TrimSpace(reason)
		}
	}
	return "apt-get failed"
}

// unpack unpacks each package of a folder into one of its own.
func unpack(ctx context.Context, dir, into string) error {
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	if err := os.Mkdir(into, 0o755); err != nil {
		return err
	}
	for _, deb := range debs {
		dst := filepath.Join(into, strings.TrimSuffix(filepath.Base(deb), ".deb"))
		if err := command.Run(ctx, command.Cmd{Args: []string{"dpkg-deb", "--extract", deb, dst}, Env: command.CleanEnv()}); err != nil {
			return err
		}
	}
	return nil
}

// unpacked lists the packages of a folder that fetch left. names are those that
// were asked for.
func unpacked(dir string, names []string) ([]debPackage, error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, err
	}
	var list []debPackage
	for _, e := range entries {
		// NAME_VERSION_ARCHITECTURE, percent-encoded.
		parts := strings.Split(e.Name(), "_")
		if len(parts) != 3 {
			return nil, fmt.Errorf("%s holds %s, which is no unpacked package: remove the folder", dir, e.Name())
		}
		version, err := url.PathUnescape(parts[1])
		if err != nil {
			return nil, fmt.Errorf("%s holds %s, which is no unpacked package: remove the folder", dir, e.Name())
		}
		list = append(list, debPackage{
			root:  root{dir: filepath.Join(dir, e.Name()), from: parts[0] + " " + version},
			asked: slices.ContainsFunc(names, func(n string) bool { base, _, _ := strings.Cut(n, "="); return base == parts[0] }),
		})
	}
	return list, nil
}
