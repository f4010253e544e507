package run

import (
	"bufio"
	"bytes"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"splicelab/images"
	"splicelab/images/initrd"
	"splicelab/lab/config"
	"splicelab/lab/exit"
	"splicelab/lab/plan"
	"splicelab/lab/vm"
	"splicelab/results/store"
)

// newManifest is the run before its first boot.
func newManifest(s *session, req Request, guest initrd.Guest) (store.Manifest, error) {
	c := s.cfg
	m := store.Manifest{
		Name: c.Name, Started: time.Now().UTC().Truncate(time.Second), Command: req.Command, Lab: req.Revision,
		Config: c.Effective(), Mode: c.Mode, Baseline: c.Baseline, Control: c.Control,
		Guest:     store.File{Name: "init", SHA256: guest.SHA256, Size: guest.Size},
		Initramfs: store.File{Name: "initramfs", SHA256: s.initrd.SHA256, Size: s.initrd.Size},
		GoVersion: guest.GoVersion, QEMUVersion: s.qemu, Host: host(), Accelerator: "tcg",
		Conditions: plan.Conditions(c), Workloads: c.Workloads, Reps: c.Reps,
		Patches: s.own, Notes: s.notes,
	}
	paths := c.Paths(req.Known.Paths)
	untouched, err := untouchedPaths(c, paths)
	if err != nil {
		return m, err
	}
	m.Controls, m.Boots = untouched.byKernel, plan.Boots(c, c.Families(paths), untouched)
	if m.Copies, err = declaredCopies(c); err != nil {
		return m, err
	}
	for _, chunk := range c.Chunks {
		m.Chunks = append(m.Chunks, int64(chunk))
	}
	i := max(0, slices.IndexFunc(m.Boots, func(b store.Boot) bool { return b.Kernel == c.Baseline }))
	args, err := vm.Args(vmBoot(c, m.Boots[i], "bzImage", "", "console").Portable())
	if err != nil {
		return m, err
	}
	m.QEMUArgs = args
	return m, nil
}

// untouched is what the kernels' patches leave alone, by what the series
// declare.
type untouched struct {
	paths    []string            // all copy paths
	byKernel map[string][]string // those that none of the kernel's patches touches
}

func untouchedPaths(c config.Config, paths []string) (untouched, error) {
	u := untouched{paths, map[string][]string{}}
	for _, k := range c.Kernels {
		if len(k.Series) == 0 || len(k.Patches) > 0 { // nothing is known of a user's own
			continue
		}
		list, err := images.Untouched(k.Series, paths)
		if err != nil {
			return u, err
		}
		if len(list) > 0 {
			u.byKernel[k.Name] = list
		}
	}
	return u, nil
}

// declaredCopies is what the kernels declare, as the manifest keeps it.
func declaredCopies(c config.Config) (map[string]map[string]store.Copies, error) {
	declared, err := c.Copies()
	if err != nil {
		return nil, err
	}
	all := map[string]map[string]store.Copies{}
	for kernel, paths := range declared {
		if len(paths) == 0 {
			continue
		}
		all[kernel] = map[string]store.Copies{}
		for path, copies := range paths {
			all[kernel][path] = store.Copies(copies)
		}
	}
	return all, nil
}

// Untouched implements plan.Touch.
func (u untouched) Untouched(kernel, family string) bool {
	return !slices.ContainsFunc(u.paths, func(p string) bool {
		return store.Family(p) == family && !slices.Contains(u.byKernel[kernel], p)
	})
}

// host describes the machine the VMs run on. What can't be read stays empty:
// count figures don't depend on it.
func host() store.Host {
	h := store.Host{Cores: runtime.NumCPU(), MemoryMiB: int(memory("MemTotal") >> 20)}
	h.CPU = field("/proc/cpuinfo", "model name", ":")
	h.OS = strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`)
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		h.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	return h
}

// field returns the value of the first line of a file that begins with name.
func field(file, name, sep string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	in := bufio.NewScanner(bytes.NewReader(text))
	for in.Scan() {
		key, value, found := strings.Cut(in.Text(), sep)
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// memory returns a line of /proc/meminfo, in bytes.
func memory(name string) int64 {
	kib, _, _ := strings.Cut(field("/proc/meminfo", name, ":"), " ")
	n, err := strconv.ParseInt(kib, 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// jobs is the number of VMs side by side.
func jobs(c config.Config) int {
	if c.Jobs > 0 {
		return c.Jobs
	}
	// QEMU itself and its translated code take this beside the guest's memory.
	const overhead = 256 << 20
	fit := int(memory("MemAvailable") / (int64(c.MemoryMiB)<<20 + overhead))
	return max(1, min(runtime.NumCPU(), fit))
}

// reopen opens a run that was cut off.
func (s *session) reopen(req Request) error {
	r, err := store.Open(req.Resume)
	if err != nil {
		return storeError(err)
	}
	m := r.Manifest()
	c, err := config.Parse(r.Dir()+"/"+store.ManifestName, m.Config, req.Known)
	if err != nil {
		r.Close()
		return err
	}
	if s.own, err = keptSeries(c, m); err != nil {
		r.Close()
		return err
	}
	s.run, s.cfg, s.resumed = r, c, true
	for _, note := range r.Notes() {
		s.progress.say(note)
	}
	s.failed = map[string]error{}
	for _, v := range m.Verifications {
		s.verdicts[v.Kernel] = v.Verdict()
	}
	return nil
}

// sameImage refuses to go on with a run whose boots came from another agent or
// another QEMU: their digits don't belong together.
func (s *session) sameImage(guest initrd.Guest) error {
	m := s.run.Manifest()
	switch {
	case m.Guest.SHA256 != guest.SHA256 || m.Initramfs.SHA256 != s.initrd.SHA256:
		return exit.Errorf(exit.Usage, "%s was begun with another agent (%.12s, now %.12s): its boots and new ones can't stand in one table; start a new run", s.run.Dir(), m.Guest.SHA256, guest.SHA256)
	case m.QEMUVersion != s.qemu:
		return exit.Errorf(exit.Usage, "%s was begun with %s, this is %s: start a new run", s.run.Dir(), m.QEMUVersion, s.qemu)
	}
	pending := 0
	for _, b := range m.Boots {
		if !b.Done() {
			pending++
		}
	}
	s.progress.say("resuming " + s.run.Dir() + ": " + strconv.Itoa(pending) + " of " + strconv.Itoa(len(m.Boots)) + " boots left")
	return nil
}
