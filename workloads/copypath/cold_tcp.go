package copypath

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func ext4ColdTCP() Family {
	return cold(ext4TCP(), "ext4-cold-tcp", "ext4")
}

func xfsColdTCP() Family {
	return cold(xfsTCP(), "xfs-cold-tcp", "XFS")
}

// fewChunks is how many chunks a transfer takes at most that takes none twice. The
// smallest ones would be most of a boot's work.
const fewChunks = 4096

// cold is a family of the same paths whose source isn't in the page cache when a
// transfer begins. Each transfer takes every byte once. What is read ahead of a
// chunk is in the page cache when its turn comes, as in any program that reads a
// file from its start.
func cold(f Family, name, fs string) Family {
	f.Name = name
	f.About = "a file on " + fs + " that is not in the page cache, on a RAM disk, to a TCP socket over loopback; " +
		"the disk's own copy into the page cache is in the instructions, and is seen by no account of copies"
	f.Once, f.Duplex, f.Schedules = fewChunks, false, alone()
	f.tune = func(c *Cell, schedule string) error {
		return errors.Join(tuneTCP(c, schedule), c.src.chill())
	}
	for i := range f.Methods {
		if f.Methods[i].Name == "mmap-send" {
			f.Methods[i].About = "send(2) from a shared mapping of the file, mapped beforehand and not touched: page faults are in the figures"
		}
	}
	return f
}

// errWarm: the source is in the page cache, and isn't to be.
var errWarm = errors.New("the source isn't cold")

// dropCachesFile drops every clean page of every page cache that nobody maps or
// holds, when a 1 is written to it. Inodes, and with them what is known of where
// a file's blocks lie, stay.
const dropCachesFile = "/proc/sys/vm/drop_caches"

// chill drops the source from the page cache and makes sure that no page of it is
// left. Pages that were sent by reference are held until they are acknowledged,
// which a receiver does 40 ms late at most (TCP_DELACK_MIN), so that it tries more
// than once.
func (s *Source) chill() error {
	// A page that is mapped stays. The mapping does, without its pages.
	if err := unix.Madvise(s.Mapped, unix.MADV_DONTNEED); err != nil {
		return fmt.Errorf("unmap the source's pages: %w", err)
	}
	const tries, pause = 20, 20 * time.Millisecond
	var err error
	for range tries {
		if err := os.WriteFile(dropCachesFile, []byte("1"), 0); err != nil {
			return fmt.Errorf("drop the page cache: %w", err)
		}
		if err = s.cold(); err == nil || !errors.Is(err, errWarm) {
			return err
		}
		time.Sleep(pause)
	}
	return err
}

// cold returns errWarm if a page of the source is in the page cache.
func (s *Source) cold() error {
	pages := make([]byte, SourceBytes/int64(os.Getpagesize()))
	if err := mincore(s.Mapped, pages); err != nil {
		return err
	}
	resident := 0
	for _, p := range pages {
		resident += int(p & 1) // the other bits are reserved
	}
	if resident > 0 {
		return fmt.Errorf("%w: %d of its %d pages are in the page cache", errWarm, resident, len(pages))
	}
	return nil
}

// mincore sets a byte for each page of a mapping: of a file's, whether it is in
// the page cache, be it mapped or not (mincore_pte_range).
func mincore(mapped, pages []byte) error {
	if r := syscall6(unix.SYS_MINCORE, addr(mapped), uintptr(len(mapped)), addr(pages), 0, 0, 0); r < 0 {
		return fmt.Errorf("which pages are in the page cache: %w", unix.Errno(-r))
	}
	return nil
}
