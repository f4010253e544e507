package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

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
	idler    int // process that runs in the CPU's idle time; 0: none
	tasks    []*task
	newest   string // the last process number given away, when tasks was read
	buf      [64]byte

	receiverTime, self, clock int64
}

// task is another thread of the machine. Its schedstat stays open, so that a
// reading is one system call: whatever a reading sets off in this program's own
// runtime would be counted with the region.
type task struct {
	id, fd int
	ran    int64 // nanoseconds on a CPU, when the region began
}

// start begins a region.
func (m *meter) start() (err error) {
	if err := m.discover(); err != nil {
		return err
	}
	m.receiverTime = 0
	for _, t := range m.tasks {
		if t.ran, err = m.read(t); err != nil {
			return err
		}
		if t.id == m.receiver {
			m.receiverTime = t.ran
		}
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
	r := region{insns: self - m.self, clock: clock - m.clock}
	for _, t := range m.tasks {
		ran, err := m.read(t)
		if err != nil {
			return r, err
		}
		r.insns += ran - t.ran
		if t.id == m.receiver {
			r.receiver = ran - m.receiverTime
		}
	}
	// Tasks that were born in the region count whole.
	known := len(m.tasks)
	if err := m.discover(); err != nil {
		return r, err
	}
	for _, t := range m.tasks[known:] {
		ran, err := m.read(t)
		if err != nil {
			return r, err
		}
		r.insns += ran
	}
	return r, nil
}

// discover opens the schedstat of every task that isn't known yet, kernel
// threads included, but for the calling thread.
func (m *meter) discover() error {
	newest, err := newestTask()
	if err != nil {
		return err
	}
	if newest == m.newest {
		return nil
	}
	m.newest = newest
	own := unix.Gettid()
	processes, err := numbers("/proc")
	if err != nil {
		return err
	}
	for _, p := range processes {
		threads, err := numbers(fmt.Sprintf("/proc/%d/task", p))
		if err != nil {
			continue // it ended since
		}
		for _, id := range threads {
			if id == own || id == m.idler || slices.ContainsFunc(m.tasks, func(t *task) bool { return t.id == id && t.fd >= 0 }) {
				continue
			}
			fd, err := unix.Open(fmt.Sprintf("/proc/%d/task/%d/schedstat", p, id), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err == nil {
				m.tasks = append(m.tasks, &task{id: id, fd: fd})
			}
		}
	}
	return nil
}

// read returns a task's time on a CPU in nanoseconds. On one CPU no other task
// runs while this one reads, so that schedstat is exact. A task that has ended
// keeps what it had.
func (m *meter) read(t *task) (int64, error) {
	if t.fd < 0 {
		return t.ran, nil
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_PREAD64, uintptr(t.fd), bufAddr(m.buf[:]), uintptr(len(m.buf)), 0, 0, 0)
	if errno == unix.ESRCH {
		fd := t.fd
		t.fd = -1
		return t.ran, unix.Close(fd)
	}
	if errno != 0 {
		return 0, fmt.Errorf("schedstat of task %d: %w", t.id, errno)
	}
	ran, err := runTime(m.buf[:n])
	if err != nil {
		return 0, fmt.Errorf("schedstat of task %d: %w", t.id, err)
	}
	return ran, nil
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

// newestTask is the number that the kernel gave to a task last: while it stays
// the same there is no new one (loadavg_proc_show).
func newestTask() (string, error) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "", fmt.Errorf("the newest task: %w", err)
	}
	fields := strings.Fields(string(text))
	return fields[len(fields)-1], nil
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
