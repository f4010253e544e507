package probe

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// blockTime is how long a call must sleep to count as one that blocks, in guest
// time.
const blockTime = 300 * time.Millisecond

// blocks is what a probe reports of a call that doesn't return.
const blocks = "blocks"

// call is a system call under way on a thread of its own.
type call struct {
	number uintptr // of the system call
	thread int
	value  chan string // its result
}

// start begins a call that may block; do is to make the system call of that
// number and nothing else.
func start(number uintptr, do func() (int, error)) *call {
	c := &call{number: number, value: make(chan string, 1)}
	thread := make(chan int)
	go func() {
		// Never unlocked: the thread is this call's alone.
		runtime.LockOSThread()
		thread <- unix.Gettid()
		c.value <- result(do())
	}()
	c.thread = <-thread
	return c
}

// outcome is the call's result, or blocks.
func (c *call) outcome(b *bench) string {
	select {
	case value := <-c.value:
		return value
	case <-time.After(blockTime):
	}
	// "running", or the number of the system call that the thread sleeps in
	// (proc_pid_syscall).
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/syscall", c.thread))
	b.fail("look where the call is", err)
	if at, _, _ := strings.Cut(string(text), " "); at == fmt.Sprint(c.number) {
		return blocks
	}
	b.fail("look where the call is", fmt.Errorf("neither back after %v nor asleep in system call %d: %q", blockTime, c.number, text))
	return ""
}
