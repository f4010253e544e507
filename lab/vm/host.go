package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// program is QEMU's, looked up in PATH.
const program = "qemu-system-x86_64"

// Package is the Debian package that QEMU comes in.
const Package = "qemu-system-x86"

// HostError is a fault of the host, not of the guest: nothing was measured and
// nothing was learnt about the kernel.
type HostError struct {
	// What is wrong, and the way out of it.
	What, Remedy string
	Err          error
}

func (e *HostError) Error() string {
	text := e.What
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.Remedy != "" {
		text += ": " + e.Remedy
	}
	return text
}

func (e *HostError) Unwrap() error { return e.Err }

// ExitStatus is the process exit status for this error: the host can't.
func (e *HostError) ExitStatus() int { return 3 }

// ErrNoQEMU marks a host without QEMU.
var ErrNoQEMU = errors.New("QEMU is not installed")

func findQEMU() (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return "", &HostError{What: program, Err: ErrNoQEMU, Remedy: "install the package " + Package}
	}
	return path, nil
}

// versionLimit bounds QEMU's answer to --version, in wall time.
const versionLimit = time.Minute

// Version is QEMU's version line, such as
// "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)".
// A host without QEMU is a HostError with ErrNoQEMU.
func Version(ctx context.Context) (string, error) {
	path, err := findQEMU()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, versionLimit)
	defer cancel()
	out := &tailBuffer{}
	p, err := startProcess(path, []string{"--version"}, out)
	if err != nil {
		return "", err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.kill()
		<-p.done
		return "", fmt.Errorf("%s --version: %w", path, context.Cause(ctx))
	}
	line, _, _ := strings.Cut(out.String(), "\n")
	if p.err != nil || !strings.HasPrefix(line, "QEMU") {
		return "", &HostError{What: path + " --version says " + fmt.Sprintf("%q", line), Err: p.err, Remedy: "install the package " + Package}
	}
	return line, nil
}

// minRoom is how much space must be left where a boot's files go, in bytes: a
// console and a result stream of a usual boot are under 1 MiB together.
const minRoom = 4 << 20

// checkRoom says whether the files of a boot find space. QEMU itself drops
// what it cannot write without a word.
func checkRoom(paths ...string) error {
	for _, path := range paths {
		dir := filepath.Dir(path)
		var fs syscall.Statfs_t
		if err := syscall.Statfs(dir, &fs); err != nil {
			return &HostError{What: "free space in " + dir, Err: err}
		}
		if err := roomError(dir, fs.Bavail*uint64(fs.Bsize)); err != nil {
			return err
		}
	}
	return nil
}

func roomError(dir string, free uint64) error {
	if free >= minRoom {
		return nil
	}
	return &HostError{
		What:   fmt.Sprintf("%s has %d KiB left", dir, free>>10),
		Err:    syscall.ENOSPC,
		Remedy: "free some space or choose another folder for the run",
	}
}

// createOutputs makes the boot's files, empty, so that a folder that cannot be
// written is told before QEMU is started.
func createOutputs(paths ...string) error {
	for _, path := range paths {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			return &HostError{What: "create the boot's files", Err: err}
		}
	}
	return checkRoom(paths...)
}

// maxSocketPath bounds a socket's path, in bytes; sun_path holds 108 with its
// closing NUL (unix(7)).
const maxSocketPath = 100

// socketDir makes a folder that only this user enters and whose sockets have
// short paths, wherever TMPDIR points.
func socketDir() (string, error) {
	var last error
	for _, parent := range []string{os.TempDir(), "/tmp", "/dev/shm"} {
		// 10 digits at most for MkdirTemp's random part, 2 for a socket.
		if len(parent)+len("/lab-vm-")+10+2 > maxSocketPath {
			continue
		}
		dir, err := os.MkdirTemp(parent, "lab-vm-")
		if err == nil {
			return dir, nil
		}
		last = err
	}
	return "", &HostError{What: "folder for QEMU's socket", Err: last, Remedy: "set TMPDIR to a short path that can be written"}
}

// tailBuffer keeps the last bytes written to it.
type tailBuffer struct{ kept []byte }

// tailLimit is how much of QEMU's own output is kept, in bytes.
const tailLimit = 8 << 10

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if extra := len(t.kept) - tailLimit; extra > 0 {
		t.kept = bytes.Clone(t.kept[extra:])
	}
	return len(p), nil
}

// String may be called once the writing process has ended.
func (t *tailBuffer) String() string { return strings.TrimSpace(string(t.kept)) }

// oneLine joins a program's output for a message.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
