package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// idler is a process that spins whenever nothing else wants the CPU, so that
// the CPU never halts.
//
// In a halted machine QEMU's main loop warps the clock to the next timer, and
// it may do so before the instructions that led up to the halt were added to
// the clock: on its way into HLT a CPU counts as halted a moment too early
// (icount_start_warp_timer, QEMU 7.2; inferred). The clock then gains a few
// thousand instructions, and every digit after that is another one: three of
// eight boots differed (measured). Without a halt there is no warp, and all
// boots are alike.
type idler struct{ pid int }

// spin never returns.
func spin()

// startIdler starts an idler, which runs until stop or pause.
func startIdler() (*idler, error) {
	// A bare fork: the child has one thread and makes no use of Go's runtime,
	// whose own thread would wake up a hundred times a second.
	pid, _, errno := unix.RawSyscall(unix.SYS_FORK, 0, 0, 0)
	if errno != 0 {
		return nil, fmt.Errorf("fork the idler: %w", errno)
	}
	if pid == 0 {
		// It must neither outlive its parent nor hold the pipe open whose end
		// tells that the parent has ended. Failures show as a hang.
		unix.RawSyscall(unix.SYS_CLOSE_RANGE, 0, ^uintptr(0)>>32, 0)
		unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
		spin()
	}
	i := &idler{int(pid)}
	if err := unix.SchedSetAttr(i.pid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0); err != nil {
		return nil, fmt.Errorf("make the idler the last to run: %w", err)
	}
	return i, nil
}

// pause stops the idler until resume. Even the last to run gets its share of
// the CPU, which a lock-step region has no use for.
func (i *idler) pause() error {
	if err := unix.Kill(i.pid, unix.SIGSTOP); err != nil {
		return fmt.Errorf("pause the idler: %w", err)
	}
	return i.wait(unix.WUNTRACED)
}

func (i *idler) resume() error {
	if err := unix.Kill(i.pid, unix.SIGCONT); err != nil {
		return fmt.Errorf("resume the idler: %w", err)
	}
	return nil
}

// stop ends the idler.
func (i *idler) stop() error {
	if err := unix.Kill(i.pid, unix.SIGKILL); err != nil {
		return fmt.Errorf("end the idler: %w", err)
	}
	return i.wait(0)
}

// wait blocks until the idler has changed its state.
func (i *idler) wait(options int) error {
	for {
		_, err := unix.Wait4(i.pid, nil, options, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait for the idler: %w", err)
		}
		return nil
	}
}
