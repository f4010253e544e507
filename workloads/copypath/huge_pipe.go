package copypath

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// hugePageBytes is x86-64's, mapped by a page middle directory.
const hugePageBytes = 2 << 20

func hugePipe() Family {
	f := userPipe()
	f.Name = "huge-pipe"
	f.About = "user memory on huge pages to a pipe, and read(2) from it"
	f.connect = connectHugePipe
	return f
}

// hugePagesFile says who gets huge pages: always, madvise, never.
const hugePagesFile = "/sys/kernel/mm/transparent_hugepage/enabled"

func connectHugePipe(c *Cell) error {
	if err := c.useHugePages(); err != nil {
		return err
	}
	return connectPipe(c)
}

// useHugePages puts the cell's user memory on huge pages.
func (c *Cell) useHugePages() error {
	// A machine of less than 512 MiB begins with never (hugepage_init).
	if err := os.WriteFile(hugePagesFile, []byte("madvise"), 0); err != nil {
		return fmt.Errorf("allow huge pages: %w", err)
	}
	huge, err := c.hugeMemory(SourceBytes)
	if err != nil {
		return err
	}
	copy(huge, c.src.User)
	c.user = huge
	return nil
}

// hugeMemory returns n bytes, whole huge pages, on huge pages, until Close. A
// kernel that gives others is an error.
func (c *Cell) hugeMemory(n int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, n+hugePageBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", n, err)
	}
	c.maps = append(c.maps, b)
	skip := int(-addr(b) & (hugePageBytes - 1))
	b = b[skip : skip+n]
	if err := unix.Madvise(b, unix.MADV_HUGEPAGE); err != nil {
		return nil, fmt.Errorf("ask for huge pages: %w", err)
	}
	before, err := hugeBytes()
	if err != nil {
		return nil, err
	}
	for i := 0; i < n; i += os.Getpagesize() {
		b[i] = 1
	}
	after, err := hugeBytes()
	if err != nil {
		return nil, err
	}
	if after-before != n {
		return nil, fmt.Errorf("of %d bytes that are to be on huge pages %d are", n, after-before)
	}
	return b, nil
}

// hugeBytes is how much anonymous memory of all processes is on huge pages.
// That of a mapping alone is in /proc/self/smaps, which the lab's kernels don't
// have (PROC_PAGE_MONITOR).
func hugeBytes() (int, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("how much memory is on huge pages: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		var kib int
		if n, _ := fmt.Sscanf(line, "AnonHugePages: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, errors.New("how much memory is on huge pages: not in /proc/meminfo (TRANSPARENT_HUGEPAGE)")
}
