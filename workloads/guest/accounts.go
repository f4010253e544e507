package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"splicelab/workloads/account"
	"splicelab/workloads/copypath"
	"splicelab/workloads/wire"
)

// accounts counts the copies of all families of the plan, each in a worker of
// its own, which takes its sockets, memory, mounts and namespaces with it: what
// becomes of one family is its own samples' loss.
func accounts(plan wire.Plan, group string) ([]wire.Sample, *wire.Fault) {
	if err := account.Set(plan.Line, sourceDir); err != nil {
		return nil, agentFault(err)
	}
	var all []wire.Sample
	for _, family := range plan.Families {
		f, err := copypath.Lookup(family.Family)
		if err != nil {
			return all, agentFault(err)
		}
		fmt.Println("splicelab: family", f.Name)
		samples, fault := accountFamily(plan, f, group)
		all = append(all, samples...)
		if err := errors.Join(emptyFolder(sourceDir), emptyDisk(ramDisk)); err != nil {
			return all, agentFault(fmt.Errorf("clear up behind %s: %w", f.Name, err))
		}
		if fault == nil {
			continue
		}
		missing := lost(f, family.Chunks, samples, fault)
		if len(missing) == 0 { // no sample could tell
			return all, fault
		}
		all = append(all, missing...)
	}
	return all, nil
}

// accountFamily runs one family's worker.
func accountFamily(plan wire.Plan, f copypath.Family, group string) ([]wire.Sample, *wire.Fault) {
	var said bytes.Buffer // why it gave up
	worker := workerCommand(f.Name)
	worker.Stderr = io.MultiWriter(os.Stdout, &said)
	worker.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	samples, fault := runWorker(plan, worker, group)
	if fault != nil && worker.Process != nil {
		if why, _, _ := strings.Cut(said.String(), "\n"); why != "" {
			fault.Detail += ": " + why
		}
		if !end(worker) {
			fault.Detail += ", and can't be killed"
		}
	}
	return samples, fault
}

// lost is what a family doesn't have, a failed sample each.
func lost(f copypath.Family, chunks []int64, have []wire.Sample, why *wire.Fault) []wire.Sample {
	var rest []wire.Sample
	for _, m := range f.Methods {
		for _, chunk := range chunks {
			for _, sink := range f.Sinks {
				s := wire.Sample{Path: f.Path(m), Schedule: wire.ScheduleLockstep, Sink: sink, Chunk: chunk, Error: why.Outcome + ": " + why.Detail}
				same := func(o wire.Sample) bool { return o.Path == s.Path && o.Sink == s.Sink && o.Chunk == s.Chunk }
				if f.Takes(chunk) && !slices.ContainsFunc(have, same) {
					rest = append(rest, s)
				}
			}
		}
	}
	return rest
}

// emptyFolder removes what lies in a folder.
func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list a folder: %w", err)
	}
	var errs []error
	for _, e := range entries {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return errors.Join(errs...)
}

// busyTries is how many ticks emptyDisk waits for whoever still uses the disk.
const busyTries = 100

// emptyDisk makes a RAM disk as it was when the kernel made it: file systems are
// put on it without their zeroes.
func emptyDisk(name string) error {
	disk, err := os.OpenFile(name, os.O_RDWR, 0)
	// A worker that was killed leaves its file system with its last child.
	for range busyTries {
		if !errors.Is(err, unix.EBUSY) {
			break
		}
		time.Sleep(tick)
		disk, err = os.OpenFile(name, os.O_RDWR, 0)
	}
	if err != nil {
		return fmt.Errorf("empty a RAM disk: %w", err)
	}
	defer disk.Close()
	size, err := disk.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("the size of %s: %w", name, err)
	}
	all := [2]uint64{0, uint64(size)}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, disk.Fd(), unix.BLKDISCARD, uintptr(unsafe.Pointer(&all))); e != 0 {
		return fmt.Errorf("empty the RAM disk %s: %w", name, e)
	}
	return nil
}
