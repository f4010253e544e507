package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"splicelab/workloads/probe"
	"splicelab/workloads/wire"
)

// valueFD is the inherited pipe that a probe's process writes its value to.
const valueFD = 3

// maxValue bounds a probe's value, in bytes.
const maxValue = 4096

// probeFS is a file system that probes run on. tmpfs has its own splice_read
// (shmem_file_splice_read); ext4 stands for all that use the page cache's
// (filemap_splice_read).
type probeFS struct{ name, dir string }

// verify makes every probe, those with a file on each file system. Each has a
// process of its own, so that none sees what another left behind, and none can
// hang the boot.
func verify(plan wire.Plan, say func(wire.Observation) error) error {
	if err := mountExt4("/mnt"); err != nil {
		return err
	}
	deadline := time.Duration(plan.CellDeadline) * time.Second
	for _, p := range probe.All() {
		for _, fs := range []probeFS{{"tmpfs", sourceDir}, {"ext4", "/mnt"}} {
			o := wire.Observation{Probe: p.ID, About: p.About}
			if p.OnFile {
				o.FS = fs.name
			}
			fmt.Println("splicelab: probe", p.ID, o.FS)
			o.Value = runProbe([]string{roleProbe, p.ID, fs.dir}, deadline)
			if err := say(o); err != nil {
				return err
			}
			if !p.OnFile {
				break
			}
		}
	}
	return nil
}

// runProbe starts a probe's process and returns what it wrote, or what became
// of it.
func runProbe(args []string, deadline time.Duration) string {
	r, w, err := os.Pipe()
	if err != nil {
		return wire.ProbeFailed + err.Error()
	}
	defer r.Close()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	cmd.ExtraFiles = []*os.File{w}
	before := oopses()
	err = cmd.Start()
	w.Close()
	if err != nil {
		return wire.ProbeFailed + err.Error()
	}
	value, err := readValue(r, deadline)
	ended := end(cmd)
	switch {
	case oopses() != before: // what became of the process follows from that
		return wire.ProbeOopsed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return wire.ProbeFailed + fmt.Sprintf("it hangs for %v", deadline)
	case err != nil:
		return wire.ProbeFailed + err.Error()
	case !ended:
		return value + ", and can't be killed"
	case value == "":
		return wire.ProbeFailed + "its process: " + cmd.ProcessState.String()
	}
	return value
}

// oopses is how often the kernel has oopsed since it started (kernel/exit.c);
// empty where it doesn't tell.
func oopses() string {
	text, err := os.ReadFile("/sys/kernel/oops_count")
	if err != nil {
		return ""
	}
	return string(text)
}

// readValue reads until the probe's process closes its end.
func readValue(r *os.File, deadline time.Duration) (string, error) {
	if err := r.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		return "", fmt.Errorf("set the probe's deadline: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxValue))
	if err != nil {
		return "", fmt.Errorf("read the probe's value: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// end kills a probe's process and reports whether it is gone. One that sleeps
// where no signal reaches it is left alone.
func end(cmd *exec.Cmd) bool {
	const grace = time.Second // of guest time
	gone := make(chan struct{})
	go func() {
		// The error is the kill that follows; what the probe had to say came
		// by the pipe.
		_ = cmd.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return true
	case <-time.After(grace):
	}
	_ = cmd.Process.Kill() // it may just have ended
	select {
	case <-gone:
		return true
	case <-time.After(grace):
		return false
	}
}

// beProbe is the role of a probe's process: args are the probe's ID and the
// folder for its files.
func beProbe(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("role %s takes a probe and a folder, not %q", roleProbe, args)
	}
	unix.CloseOnExec(valueFD)
	value, err := observe(args[0], args[1])
	if err != nil {
		value = wire.ProbeFailed + err.Error()
	}
	if _, err := unix.Write(valueFD, []byte(value)); err != nil {
		return fmt.Errorf("hand the value over: %w", err)
	}
	return nil
}

func observe(id, dir string) (string, error) {
	p, err := probe.Lookup(id)
	if err != nil {
		return "", err
	}
	return p.Run(dir)
}

// mountExt4 mounts an ext4 on a RAM disk: whatever a block device of QEMU's
// does completes when the host is done.
func mountExt4(at string) error {
	const device = "/dev/ram0"
	image, err := probe.Ext4Image()
	if err != nil {
		return err
	}
	if err := os.WriteFile(device, image, 0); err != nil {
		return fmt.Errorf("fill the RAM disk: %w", err)
	}
	if err := unix.Mount(device, at, "ext4", 0, ""); err != nil {
		return fmt.Errorf("mount ext4: %w", err)
	}
	return nil
}
