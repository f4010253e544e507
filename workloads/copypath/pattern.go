package copypath

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// SourceBytes is the size of the source. A longer transfer starts over.
const SourceBytes = 16 << 20

// period is the pattern's period in bytes: a prime, so that no misplaced page,
// chunk or buffer of a power of two compares equal.
const period = 65521

// Source is the bytes that are sent, in the forms the copy paths need. All of
// it is touched before the first cell.
type Source struct {
	Dir    string // where the file is, and where a sink's may be
	File   int    // the page cache's: a file
	Mapped []byte // the file, MAP_SHARED
	User   []byte // a copy in anonymous memory, page-aligned
}

// OpenSource writes the pattern to a new file at name and maps it.
func OpenSource(name string) (*Source, error) {
	user, err := anonymous(SourceBytes)
	if err != nil {
		return nil, fmt.Errorf("map the source: %w", err)
	}
	fillPattern(user)
	if err := os.WriteFile(name, user, 0o600); err != nil {
		return nil, fmt.Errorf("write the source: %w", err)
	}
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the source %s: %w", name, err)
	}
	mapped, err := unix.Mmap(fd, 0, SourceBytes, unix.PROT_READ, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("map the source %s: %w", name, err)
	}
	return &Source{Dir: filepath.Dir(name), File: fd, Mapped: mapped, User: user}, nil
}

// Close gives the source's memory and file back.
func (s *Source) Close() error {
	err := unix.Munmap(s.Mapped)
	if e := unix.Munmap(s.User); err == nil {
		err = e
	}
	if e := unix.Close(s.File); err == nil {
		err = e
	}
	return err
}

// anonymous returns n bytes of touched, page-aligned memory that the Go
// runtime doesn't know.
func anonymous(n int64) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, err
	}
	// An untouched anonymous page is the shared zero page (facts.md, section 5).
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 1
	}
	return b, nil
}

// fillPattern fills b with bytes of a period that is a prime.
func fillPattern(b []byte) {
	x := uint32(2463534242)
	n := min(period, len(b))
	for i := range n {
		// Marsaglia's xorshift32: any fixed sequence of bytes would do.
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	for ; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// compare returns an error that names the first byte of got that isn't what
// the source has at off.
func (s *Source) compare(got []byte, off int64) error {
	want := s.User[off : off+int64(len(got))]
	if bytes.Equal(got, want) {
		return nil
	}
	for i := range got {
		if got[i] != want[i] {
			return fmt.Errorf("%w: byte %d of the source arrived as %#02x, was %#02x", ErrIntegrity, off+int64(i), got[i], want[i])
		}
	}
	return nil
}
