package copypath

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"unsafe"

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

func connectHugePipe(c *Cell) error {
	huge, err := c.hugeMemory(SourceBytes)
	if err != nil {
		return err
	}
	copy(huge, c.src.User)
	c.user = huge
	return connectPipe(c)
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
	for i := 0; i < n; i += os.Getpagesize() {
		b[i] = 1
	}
	got, err := hugeBytes(uintptr(unsafe.Pointer(&b[0])))
	if err != nil {
		return nil, err
	}
	if got != n {
		return nil, fmt.Errorf("of %d bytes that are to be on huge pages %d are", n, got)
	}
	return b, nil
}

// anonHuge finds a mapping that begins at an address and what of it is on huge
// pages, in KiB (proc_pid_smaps).
const anonHuge = `(?m)^%x-(?:.*\n)(?:[A-Z].*\n)*?AnonHugePages: +(\d+) kB`

// hugeBytes is how much of the mapping that begins at an address is on huge
// pages. The kernel splits a mapping where part of it is advised.
func hugeBytes(at uintptr) (int, error) {
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return 0, fmt.Errorf("which memory is on huge pages: %w", err)
	}
	m := regexp.MustCompile(fmt.Sprintf(anonHuge, at)).FindSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("which memory is on huge pages: no mapping at %#x", at)
	}
	kib, err := strconv.Atoi(string(m[1]))
	if err != nil {
		return 0, fmt.Errorf("which memory is on huge pages: %w", err)
	}
	return kib << 10, nil
}
