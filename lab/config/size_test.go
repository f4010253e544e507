package config_test

import (
	"testing"

	"splicelab/lab/config"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]config.Size{
		"0": 0, "1": 1, "1B": 1, "4096": 4096, "4KiB": 4096, "64K": 65536, "1MiB": 1 << 20, "1M": 1 << 20,
		"16777217": 1<<24 + 1, "9223372036854775807": 1<<63 - 1, "8796093022207M": (1<<43 - 1) << 20,
	} {
		if got, err := config.ParseSize(text); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "K", "B", "-1", "+1", "1.5K", "1 K", "64KB", "64k", "0x10", "1_000", "8796093022208M", "9223372036854775808", "4KiBB"} {
		if got, err := config.ParseSize(text); err == nil {
			t.Errorf("%q is taken for %d bytes", text, got)
		}
	}
}

func TestSizeString(t *testing.T) {
	for size, want := range map[config.Size]string{0: "0", 1: "1", 4096: "4KiB", 4097: "4097", 1 << 20: "1MiB", 3 << 19: "1536KiB"} {
		if got := size.String(); got != want {
			t.Errorf("%d: %s, want %s", int64(size), got, want)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	for _, seed := range []string{"4KiB", "64K", "1M", "B", "-1K", "99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		size, err := config.ParseSize(text)
		if err != nil {
			return
		}
		if size < 0 {
			t.Fatalf("%q is negative: %d", text, size)
		}
		if again, err := config.ParseSize(size.String()); err != nil || again != size {
			t.Fatalf("%q is %d, written %v, read back %d, %v", text, int64(size), size, int64(again), err)
		}
	})
}
