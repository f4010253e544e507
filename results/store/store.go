// Package store keeps what was measured: one folder a run, with the manifest,
// the samples and the consoles.
package store

import (
	"slices"
	"strings"
	"time"

	"splicelab/images/kernel"
	"splicelab/workloads/wire"
)

// Sample is one object of samples.jsonl.
type Sample struct {
	Kernel   string           `json:"kernel"`
	Workload string           `json:"workload"` // source-sink/method, or own/name
	Schedule string           `json:"schedule"`
	Sink     string           `json:"sink,omitempty"`
	CPUModel string           `json:"cpu_model"` // a name of the manifest's Conditions
	Profile  string           `json:"profile"`
	Chunk    int64            `json:"chunk"` // bytes
	Bytes    int64            `json:"bytes"`
	Mode     string           `json:"mode"` // count or account
	Boot     string           `json:"boot"` // a name of the manifest's Boots
	Rep      int              `json:"rep"`
	Seed     uint64           `json:"seed"`
	Metrics  map[string]int64 `json:"metrics,omitempty"`
	// Benchmarks are what a user's own program printed.
	Benchmarks []wire.Benchmark `json:"benchmarks,omitempty"`
	Outcome    string           `json:"outcome"` // "ok", or why the sample doesn't count
}

// Boot is one boot of the run, planned or done.
type Boot struct {
	Name   string `json:"name"`
	Kernel string `json:"kernel"`
	Family string `json:"family,omitempty"`
	// Families are those of a boot that counts copies, in place of Family.
	Families  []string `json:"families,omitempty"`
	Condition string   `json:"condition"`
	Seed      uint64   `json:"seed"`
	// Repeat counts boots of the same trial: 0 is measured, 1 and up must give
	// the same digits and are not counted twice.
	Repeat int `json:"repeat,omitempty"`
	// Mode is ModeAccount where the boot isn't of the manifest's mode.
	Mode string `json:"mode,omitempty"`

	Outcome string   `json:"outcome,omitempty"` // empty until it was run
	Detail  string   `json:"detail,omitempty"`
	Taints  []string `json:"taints,omitempty"`
	UUID    string   `json:"uuid,omitempty"`
	// Digest is the SHA-256 of the result stream: two boots of one trial have
	// the same.
	Digest string `json:"digest,omitempty"`
	// Earlier is the Digest of an earlier boot with the same inputs, from the
	// sample cache; empty when there was none.
	Earlier string `json:"earlier,omitempty"`
	// HostCPU is what QEMU took, in seconds of the host's CPU time. No figure
	// depends on it.
	HostCPU float64 `json:"host_cpu_s,omitempty"`
	// Cached says that the samples are those of an earlier boot with the same
	// inputs.
	Cached bool `json:"cached,omitempty"`

	// Samples and SamplesSHA256 are set by Run.Commit: how many lines of
	// samples.jsonl are this boot's, and the SHA-256 of their bytes, in hex. A
	// line that was lost or changed later is an error, never a missing row.
	Samples       int    `json:"samples,omitempty"`
	SamplesSHA256 string `json:"samples_sha256,omitempty"`
}

// ModeAccount is the mode of boots and samples that count copied bytes.
const ModeAccount = "account"

// OK is the outcome of a boot or a sample that counts.
const OK = "ok"

// planned is the boot as it was before it was run.
func (b Boot) planned() Boot {
	return Boot{
		Name: b.Name, Kernel: b.Kernel, Family: b.Family, Families: b.Families, Condition: b.Condition,
		Seed: b.Seed, Repeat: b.Repeat, Mode: b.Mode,
	}
}

// Done says whether the boot was run, whatever became of it.
func (b Boot) Done() bool { return b.Outcome != "" }

// Condition is a named set of what may differ between boots beside the kernel
// and the family: the CPU model and boot parameters.
type Condition struct {
	Name     string `json:"name"` // qemu64, qemu64+erms, qemu64/init_on_alloc
	CPUModel string `json:"cpu_model"`
	Cmdline  string `json:"cmdline"`
	// Kernels are those the condition is measured on; empty means all.
	Kernels []string `json:"kernels,omitempty"`
}

// Measures says whether the condition is measured on the kernel.
func (c Condition) Measures(kernel string) bool {
	return len(c.Kernels) == 0 || slices.Contains(c.Kernels, kernel)
}

// File is a file that figures depend on.
type File struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// ManifestVersion changes whenever an older lab would misread a manifest.
const ManifestVersion = 1

// Manifest is everything needed to repeat a run's figures, in itself.
type Manifest struct {
	Version int       `json:"version"`
	Name    string    `json:"name"`
	Started time.Time `json:"started"`
	// Finished is zero while the run can be resumed.
	Finished time.Time `json:"finished,omitzero"`
	Command  string    `json:"command"` // that repeats it
	Lab      string    `json:"lab"`     // version-control revision, "+dirty" when changed
	Config   string    `json:"config"`  // the effective configuration, whole, YAML
	Mode     string    `json:"mode"`

	Baseline string         `json:"baseline"`
	Control  string         `json:"control,omitempty"` // base-shifted
	Kernels  []kernel.Image `json:"kernels"`
	// Patches are the user's own series, by kernel, from before the first
	// build: a run goes on with them when their files are gone.
	Patches map[string][]kernel.Series `json:"patches,omitempty"`
	// Failed are kernels that could not be built, with the reason.
	Failed map[string]string `json:"failed,omitempty"`

	Guest       File     `json:"guest"`     // the agent
	Initramfs   File     `json:"initramfs"` // without the plan
	GoVersion   string   `json:"go_version"`
	QEMUVersion string   `json:"qemu_version"`
	QEMUArgs    []string `json:"qemu_args"` // of one boot, paths shortened

	Host        Host        `json:"host"`
	Accelerator string      `json:"accelerator"`
	Conditions  []Condition `json:"conditions"`
	Workloads   []string    `json:"workloads"` // shown in reports; globs
	Chunks      []int64     `json:"chunks"`
	Reps        int         `json:"reps"`
	Boots       []Boot      `json:"boots"`
	// Programs are the user's own, as they were run.
	Programs []Program `json:"programs,omitempty"`
	// Controls names, by kernel, the workloads whose code none of the kernel's
	// patches touches, as path.Match globs; kernel "*" stands for all. Their
	// change is expected to stay within the noise line.
	Controls map[string][]string `json:"controls,omitempty"`
	// Copies is what each kernel declares, by kernel and workload. A kernel
	// that isn't in it declares nothing, and is described, not judged.
	Copies map[string]map[string]Copies `json:"copies,omitempty"`
	// Verifications are what the probes saw, of each kernel that was booted for
	// it.
	Verifications []Verification `json:"verifications,omitempty"`
	// Settings are the guest's, as the agent reported them.
	Settings map[string]string `json:"settings,omitempty"`
	// Notes are said aloud above every report: a pin that was not met, broken
	// determinism, lost boots.
	Notes []string `json:"notes,omitempty"`
}

// Program is a user's own workload, own/NAME, with all it was given in the VM.
type Program struct {
	Name    string   `json:"name"`
	About   string   `json:"about,omitempty"`
	Command []string `json:"command"`
	// Initramfs is the one that its boots used, without the plan.
	Initramfs File          `json:"initramfs"`
	Files     []ProgramFile `json:"files"`
}

// ProgramFile is one file of a program, by its path in the VM.
type ProgramFile struct {
	File
	// From is its path on the host, or its package and version.
	From string `json:"from"`
}

// Copies is what a kernel declares of a workload whose receiver reads.
type Copies struct {
	// PerByte is how often the CPU copies a byte that is delivered.
	PerByte float64 `json:"per_byte"`
	// ByReference: skbs hold the source's own pages.
	ByReference bool `json:"by_reference,omitempty"`
	// Refused: the system call fails.
	Refused bool `json:"refused,omitempty"`
}

// Host is the machine the VMs ran on.
type Host struct {
	CPU       string `json:"cpu"`
	Cores     int    `json:"cores"`
	MemoryMiB int    `json:"memory_mib"`
	Kernel    string `json:"kernel"`
	OS        string `json:"os"`
}

// OwnFamily is the first part of the names of a user's own programs: own/NAME.
const OwnFamily = "own"

// IsProgram says whether a workload is a user's own program.
func IsProgram(workload string) bool { return strings.HasPrefix(workload, OwnFamily+"/") }

// Family is the part of a workload's name before the method: file-tcp of
// file-tcp/sendfile. One boot runs one family. A program is a family of its own.
func Family(workload string) string {
	if IsProgram(workload) {
		return workload
	}
	family, _, _ := strings.Cut(workload, "/")
	return family
}
