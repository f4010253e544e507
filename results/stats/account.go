package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// accountTolerance is how far an account may be from what the kernel declares,
// as a part of it, or in copies where it is less than one.
const accountTolerance = 0.005

// modelTolerance is how far the CPU models' count of user copies may be from the
// account's, in copies. Theirs is a difference of two cells of two boots, and
// what ran before a cell moves it: by 0.027 at most over ten kernels and all
// paths of three families at 64 KiB (measured). What is copied once more, or
// not at all, is 1.
const modelTolerance = 0.05

// accounts turns the account boots' samples into copies per byte.
func (r *Result) accounts(c *counter) {
	var failed []string
	for _, s := range c.accounts {
		if !c.isShown(s.Workload) {
			continue
		}
		a := Account{Workload: s.Workload, Sink: s.Sink, Chunk: s.Chunk, Kernel: s.Kernel, Declared: declared(c.m, s)}
		switch {
		case refused(c.m, s):
			a.Refused = true
		case s.Outcome != store.OK || s.Bytes <= 0:
			failed = append(failed, fmt.Sprintf("%s: %s", a.describe(), cmp.Or(s.Outcome, "it has no bytes")))
			continue
		default:
			a.count(s)
			a.compare(r, c)
		}
		r.Accounts = append(r.Accounts, a)
	}
	slices.SortStableFunc(r.Accounts, func(a, b Account) int {
		return cmp.Or(c.compareRows(a.row(), b.row()), cmp.Compare(c.kernelRank(a.Kernel), c.kernelRank(b.Kernel)))
	})
	c.noteAccounts(r, failed)
}

func (a Account) row() Key { return Key{Workload: a.Workload, Sink: a.Sink, Chunk: a.Chunk} }

func (a Account) describe() string {
	return fmt.Sprintf("account of %s%s, %s", a.Workload, sinkSuffix(a.Sink), a.Kernel)
}

// declared is what a sample's kernel says of its path. A receiver that
// discards copies nothing out, which is one copy less.
func declared(m store.Manifest, s store.Sample) *store.Copies {
	d, ok := m.Copies[s.Kernel][s.Workload]
	if !ok {
		return nil
	}
	if s.Sink == wire.SinkDiscard && !d.Refused {
		d.PerByte--
	}
	return &d
}

// refused says whether a sample failed as its kernel declares: with EINVAL, as
// the guest puts it.
func refused(m store.Manifest, s store.Sample) bool {
	return m.Copies[s.Kernel][s.Workload].Refused && strings.HasSuffix(s.Outcome, ": invalid argument")
}

// count takes the sample's metrics.
func (a *Account) count(s store.Sample) {
	per := func(name string) float64 { return float64(s.Metrics[name]) / float64(s.Bytes) }
	const mib = 1 << 20
	a.Syscalls, a.Skbs, a.Fragments = mib*per(wire.MetricSyscalls), mib*per(wire.MetricSkbs), mib*per(wire.MetricFragments)
	a.Headers = per(wire.MetricHeaderCopied)
	a.Copies, a.User, a.Referenced = per(wire.MetricCopied)-a.Headers, per(wire.MetricUserCopied)-a.Headers, per(wire.MetricReferenced)
	for name := range s.Metrics {
		if function, ok := strings.CutPrefix(name, wire.MetricCopied+"/"); ok {
			if a.ByFunction == nil {
				a.ByFunction = map[string]float64{}
			}
			a.ByFunction[function] = per(name)
		}
	}
}

// compare holds the account against the declaration and the CPU models.
func (a *Account) compare(r *Result, c *counter) {
	if d := a.Declared; d != nil {
		far := math.Abs(a.Copies-d.PerByte) > accountTolerance*max(1, d.PerByte)
		// By reference means all of it, ordinary means none of it.
		byReference := a.Referenced > 0
		if d.ByReference {
			byReference = a.Referenced > 1-accountTolerance
		}
		a.Contradicts = d.Refused || far || byReference != d.ByReference
	}
	for _, u := range r.UserCopies {
		if u.Condition == c.m.Conditions[0].Name && u.Kernel == a.Kernel && (Key{Workload: u.Workload, Sink: u.Sink, Chunk: u.Chunk}) == a.row() {
			model := u.Copies - a.Headers
			a.Model = &model
			a.Disagree = math.Abs(model-a.User) > modelTolerance
		}
	}
}

// noteAccounts tells of kernels that aren't what they declare, of accounts that
// failed, and of two counts of one thing that differ.
func (c *counter) noteAccounts(r *Result, failed []string) {
	if len(failed) > 0 {
		text := count(len(failed), "account") + " of copies failed: nothing is known of these"
		c.pending.add(Note{Kind: FailedOnes, Text: text, Details: failed}, nil)
	}
	contradicts := pendingNote{note: Note{Kind: Contradicts}}
	disagree := pendingNote{note: Note{Kind: Disagree, Text: "two counts of user copies disagree: the probes' and that of the two CPU models"}}
	var kernels []string
	var differ cases
	for i, a := range r.Accounts {
		if a.Contradicts {
			contradicts.accounts = append(contradicts.accounts, i)
			contradicts.cells = append(contradicts.cells, r.cellsOfPath(a.Kernel, a.Workload)...)
			contradicts.note.Details = append(contradicts.note.Details, a.contradiction())
			if !slices.Contains(kernels, a.Kernel) {
				kernels = append(kernels, a.Kernel)
			}
		}
		if a.Disagree {
			disagree.accounts = append(disagree.accounts, i)
			differ.add(a.Workload+sinkSuffix(a.Sink), fmt.Sprintf("%s %.3f by probes and %.3f by CPU models", a.Kernel, a.User, *a.Model))
		}
	}
	disagree.note.Details = differ.lines()
	contradicts.note.Text = "NOT WHAT IT DECLARES, by the account of copies: " + strings.Join(kernels, ", ")
	for _, p := range []pendingNote{contradicts, disagree} {
		if len(p.accounts) > 0 {
			c.pending = append(c.pending, p)
		}
	}
}

// cellsOfPath are a kernel's cells of one path.
func (r *Result) cellsOfPath(kernel, workload string) []Key {
	var out []Key
	for _, c := range r.Cells {
		if c.Kernel == kernel && c.Workload == workload {
			out = append(out, c.Key)
		}
	}
	return out
}

// contradiction says what was declared and what is.
func (a Account) contradiction() string {
	want := "an error"
	if d := a.Declared; !d.Refused {
		want = perByte(d.PerByte, float64(rank(d.ByReference)))
	}
	return fmt.Sprintf("%s: declared %s; counted %s", a.describe(), want, perByte(a.Copies, a.Referenced))
}

func perByte(copies, referenced float64) string {
	return fmt.Sprintf("%.2f copied and %.2f by reference", copies, referenced)
}
