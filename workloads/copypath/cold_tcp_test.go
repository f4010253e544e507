package copypath

import (
	"errors"
	"testing"
)

// Without this a transfer from the page cache would pass for one from a disk. A
// VM tests that a cold source is found cold.
func TestAWarmSourceIsNotCold(t *testing.T) {
	if err := openSource(t).cold(); !errors.Is(err, errWarm) {
		t.Errorf("got %v, want %v", err, errWarm)
	}
}

func TestATransferTakesNoChunkTwice(t *testing.T) {
	for _, tc := range []struct {
		family              string
		chunk, round, moved int64
	}{
		{"xfs-cold-tcp", 1 << 10, 4 << 20, 4 << 20},
		{"xfs-cold-tcp", 64 << 10, SourceBytes, SourceBytes},
		{"xfs-cold-tcp", 1 << 20, SourceBytes, SourceBytes},
		{"xfs-cold-tcp", 5 << 20, 15 << 20, 15 << 20},
		{"small-tcp", 1 << 10, 1 << 20, 1 << 20},
		{"small-tcp", 64 << 10, SourceBytes, SourceBytes},
		{"xfs-tcp", 1 << 20, SourceBytes, 64 << 20},
	} {
		f, err := Lookup(tc.family)
		if err != nil {
			t.Fatal(err)
		}
		if round, moved := f.round(tc.chunk), f.TransferBytes(tc.chunk); round != tc.round || moved != tc.moved {
			t.Errorf("%s, chunk %d: starts over after %d bytes and moves %d, want %d and %d", tc.family, tc.chunk, round, moved, tc.round, tc.moved)
		}
	}
}
