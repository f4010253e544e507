package vm

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

func countBoot() Boot {
	return Boot{
		Machine: Machine{
			CPUModel: "qemu64,+smap", MemoryMiB: 512, Seed: 7, Count: true,
			Cmdline: Cmdline(true, "init_on_alloc=1", "quiet"),
		},
		Kernel: "/cache/k,1/bzImage", Initrd: "/cache/initrd", Console: "/runs/a,b/c 1.txt", Results: "/runs/a,b/r 1",
		CPUDeadline: time.Minute,
	}
}

func TestArgs(t *testing.T) {
	count := countBoot()
	timed := count
	timed.Machine.Count, timed.Machine.Accelerator = false, KVM
	timed.Machine.Cmdline = Cmdline(false)
	two := timed
	two.Machine.CPUs = 2
	for name, b := range map[string]Boot{"count": count, "time": timed, "two-cpus": two, "portable": count.Portable()} {
		t.Run(name, func(t *testing.T) {
			list, err := Args(b)
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "args", name+".txt")
			got := strings.Join(list, "\n") + "\n"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
	if count.Kernel != "/cache/k,1/bzImage" {
		t.Errorf("Portable changed its receiver: %s", count.Kernel)
	}
}

func TestArgsRefuses(t *testing.T) {
	tests := map[string]struct {
		spoil func(*Boot)
		says  string
	}{
		"no CPU model":      {func(b *Boot) { b.Machine.CPUModel = "" }, "CPU model"},
		"no memory":         {func(b *Boot) { b.Machine.MemoryMiB = 0 }, "0 MiB"},
		"no console":        {func(b *Boot) { b.Console = "" }, "console"},
		"accelerator":       {func(b *Boot) { b.Machine.Accelerator = "xen" }, `"xen"`},
		"count on KVM":      {func(b *Boot) { b.Machine.Accelerator = KVM }, "under tcg only"},
		"count on two CPUs": {func(b *Boot) { b.Machine.CPUs = 2 }, "2 CPUs: a count boot has one"},
		"less than no CPU":  {func(b *Boot) { b.Machine.Count, b.Machine.CPUs = false, -1 }, "-1 CPUs"},
		"own cmdline":       {func(b *Boot) { b.Machine.Cmdline = "console=ttyS0" }, "vm.Cmdline"},
		"time's cmdline":    {func(b *Boot) { b.Machine.Cmdline = Cmdline(false) }, "tsc_early_khz"},
		"long cmdline":      {func(b *Boot) { b.Machine.Cmdline += strings.Repeat(" x", 1000) }, "2047"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := countBoot()
			test.spoil(&b)
			_, err := Args(b)
			if !errors.Is(err, ErrBoot) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want ErrBoot with %q", err, test.says)
			}
		})
	}
}
