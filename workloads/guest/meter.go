package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"splicelab/workloads/copypath"
)

// region is what a timed region cost, in instructions: under
// -icount shift=0 a nanosecond of guest time is one.
type region struct {
	insns    int64 // CPU time of all tasks
	receiver int64 // CPU time of the task that was named
	clock    int64 // by the time-stamp counter, idling included
}

// meter takes regions. Its readings of other tasks stand outside the region;
// its own thread's clock is read last at the start and first at the end.
type meter struct {
	receiver int // process of the receiver; 0: none

	others, receiverTime, self, clock int64
}

// start begins a region.
func (m *meter) start() (err error) {
	if m.others, m.receiverTime, err = otherTasks(m.receiver); err != nil {
		return err
	}
	if m.self, err = threadTime(); err != nil {
		return err
	}
	m.clock = copypath.TSC()
	return nil
}

// stop ends it.
func (m *meter) stop() (region, error) {
	clock := copypath.TSC()
	self, err := threadTime()
	if err != nil {
		return region{}, err
	}
	others, receiver, err := otherTasks(m.receiver)
	if err != nil {
		return region{}, err
	}
	return region{
		insns:    self - m.self + others - m.others,
		receiver: receiver - m.receiverTime,
		clock:    clock - m.clock,
	}, nil
}

// threadTime is the calling thread's CPU time in nanoseconds, up to now: unlike
// schedstat, the clock brings a running task's account up to date first
// (task_sched_runtime).
func threadTime() (int64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		return 0, fmt.Errorf("read the thread's CPU clock: %w", err)
	}
	return ts.Nano(), nil
}

// otherTasks returns the CPU time of all tasks but the calling thread, kernel
// threads included, and that of process pid's first thread. On one CPU none of
// them runs meanwhile, so that schedstat is exact.
func otherTasks(pid int) (all, one int64, err error) {
	own := unix.Gettid()
	processes, err := numbers("/proc")
	if err != nil {
		return 0, 0, err
	}
	for _, p := range processes {
		threads, err := numbers(fmt.Sprintf("/proc/%d/task", p))
		if err != nil {
			continue // it ended since
		}
		for _, t := range threads {
			if t == own {
				continue
			}
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/schedstat", p, t))
			if err != nil {
				continue
			}
			ran, err := runTime(stat)
			if err != nil {
				return 0, 0, fmt.Errorf("schedstat of task %d: %w", t, err)
			}
			all += ran
			if t == pid {
				one = ran
			}
		}
	}
	return all, one, nil
}

// runTime is schedstat's first field: nanoseconds on a CPU
// (proc_pid_schedstat).
func runTime(stat []byte) (int64, error) {
	first, _, _ := bytes.Cut(stat, []byte{' '})
	n, err := strconv.ParseInt(string(first), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the kernel keeps no CPU time (SCHED_INFO): %w", err)
	}
	return n, nil
}

// numbers returns the entries of a folder that are numbers.
func numbers(dir string) ([]int, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var found []int
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			found = append(found, n)
		}
	}
	return found, nil
}
