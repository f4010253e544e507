package vm

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrBoot marks a Boot that no machine can be made of: the caller's mistake,
// not the host's and not the guest's.
var ErrBoot = errors.New("bad boot")

// maxCmdline is COMMAND_LINE_SIZE less the closing NUL, in bytes
// (arch/x86/include/asm/setup.h). The kernel cuts a longer line silently.
const maxCmdline = 2047

// device is one part of the machine. It owns both its QEMU arguments and its
// kernel arguments, so that the two cannot drift apart.
type device interface {
	qemu() []string
	kernel() []string
}

// board is QEMU's microvm without ACPI, and how a guest leaves it: with a
// reset by triple fault, since it has no way to switch itself off.
type board struct {
	cpuModel  string
	memoryMiB int
	cpus      int
}

func (b board) qemu() []string {
	return []string{
		// PIT, PIC and RTC stay on: the PIT is the clock event device, and
		// for an RTC that isn't there the kernel waits a second of guest
		// time in PAUSE loops, 22 s of host time under icount (measured;
		// mc146818_avoid_UIP).
		"-machine", "microvm,acpi=off,isa-serial=off",
		"-cpu", b.cpuModel,
		"-smp", strconv.Itoa(max(1, b.cpus)),
		"-m", strconv.Itoa(b.memoryMiB),
		"-nodefaults", "-no-user-config",
		"-display", "none",
		"-no-reboot",
	}
}

func (board) kernel() []string { return []string{"reboot=t", "panic=-1"} }

// clock is the time source together with the accelerator that drives it.
type clock struct {
	accel Accelerator
	count bool
}

func (c clock) qemu() []string {
	if !c.count {
		return []string{"-accel", string(c.accel)}
	}
	return []string{
		"-accel", "tcg",
		// One instruction is one nanosecond of guest time, and an idle guest
		// jumps to its next timer (facts.md, section 7).
		"-icount", "shift=0,sleep=off,align=off",
		"-rtc", "base=2026-01-01,clock=vm",
	}
}

// kernel is empty for a time boot: there the kernel finds its clock itself.
func (c clock) kernel() []string {
	if !c.count {
		return nil
	}
	return []string{
		// 1 GHz exactly; calibration would find 999.993 MHz.
		"tsc_early_khz=1000000",
		// The calibration of the local APIC's timer waits 200 ms of guest
		// time in PAUSE loops, and under icount each PAUSE leaves QEMU's
		// translated code: 17 s of host time (measured). The PIT serves as
		// the clock event device instead.
		"nolapic_timer",
		// The check of the timer's interrupt is another 50 ms of PAUSE:
		// 1.5 s of host time (measured).
		"no_timer_check",
		// Enumerators in the print formats of trace events stay names: 250
		// million instructions, a second of host time (measured). Nothing
		// that counts reads those formats.
		"initcall_blacklist=trace_eval_init",
	}
}

// entropy is the only source of randomness the guest has.
type entropy struct{ seed uint64 }

func (e entropy) qemu() []string { return []string{"-seed", strconv.FormatUint(e.seed, 10)} }

// kernel keeps the host's own seed out: QEMU hands one over at boot
// (setup_data's SETUP_RNG_SEED), a new one each time in newer versions.
func (entropy) kernel() []string { return []string{"random.trust_bootloader=off"} }

// serialPort is a 16550 that writes to a file. Nothing feeds it: input would
// come when the host is ready, not when the guest's clock says so.
type serialPort struct {
	id    string
	index int
	path  string
	// console makes it the kernel's.
	console bool
}

func (s serialPort) qemu() []string {
	return []string{
		"-chardev", "file,id=" + s.id + ",path=" + optionValue(s.path),
		"-device", "isa-serial,chardev=" + s.id + ",index=" + strconv.Itoa(s.index),
	}
}

func (s serialPort) kernel() []string {
	if !s.console {
		return nil
	}
	return []string{"console=ttyS" + strconv.Itoa(s.index)}
}

// ResultDevice is the result stream's device as the guest sees it. It is a
// serial port: a write to it completes when the guest's own clock says so,
// which virtio-serial's doesn't.
const ResultDevice = "/dev/ttyS1"

// devices is the machine, in the order of its arguments.
func devices(b Boot) []device {
	m := b.Machine
	return []device{
		board{cpuModel: m.CPUModel, memoryMiB: m.MemoryMiB, cpus: m.CPUs},
		clock{accel: m.accelerator(), count: m.Count},
		entropy{seed: m.Seed},
		serialPort{id: "console", index: 0, path: b.Console, console: true},
		serialPort{id: "results", index: 1, path: b.Results},
	}
}

func (m Machine) accelerator() Accelerator {
	if m.Accelerator == "" {
		return TCG
	}
	return m.Accelerator
}

// Cmdline is the kernel's command line for a count boot or a time boot: what
// the machine's devices need, then extra in the given order. The first part
// has the same text in every boot of a mode.
func Cmdline(count bool, extra ...string) string {
	return strings.Join(append(kernelArgs(Boot{Machine: Machine{Count: count}}), extra...), " ")
}

func kernelArgs(b Boot) []string {
	var words []string
	for _, d := range devices(b) {
		words = append(words, d.kernel()...)
	}
	return words
}

// Args is QEMU's argument list for a boot, without the program's name and
// without the control socket that Run adds: typed by hand, it runs the same
// machine. Errors are ErrBoot.
func Args(b Boot) ([]string, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	var list []string
	for _, d := range devices(b) {
		list = append(list, d.qemu()...)
	}
	return append(list, "-kernel", b.Kernel, "-initrd", b.Initrd, "-append", b.Machine.Cmdline), nil
}

// Portable is b with every path shortened to its last element, for a manifest
// that must not depend on where the lab ran.
func (b Boot) Portable() Boot {
	for _, p := range []*string{&b.Kernel, &b.Initrd, &b.Console, &b.Results} {
		*p = filepath.Base(*p)
	}
	return b
}

func (b Boot) check() error {
	m := b.Machine
	switch {
	case m.CPUModel == "":
		return fmt.Errorf("%w: no CPU model: name one, such as qemu64", ErrBoot)
	case m.MemoryMiB < 64:
		return fmt.Errorf("%w: %d MiB of memory: give at least 64", ErrBoot, m.MemoryMiB)
	case m.CPUs < 0 || m.Count && m.CPUs > 1:
		return fmt.Errorf("%w: %d CPUs: a count boot has one, others at least one", ErrBoot, m.CPUs)
	case m.accelerator() != TCG && m.accelerator() != KVM:
		return fmt.Errorf("%w: accelerator %q: it is %s or %s", ErrBoot, m.Accelerator, TCG, KVM)
	case m.Count && m.accelerator() != TCG:
		return fmt.Errorf("%w: a count boot under %s: instructions are counted under %s only", ErrBoot, m.Accelerator, TCG)
	case len(m.Cmdline) > maxCmdline:
		return fmt.Errorf("%w: a kernel command line of %d bytes: the kernel reads %d", ErrBoot, len(m.Cmdline), maxCmdline)
	}
	for _, path := range []string{b.Kernel, b.Initrd, b.Console, b.Results} {
		if path == "" || strings.ContainsRune(path, 0) {
			return fmt.Errorf("%w: path %q: kernel, initrd, console and results each need a file", ErrBoot, path)
		}
	}
	have := strings.Fields(m.Cmdline)
	for _, word := range kernelArgs(b) {
		if !slices.Contains(have, word) {
			return fmt.Errorf("%w: the kernel command line lacks %s: make it with vm.Cmdline", ErrBoot, word)
		}
	}
	return nil
}

// optionValue escapes a value inside one of QEMU's comma-separated options.
func optionValue(s string) string { return strings.ReplaceAll(s, ",", ",,") }
