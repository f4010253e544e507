package main

import "testing"

// A process's name may hold anything.
func TestParent(t *testing.T) {
	for stat, want := range map[string]int{
		"12 (sh) S 7 12 12 0 -1": 7, "12 (a ) S 3 (b)) R 8 1 1": 8, "": 0, "12 (sh)": 0, "12 (sh) S x": 0,
	} {
		if got := parent([]byte(stat)); got != want {
			t.Errorf("%q: %d, want %d", stat, got, want)
		}
	}
}
