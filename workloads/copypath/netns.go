package copypath

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// netns is a network namespace, held open by a file descriptor.
type netns int

// Setting is a sysctl, by its name under /proc/sys.
type Setting struct{ Name, Value string }

// Set writes it.
func (s Setting) Set() error {
	if err := os.WriteFile("/proc/sys/"+s.Name, []byte(s.Value), 0); err != nil {
		return fmt.Errorf("set the sysctl %s: %w", s.Name, err)
	}
	return nil
}

// NetworkSettings are what TCP's figures need (facts.md, section 7, trap 10).
// Each network namespace has its own.
func NetworkSettings() []Setting {
	return []Setting{{"net/ipv4/tcp_no_metrics_save", "1"}, {"net/ipv4/tcp_slow_start_after_idle", "0"}}
}

// newNetns makes a namespace and runs inside, if not nil, in it. The
// namespace's descriptor is -1 when there is an error.
func newNetns(inside func() error) (netns, error) {
	ns := netns(-1)
	err := elsewhere(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("a network namespace: %w", err)
		}
		fd, err := currentNetns()
		if err != nil {
			return err
		}
		ns = fd
		for _, s := range NetworkSettings() {
			if err := s.Set(); err != nil {
				return err
			}
		}
		if inside == nil {
			return nil
		}
		return inside()
	})
	return ns, err
}

// do runs f in the namespace. Sockets that it opens stay there.
func (n netns) do(f func() error) error {
	return elsewhere(func() error {
		if err := unix.Setns(int(n), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter a network namespace: %w", err)
		}
		return f()
	})
}

// elsewhere runs f, which may change the thread's namespace, and brings the
// thread back.
func elsewhere(f func() error) error {
	runtime.LockOSThread()
	home, err := currentNetns()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer unix.Close(int(home))
	err = f()
	if back := unix.Setns(int(home), unix.CLONE_NEWNET); back != nil {
		// The thread stays locked: nothing else is to run in its namespace.
		return errors.Join(err, fmt.Errorf("leave a network namespace: %w", back))
	}
	runtime.UnlockOSThread()
	return err
}

func currentNetns() (netns, error) {
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open the thread's network namespace: %w", err)
	}
	return netns(fd), nil
}
