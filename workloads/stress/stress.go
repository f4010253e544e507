// Package stress moves a file by splice and sendfile while others write to it,
// truncate it and punch holes into it: what a kernel's locking has to stand. It
// measures nothing; the kernel's log tells what came of it.
package stress

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// size is the file's when it isn't truncated, in bytes.
const size = 256 << 10

// Run works on a file in dir for so long, and fails when a system call does
// something that no order of the others explains.
func Run(dir string, long time.Duration) (err error) {
	f, err := os.OpenFile(filepath.Join(dir, "stressed"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("create the file: %w", err)
	}
	defer f.Close()
	s := &stress{file: int(f.Fd()), until: time.Now().Add(long)}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.open(); err != nil {
		return err
	}
	var all sync.WaitGroup
	tasks := map[string]func() error{
		"splice": s.splice, "sendfile": s.sendfile, "pwrite": s.write, "ftruncate": s.truncate, "fallocate": s.punch,
	}
	failed := make(chan error, len(tasks))
	for name, step := range tasks {
		all.Go(func() {
			// A thread each: all sleep in the kernel at the same time.
			runtime.LockOSThread()
			if err := s.repeat(step); err != nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	all.Wait()
	close(failed)
	for e := range failed {
		err = errors.Join(err, e)
	}
	return err
}

// stress is one run. What moves out of the file goes to /dev/null by splice and
// into a socket by sendfile.
type stress struct {
	file, null int
	pipe       [2]int
	socket     [2]int
	until      time.Time
}

func (s *stress) open() (err error) {
	if s.null, err = unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open /dev/null: %w", err)
	}
	if err := unix.Pipe2(s.pipe[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	if s.socket, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("socketpair: %w", err)
	}
	return nil
}

func (s *stress) close() error {
	var err error
	for _, fd := range []int{s.null, s.pipe[0], s.pipe[1], s.socket[0], s.socket[1]} {
		if fd > 0 {
			err = errors.Join(err, unix.Close(fd))
		}
	}
	return err
}

func (s *stress) repeat(step func() error) error {
	for time.Now().Before(s.until) {
		if err := step(); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return nil
}

// splice moves the file into the pipe and out again. The file may end anywhere.
func (s *stress) splice() error {
	for offset := int64(0); ; {
		n, err := unix.Splice(s.file, &offset, s.pipe[1], nil, 64<<10, 0)
		if err != nil || n == 0 {
			return err
		}
		for left := int(n); left > 0; {
			out, err := unix.Splice(s.pipe[0], nil, s.null, nil, left, 0)
			if err != nil {
				return err
			}
			left -= int(out)
		}
	}
}

// sendfile sends what fits into the socket, and receives it.
func (s *stress) sendfile() error {
	const chunk = 32 << 10 // less than the socket holds
	buf := make([]byte, chunk)
	for offset := int64(0); ; {
		n, err := unix.Sendfile(s.socket[0], s.file, &offset, chunk)
		if err != nil || n == 0 {
			return err
		}
		for n > 0 {
			in, err := unix.Read(s.socket[1], buf[:n])
			if err != nil {
				return err
			}
			n -= in
		}
	}
}

func (s *stress) write() error {
	buf := make([]byte, 20_000) // no multiple of a page
	for at := int64(0); at < size; at += int64(len(buf)) {
		n, err := unix.Pwrite(s.file, buf, at)
		if err != nil {
			return err
		}
		if n != len(buf) {
			return io.ErrShortWrite
		}
	}
	return nil
}

func (s *stress) truncate() error {
	for _, to := range []int64{100, size / 3, size} {
		if err := unix.Ftruncate(s.file, to); err != nil {
			return err
		}
	}
	return nil
}

func (s *stress) punch() error {
	for at := int64(1000); at < size; at += 50_000 {
		if err := unix.Fallocate(s.file, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, 30_000); err != nil {
			return err
		}
	}
	return nil
}
