// Package stats turns a run's manifest and samples into the values a report
// prints. It is pure: the same data give the same values.
//
// The unit is the boot. Metrics are divided by the bytes delivered; a boot's
// value is the median over its repetitions, a cell's value the median over its
// boots, one boot a seed. Changes are against the baseline kernel's same cell.
package stats

import (
	"slices"

	"splicelab/results/store"
)

// Key names a cell.
type Key struct {
	Workload  string `json:"workload"` // source-sink/method, or own/name
	Schedule  string `json:"schedule"` // lockstep, stream or program
	Sink      string `json:"sink,omitempty"`
	Chunk     int64  `json:"chunk"` // bytes
	Condition string `json:"condition"`
	Kernel    string `json:"kernel"`
	// Metric is what a program's cell is in; empty for a copy path, whose cells
	// are in instructions per byte delivered.
	Metric string `json:"metric,omitempty"`
}

// Spread is a median with the extremes it was taken from.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Mode is one group of a free-running cell's values.
type Mode struct {
	Spread
	Samples int `json:"samples"`
}

// UnitPerByte is the unit of copy paths: CPU instructions per byte delivered.
const UnitPerByte = "insns/B"

// Cell is what was measured of one cell.
type Cell struct {
	Key
	// Unit is what Value is in: UnitPerByte, or a program's Metric.
	Unit string `json:"unit"`
	// Value of a lock-step cell or a program's is the spread over boots. Of a stream
	// cell it is the range over boots and repetitions, and its median is 0:
	// such a cell has no single value (facts.md, section 7, trap 2).
	Value Spread `json:"value"`
	// Modes are the groups that a stream cell's values fall into: one, or two
	// with a clear gap between them.
	Modes []Mode `json:"modes,omitempty"`
	// Sender and Receiver are the parts of a lock-step cell's Value that
	// ran on either side, softirqs included: medians over boots. On loopback
	// TCP receives within the sender, and acknowledges within the receiver.
	Sender   float64 `json:"sender_insn_per_byte,omitempty"`
	Receiver float64 `json:"receiver_insn_per_byte,omitempty"`
	Boots    int     `json:"boots"`
	Samples  int     `json:"samples"`
	// Change is a lock-step cell's or a program's change against the baseline, in percent;
	// nil for the baseline itself and where it was not measured.
	Change *float64 `json:"change_percent,omitempty"`
	// Called says that Change is beyond the noise line.
	Called bool `json:"called"`
	// Control says that none of the kernel's patches touches the cell's code.
	Control bool `json:"control,omitempty"`
	// DependsOn names what turns the sign of Change round.
	DependsOn []string `json:"depends_on,omitempty"`
	// Notes are numbers of Result.Notes.
	Notes []int `json:"notes,omitempty"`
}

// BootSpread is how far the values of a lock-step cell's boots lie apart, in
// percent of their median.
func (c Cell) BootSpread() float64 { return 100 * (c.Value.Max - c.Value.Min) / c.Value.Median }

// Row is a line of a report's tables.
type Row struct {
	Workload string `json:"workload"`
	Sink     string `json:"sink,omitempty"`
	Chunk    int64  `json:"chunk"`
	Metric   string `json:"metric,omitempty"` // of a program
	// Control says that the row is a control for every kernel shown.
	Control bool `json:"control,omitempty"`
}

// Noise is the largest change of the control kernel, which is the baseline
// with nothing but its layout changed.
type Noise struct {
	// Known is false when no control was measured: then no change is called.
	Known   bool    `json:"known"`
	Percent float64 `json:"percent"` // absolute
	At      Key     `json:"at"`      // the cell it was found in
	Cells   int     `json:"cells"`   // how many were looked at
	// BootSpread is the widest range over boots of any lock-step cell, in
	// percent of its median; 0 where every cell has one boot. It is shown
	// beside the line and isn't part of it.
	BootSpread   float64 `json:"boot_spread_percent"`
	BootSpreadAt Key     `json:"boot_spread_at"`
	// ByCondition, ByChunk and ByFamily are its parts, for information: a family
	// has too few cells for a line of its own.
	ByCondition []NoisePart `json:"by_condition,omitempty"`
	ByChunk     []NoisePart `json:"by_chunk,omitempty"`
	ByFamily    []NoisePart `json:"by_family,omitempty"`
}

// NoisePart is the noise of the cells of one condition, chunk or family.
type NoisePart struct {
	Condition string  `json:"condition,omitempty"`
	Family    string  `json:"family,omitempty"`
	Chunk     int64   `json:"chunk,omitempty"`
	Percent   float64 `json:"percent"`
	Cells     int     `json:"cells"`
}

// UserCopies is a cell's number of copies from or to user memory per byte, out
// of what ERMS changes: such a copy takes 1/8 instruction a byte without it and
// 1 with it, in-kernel copies are the same (facts.md, section 7, trap 3).
type UserCopies struct {
	Key            // of the condition without ERMS
	ERMS   string  `json:"erms"` // the condition with it
	Copies float64 `json:"copies"`
}

// Account is one path's account of copies on one kernel: what probes on the
// functions that copy counted, per byte delivered.
type Account struct {
	Workload string `json:"workload"`
	Sink     string `json:"sink,omitempty"`
	Chunk    int64  `json:"chunk"` // bytes
	Kernel   string `json:"kernel"`
	// Copies is all copies by the CPU, ByFunction what each function has of
	// it, and User those from or to user memory.
	Copies     float64            `json:"copies"`
	ByFunction map[string]float64 `json:"by_function,omitempty"`
	User       float64            `json:"user"`
	// Headers is what copies of headers, which go before what is delivered,
	// would add to Copies and User. ByFunction has them.
	Headers float64 `json:"headers,omitempty"`
	// Referenced is how many of the bytes went into skbs by reference.
	Referenced float64 `json:"by_reference"`
	// Syscalls are the system calls of both sides per MiB. Skbs are the packets
	// per MiB that carried the payload through a network device, loopback
	// included, and Fragments in how many fragments: 0 where there is no device.
	Syscalls  float64 `json:"syscalls_per_mib,omitempty"`
	Skbs      float64 `json:"skbs_per_mib,omitempty"`
	Fragments float64 `json:"fragments_per_mib,omitempty"`
	// Model is the count of user copies that the second CPU model gives; nil
	// where it wasn't measured. Copies within the kernel are none of it, so
	// User is what it compares with. Disagree says that they are not the same.
	Model    *float64 `json:"user_by_cpu_model,omitempty"`
	Disagree bool     `json:"disagree,omitempty"`
	// Refused says that the kernel doesn't offer the path; then nothing was
	// counted.
	Refused bool `json:"refused,omitempty"`
	// Declared is what the kernel says of itself, for this sink; nil where it
	// says nothing. Contradicts says that it is something else.
	Declared    *store.Copies `json:"declared,omitempty"`
	Contradicts bool          `json:"contradicts,omitempty"`
	// Notes are numbers of Result.Notes.
	Notes []int `json:"notes,omitempty"`
}

// Kind sorts notes by what they are about.
type Kind string

// The kinds of note. The first five mean that something is wrong with the run.
const (
	Lost        Kind = "lost boots"
	Broken      Kind = "determinism broken"
	FailedOnes  Kind = "failed samples"
	Contradicts Kind = "contradicts its declaration"
	Undeclared  Kind = "not what it declares"

	Disagree     Kind = "accounts disagree"
	Unfinished   Kind = "unfinished"
	LeftOut      Kind = "left out"
	NoControl    Kind = "no control"
	Taint        Kind = "taint"
	Idle         Kind = "idle"
	ControlMoved Kind = "control moved"
	Depends      Kind = "depends"
	Overlap      Kind = "overlap"
	Spreads      Kind = "spreads"
)

// Note is a footnote: data that travel with the result.
type Note struct {
	Number int    `json:"number"` // from 1
	Kind   Kind   `json:"kind"`
	Text   string `json:"text"` // one line
	// Details are the cases, a line each.
	Details []string `json:"details,omitempty"`
}

// Result is everything a report of a count run prints beside the manifest.
type Result struct {
	Baseline string `json:"baseline"`
	Control  string `json:"control,omitempty"`
	// Kernels are the columns: the baseline first, the control left out.
	Kernels    []string `json:"kernels"`
	Conditions []string `json:"conditions"`
	// HeadlineChunk and HeadlineSink are what the summary shows, under the
	// first condition.
	HeadlineChunk int64  `json:"headline_chunk"`
	HeadlineSink  string `json:"headline_sink"`
	Seeds         int    `json:"seeds"`
	Noise         Noise  `json:"noise"`
	// ProgramNoise is that of programs.
	ProgramNoise []MetricNoise `json:"program_noise,omitempty"`
	// Proof is what the probes saw; nil when no kernel was verified.
	Proof *Proof `json:"proof,omitempty"`
	Rows  []Row  `json:"rows"`
	// Cells are in the order of the tables; the control kernel's are among
	// them.
	Cells      []Cell       `json:"cells"`
	UserCopies []UserCopies `json:"user_copies,omitempty"`
	// Crossovers are each path against its family's plain one first, then
	// kernels against kernels. There are none with fewer than four chunk sizes.
	Crossovers []Crossover `json:"crossovers,omitempty"`
	// Latencies are in the order of tables; the control's are among them.
	// LatencyNoise is the control's largest change of a P50, in percent; 0 where
	// there is none.
	Latencies    []Latency `json:"latencies,omitempty"`
	LatencyNoise float64   `json:"latency_noise_percent,omitempty"`
	// Accounts are in the order of rows, then kernels; the control's are among
	// them.
	Accounts []Account `json:"accounts,omitempty"`
	Notes    []Note    `json:"notes,omitempty"`

	index map[Key]int
}

// Cell returns the cell of that key, or nil where nothing was measured.
func (r *Result) Cell(k Key) *Cell {
	if i, ok := r.index[k]; ok {
		return &r.Cells[i]
	}
	return nil
}

// Wrong says whether a note of this kind means that something is wrong with the
// run: lost boots, samples that failed, broken determinism, a kernel that is not
// what it declares.
func (k Kind) Wrong() bool {
	return k == Lost || k == Broken || k == FailedOnes || k == Contradicts || k == Undeclared
}

// Wrong says whether any of the notes does.
func (r *Result) Wrong() bool {
	return slices.ContainsFunc(r.Notes, func(n Note) bool { return n.Kind.Wrong() })
}

// Count computes the values of a count run. It never fails: what is missing or
// unusable is said in the notes.
func Count(m store.Manifest, samples []store.Sample) *Result {
	c := newCounter(m)
	for _, s := range samples {
		c.add(s)
	}
	r := &Result{Baseline: m.Baseline, Control: m.Control, HeadlineSink: headlineSink, Seeds: seeds(m), Proof: Prove(m.Verifications, m.Baseline)}
	r.Cells = c.cells()
	r.reindex()
	r.changes()
	r.noise(m)
	r.programNoise()
	r.call()
	r.show(c)
	r.dependences(c)
	r.overlaps(c)
	r.userCopies(m)
	r.crossovers(c)
	r.latencies(c)
	r.accounts(c)
	r.notes(c)
	return r
}

func (r *Result) reindex() {
	r.index = make(map[Key]int, len(r.Cells))
	for i, c := range r.Cells {
		r.index[c.Key] = i
	}
}
