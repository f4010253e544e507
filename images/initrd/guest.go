// Package initrd makes the initramfs that every VM boots: the guest's agent as
// PID 1, the same bytes on every machine.
package initrd

import (
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"splicelab/images/internal/command"
)

// Guest is the agent's binary, in the cache.
type Guest struct {
	Path   string `json:"-"`
	SHA256 string `json:"sha256"` // hex
	Size   int64  `json:"size"`   // bytes
	// GoVersion is what compiled it, as the binary itself says: go1.26.8.
	GoVersion string `json:"go_version"`
	Cached    bool   `json:"-"`
}

// BuildError is an agent that doesn't compile.
type BuildError struct{ Err error }

func (e *BuildError) Error() string {
	return fmt.Sprintf("the guest's agent does not compile: %v", e.Err)
}

// Unwrap returns the cause.
func (e *BuildError) Unwrap() error { return e.Err }

// ExitStatus is 1.
func (e *BuildError) ExitStatus() int { return 1 }

// HostError is something this host lacks.
type HostError struct{ Detail string }

func (e *HostError) Error() string { return e.Detail }

// ExitStatus is 3.
func (e *HostError) ExitStatus() int { return 3 }

// guestRecipe is part of the cache's key: it changes with the arguments below.
const guestRecipe = "1"

// buildTimeout bounds one go build, downloads included.
const buildTimeout = 20 * time.Minute

// buildArgs make the binary a function of source and toolchain alone.
var buildArgs = []string{"go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-buildid="}

// BuildGuest compiles the agent from src, which holds go.mod, go.sum and
// workloads, with exactly the toolchain that go.mod names. It is cached by what
// it is compiled from. cache is the root of the cache. Errors a caller may tell
// apart: *BuildError, *HostError, and ctx's.
func BuildGuest(ctx context.Context, cache string, src fs.FS) (Guest, error) {
	sources, err := readSources(src)
	if err != nil {
		return Guest{}, err
	}
	toolchain, err := toolchainOf(sources["go.mod"])
	if err != nil {
		return Guest{}, err
	}
	dir := filepath.Join(cache, "guests", sourceKey(sources, toolchain))
	if g, err := loadGuest(dir); err == nil {
		return g, nil
	}
	g, err := compileGuest(ctx, dir, sources, toolchain)
	if errors.Is(err, syscall.ENOSPC) {
		err = &HostError{Detail: "no space left on the file system of " + cache + ": free some, or set SPLICELAB_CACHE to a folder elsewhere"}
	}
	return g, err
}

// readSources reads what the binary depends on; tests don't count.
func readSources(src fs.FS) (map[string][]byte, error) {
	sources := make(map[string][]byte)
	err := fs.WalkDir(src, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, "_test.go") {
			return nil
		}
		sources[name], err = fs.ReadFile(src, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the agent's source: %w", err)
	}
	return sources, nil
}

var (
	toolchainLine = regexp.MustCompile(`(?m)^toolchain\s+(go\S+)\s*$`)
	goLine        = regexp.MustCompile(`(?m)^go\s+(\d\S+)\s*$`)
)

// toolchainOf returns the toolchain that go.mod names: go1.26.8.
func toolchainOf(mod []byte) (string, error) {
	if m := toolchainLine.FindSubmatch(mod); m != nil {
		return string(m[1]), nil
	}
	if m := goLine.FindSubmatch(mod); m != nil {
		return "go" + string(m[1]), nil
	}
	return "", errors.New("the agent's source: go.mod names no Go version")
}

func sourceKey(sources map[string][]byte, toolchain string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s\n", guestRecipe, toolchain)
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		fmt.Fprintf(h, "%s %x\n", name, sha256.Sum256(sources[name]))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func guestFile(dir string) string { return filepath.Join(dir, "guest") }

// loadGuest returns the binary in dir, if it is what it was.
func loadGuest(dir string) (Guest, error) {
	text, err := os.ReadFile(filepath.Join(dir, "guest.json"))
	if err != nil {
		return Guest{}, err
	}
	var g Guest
	if err := json.Unmarshal(text, &g); err != nil {
		return Guest{}, err
	}
	data, err := os.ReadFile(guestFile(dir))
	if err != nil {
		return Guest{}, err
	}
	if sum(data) != g.SHA256 {
		return Guest{}, fmt.Errorf("%s has another hash than it had", guestFile(dir))
	}
	g.Path, g.Cached = guestFile(dir), true
	return g, nil
}

// compileGuest compiles sources and keeps the binary as dir.
func compileGuest(ctx context.Context, dir string, sources map[string][]byte, toolchain string) (Guest, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return Guest{}, err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".new-")
	if err != nil {
		return Guest{}, err
	}
	defer os.RemoveAll(tmp)
	work, fresh := filepath.Join(tmp, "source"), filepath.Join(tmp, "entry")
	for name, data := range sources {
		if err := writeSynced(filepath.Join(work, filepath.FromSlash(name)), data, 0o644); err != nil {
			return Guest{}, err
		}
	}
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return Guest{}, err
	}
	if err := goBuild(ctx, work, guestFile(fresh), toolchain); err != nil {
		return Guest{}, err
	}
	g, err := describeGuest(fresh, toolchain)
	if err != nil {
		return Guest{}, err
	}
	if err := os.Rename(fresh, dir); errors.Is(err, fs.ErrExist) {
		// Another process was faster, and may be reading its binary, which is
		// the same. Only a broken one is replaced.
		if g, err := loadGuest(dir); err == nil {
			return g, nil
		}
		if err := errors.Join(os.RemoveAll(dir), os.Rename(fresh, dir)); err != nil {
			return Guest{}, err
		}
	} else if err != nil {
		return Guest{}, err
	}
	g.Path = guestFile(dir)
	return g, nil
}

func goBuild(ctx context.Context, work, out, toolchain string) error {
	if _, err := exec.LookPath("go"); err != nil {
		return &HostError{Detail: "this host lacks go: install Go 1.21 or newer, which fetches " + toolchain + " itself"}
	}
	env, err := goEnv(ctx, toolchain)
	if err != nil {
		return err
	}
	args := append(append([]string{}, buildArgs...), "-o", out, "./workloads/guest")
	err = command.Run(ctx, command.Cmd{Args: args, Dir: work, Env: env, Timeout: buildTimeout})
	var failed *command.Error
	switch {
	case !errors.As(err, &failed) || !failed.Exited():
		return err
	case strings.Contains(failed.Tail, "o space left on device"):
		return syscall.ENOSPC
	case strings.Contains(failed.Tail, "toolchain not available"), strings.Contains(failed.Tail, "invalid go version"),
		strings.Contains(failed.Tail, "go: download "):
		return &HostError{Detail: fmt.Sprintf("this host's go can't provide %s: %v", toolchain, err)}
	}
	return &BuildError{Err: err}
}

// goEnv keeps where modules come from and go, and nothing that changes what is
// compiled. The user's go env file is read for the former and then left out,
// because an empty GOFLAGS doesn't override one that is set there.
func goEnv(ctx context.Context, toolchain string) ([]string, error) {
	names := []string{"GOPROXY", "GOSUMDB", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOINSECURE", "GOVCS", "GOAUTH", "GOMODCACHE", "GOCACHE", "GOPATH"}
	out, err := command.Output(ctx, command.Cmd{
		Args: append([]string{"go", "env", "-json"}, names...),
		Dir:  os.TempDir(), // outside of any module, whose toolchain line it would follow
		Env:  append(os.Environ(), "GOTOOLCHAIN=local", "GOFLAGS="),
	})
	if err != nil {
		return nil, &HostError{Detail: fmt.Sprintf("go does not run here: %v", err)}
	}
	var values map[string]string
	if err := json.Unmarshal([]byte(out), &values); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	env := command.CleanEnv("GOENV=off", "GOWORK=off", "GOTOOLCHAIN="+toolchain, "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1", "GO111MODULE=on")
	for _, name := range names {
		if values[name] != "" {
			env = append(env, name+"="+values[name])
		}
	}
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env, nil
}

// describeGuest notes what was compiled beside it, on the disk.
func describeGuest(dir, toolchain string) (Guest, error) {
	info, err := buildinfo.ReadFile(guestFile(dir))
	if err != nil {
		return Guest{}, fmt.Errorf("the agent's binary: %w", err)
	}
	if info.GoVersion != toolchain {
		return Guest{}, fmt.Errorf("the agent was compiled by %s, and go.mod names %s", info.GoVersion, toolchain)
	}
	data, err := os.ReadFile(guestFile(dir))
	if err != nil {
		return Guest{}, err
	}
	if err := writeSynced(guestFile(dir), data, 0o755); err != nil {
		return Guest{}, err
	}
	g := Guest{SHA256: sum(data), Size: int64(len(data)), GoVersion: info.GoVersion}
	text, err := json.Marshal(g)
	if err != nil {
		return Guest{}, err
	}
	return g, writeSynced(filepath.Join(dir, "guest.json"), append(text, '\n'), 0o644)
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}
