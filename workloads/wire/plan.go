// Package wire is the plan and the results as the host and the guest both see
// them. It is the only package the two sides share.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Version changes whenever either side would misread the other. It is part of
// every plan and of every result stream.
const Version = 1

// PlanPath is where the plan lies in the guest's file system.
const PlanPath = "/plan"

// PlanSize is the size of the plan file in bytes. It is constant because the
// figures of a boot depend on everything that is loaded before it (facts.md,
// section 7, trap 6): a longer name must not move a page.
const PlanSize = 4096

// Kind is what a boot is for.
type Kind string

const (
	// KindCount runs one family of copy paths and counts instructions.
	KindCount Kind = "count"
	// KindAccount runs families one after the other and counts the bytes that
	// are copied: each cell once in lock-step for each sink. Unlike
	// instructions, copies don't depend on what ran before.
	KindAccount Kind = "account"
	// KindProgram runs a user's own program.
	KindProgram Kind = "program"
	// KindVerify runs every probe (package probe) and measures nothing.
	KindVerify Kind = "verify"
	// KindSelftest runs the kernel's own tests that lie in the initramfs
	// (package selftest) and measures nothing.
	KindSelftest Kind = "selftest"
	// KindStress moves a file on XFS while others change it (package stress).
	KindStress Kind = "stress"
	// KindFault provokes one fault and measures nothing. It exists for the
	// tests of the outcomes.
	KindFault Kind = "fault"
)

// Plan is one boot's work. A count boot is a pure function of the kernel
// image, the initramfs, the CPU model, the kernel's command line and the plan.
type Plan struct {
	Version int    `json:"version"`
	Kind    Kind   `json:"kind"`
	Family  string `json:"family,omitempty"`
	// Families are those of a KindAccount boot, in place of Family and Chunks.
	Families []FamilyPlan `json:"families,omitempty"`
	// Line is the kernel's, 6.12: it decides on the functions that an account
	// watches.
	Line string `json:"line,omitempty"`
	Seed uint64 `json:"seed"`
	// Chunks are the sizes of one system call's length argument, in bytes.
	Chunks []int64 `json:"chunks,omitempty"`
	// Schedules are those to be measured.
	Schedules []string `json:"schedules,omitempty"`
	// Reps is the number of measured transfers of each cell and schedule.
	Reps int `json:"reps,omitempty"`
	// CellDeadline is how long one cell, or one probe, may take, in seconds of
	// guest time.
	CellDeadline int `json:"cell_deadline_s,omitempty"`
	// Stress is how long a KindStress boot works, in seconds of guest time.
	Stress int `json:"stress_s,omitempty"`
	// Fault names what a KindFault boot provokes.
	Fault string `json:"fault,omitempty"`
	// Command is what a KindProgram boot runs, as an argument list. Its files
	// lie in the initramfs.
	Command []string `json:"command,omitempty"`
}

// FamilyPlan is what an account counts of one family.
type FamilyPlan struct {
	Family string  `json:"family"`
	Chunks []int64 `json:"chunks"` // as Plan.Chunks
}

// Only returns the plan with that one of its Families as Family and Chunks.
// ErrPlan: it has no such family.
func (p Plan) Only(family string) (Plan, error) {
	i := slices.IndexFunc(p.Families, func(f FamilyPlan) bool { return f.Family == family })
	if i < 0 {
		return Plan{}, fmt.Errorf("%w: it has no family %q", ErrPlan, family)
	}
	p.Family, p.Chunks, p.Families = family, p.Families[i].Chunks, nil
	return p, nil
}

// ProgramDir is where the files beside a user's program lie in the guest, and
// where the program runs.
const ProgramDir = "/own"

// ProgramPath is where a program without a slash in its name is looked for, in
// the guest.
const ProgramPath = ProgramDir + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// ErrPlan marks a plan that the guest cannot follow.
var ErrPlan = errors.New("bad plan")

// Encode returns the plan as the PlanSize bytes of its file.
func (p Plan) Encode() ([]byte, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	if len(text) > PlanSize-1 {
		return nil, fmt.Errorf("%w: %d bytes, room for %d: name fewer chunks, or a shorter command", ErrPlan, len(text), PlanSize-1)
	}
	file := bytes.Repeat([]byte{' '}, PlanSize)
	copy(file, text)
	file[PlanSize-1] = '\n'
	return file, nil
}

// DecodePlan is the inverse of Encode. Unknown keys are errors: they mean that
// host and guest are of different builds.
func DecodePlan(file []byte) (Plan, error) {
	if len(file) != PlanSize {
		return Plan{}, fmt.Errorf("%w: %d bytes, want %d", ErrPlan, len(file), PlanSize)
	}
	dec := json.NewDecoder(bytes.NewReader(file))
	dec.DisallowUnknownFields()
	var p Plan
	if err := dec.Decode(&p); err != nil {
		return Plan{}, fmt.Errorf("%w: %v", ErrPlan, err)
	}
	if p.Version != Version {
		return Plan{}, fmt.Errorf("%w: version %d, this side speaks %d", ErrPlan, p.Version, Version)
	}
	return p, nil
}
