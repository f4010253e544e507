// Package vm runs one QEMU process: its arguments, QMP, the console, the
// watchdog, and what became of it.
package vm

import (
	"time"

	"splicelab/workloads/wire"
)

// Outcome is what became of a boot.
type Outcome string

// The outcomes. Only OK carries samples.
const (
	OK          Outcome = "ok"
	Panic       Outcome = "panic"        // the kernel gave up after the agent had started
	Oops        Outcome = "oops"         // BUG or Oops, whether or not the kernel went on
	Hang        Outcome = "hang"         // a cell's or the boot's deadline passed
	BootFailure Outcome = "boot failure" // the agent never started
	QEMUDied    Outcome = "qemu died"    // QEMU ended without a shutdown of the guest
	AgentError  Outcome = "agent error"  // the agent ended, or its stream is missing, torn or says so
)

// Accelerator is what executes the guest's instructions.
type Accelerator string

// The accelerators. The zero value is TCG.
const (
	TCG Accelerator = "tcg"
	// KVM is untested: no machine with usable hardware virtualisation was at
	// hand. It is for time boots alone.
	KVM Accelerator = "kvm"
)

// Machine is everything that QEMU is told and that a count boot's figures
// depend on. Its arguments stand in the manifest.
type Machine struct {
	CPUModel  string `json:"cpu_model"`
	MemoryMiB int    `json:"memory_mib"`
	// CPUs is 1 when 0. A count boot has one.
	CPUs int `json:"cpus,omitempty"`
	// Seed is QEMU's own -seed; the guest's random numbers come from it.
	Seed uint64 `json:"seed"`
	// Count selects -icount and the fixed clock.
	Count bool `json:"count"`
	// Accelerator is TCG when empty. A count boot is always TCG.
	Accelerator Accelerator `json:"accelerator,omitempty"`
	// Cmdline is the kernel's command line, made by Cmdline. It has the same
	// length in every boot of a comparison.
	Cmdline string `json:"cmdline"`
}

// Boot is one VM to run.
type Boot struct {
	Machine Machine
	Kernel  string // bzImage
	Initrd  string // initramfs with the plan behind it
	Console string // file the console goes to
	// Results is the file the result stream goes to.
	Results string
	// CPUDeadline bounds QEMU's own CPU time; WallDeadline is the last
	// resort. A loaded host changes no outcome by the first. Zero means no
	// bound; Run refuses a boot without any.
	CPUDeadline  time.Duration
	WallDeadline time.Duration
}

// Result is what a boot came to.
type Result struct {
	Outcome Outcome
	// Detail is one line: why.
	Detail string
	// Tail is the console's last lines, for every outcome but OK.
	Tail string
	// Taints are unexpected lines of the kernel's log (WARNING, RCU stall):
	// the boot counts, with a footnote.
	Taints []string
	Stream wire.Stream
	CPU    time.Duration // QEMU's CPU time
	Wall   time.Duration
}
