package probe

import (
	"bufio"
	"bytes"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// accounting is what the kernel counts of this thread's reads and writes
// (/proc/thread-self/io).
type accounting struct {
	wchar, rchar, syscr int64
	// cost is the size of the text, in bytes: reading it is counted too, as one
	// call, after it was made.
	cost int64
}

// account reads the counters, by one system call.
func (b *bench) account(fd int) accounting {
	text := make([]byte, page)
	n, err := unix.Pread(fd, text, 0)
	b.fail("read /proc/thread-self/io", err)
	a := accounting{cost: int64(n)}
	in := bufio.NewScanner(bytes.NewReader(text[:max(n, 0)]))
	found := 0
	for in.Scan() {
		for name, into := range map[string]*int64{"wchar: %d": &a.wchar, "rchar: %d": &a.rchar, "syscr: %d": &a.syscr} {
			if matched, _ := fmt.Sscanf(in.Text(), name, into); matched == 1 {
				found++
			}
		}
	}
	if found != 3 {
		b.fail("read /proc/thread-self/io", fmt.Errorf("not all counters in %q", text[:max(n, 0)]))
	}
	return a
}

// counted makes a call and returns what the kernel counted for it.
func (b *bench) counted(call func()) accounting {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd, err := unix.Open("/proc/thread-self/io", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	b.fail("open /proc/thread-self/io", err)
	before := b.account(fd)
	call()
	after := b.account(fd)
	return accounting{
		wchar: after.wchar - before.wchar,
		rchar: after.rchar - before.rchar - before.cost,
		syscr: after.syscr - before.syscr - 1,
	}
}

func countedWrite(b *bench) string {
	_, w := b.pipe(0)
	buf := b.memory(page)
	var n int
	var err error
	did := b.counted(func() { n, err = vmsplice(w, buf[:more], 0) })
	if failed := whole(more, n, err); failed != "" {
		return failed
	}
	return fmt.Sprintf("+%d", did.wchar)
}

func countedRead(b *bench) string {
	r, w := b.pipe(0)
	b.write(w, some)
	var seen string
	did := b.counted(func() { seen = takes(b, r, 0) })
	if seen != works {
		return seen
	}
	return fmt.Sprintf("+%d,+%d", did.rchar, did.syscr)
}
