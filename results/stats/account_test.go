package stats

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// account gives a kernel one sample of an account boot: bytes copied, of user
// memory, and by reference, per 1000 bytes.
func (b *bed) account(kernel, workload, sink string, copied, user, referenced int64) *store.Sample {
	boot := kernel + "_" + store.Family(workload) + "_account"
	b.m.Boots = append(b.m.Boots, store.Boot{Name: boot, Kernel: kernel, Family: store.Family(workload), Condition: "plain", Mode: store.ModeAccount,
		Outcome: store.OK, UUID: "v", Digest: "account of " + boot})
	b.samples = append(b.samples, store.Sample{Kernel: kernel, Workload: workload, Schedule: "lockstep", Sink: sink, CPUModel: "plain",
		Chunk: 64 << 10, Bytes: 1000, Boot: boot, Mode: store.ModeAccount, Outcome: store.OK, Metrics: map[string]int64{
			"copied_bytes": copied, "copied_bytes/_copy_to_iter": copied, "user_copied_bytes": user,
			"pages_by_reference": referenced / 100, "bytes_by_reference": referenced,
		}})
	return &b.samples[len(b.samples)-1]
}

func (b *bed) declare(kernel, workload string, c store.Copies) {
	b.m.Copies = map[string]map[string]store.Copies{kernel: {workload: c}}
}

const sendfile = "file-tcp/sendfile"

// Half a percent is the bound, of the declared copies or of one.
func TestAccountAgainstTheDeclaration(t *testing.T) {
	for _, tc := range []struct {
		name               string
		declared           store.Copies
		sink               string
		copied, referenced int64
		contradicts        bool
	}{
		{"as declared", store.Copies{PerByte: 1, ByReference: true}, "read", 1000, 1000, false},
		{"almost", store.Copies{PerByte: 3}, "read", 3014, 0, false},
		{"one copy more", store.Copies{PerByte: 1, ByReference: true}, "read", 2000, 1000, true},
		{"one less", store.Copies{PerByte: 3}, "read", 2000, 0, true},
		{"0.6 percent more", store.Copies{PerByte: 1}, "read", 1006, 0, true},
		{"0.6 percent of three more", store.Copies{PerByte: 3}, "read", 3018, 0, true},
		{"a discarding receiver saves one", store.Copies{PerByte: 1, ByReference: true}, "discard", 0, 1000, false},
		{"a discarding receiver that copies", store.Copies{PerByte: 1, ByReference: true}, "discard", 1000, 1000, true},
		{"pages where ordinary skbs are declared", store.Copies{PerByte: 2}, "read", 2000, 1, true},
		{"half the pages", store.Copies{PerByte: 1, ByReference: true}, "read", 1000, 500, true},
		{"no pages", store.Copies{PerByte: 1, ByReference: true}, "read", 1000, 0, true},
		{"declared refused, and works", store.Copies{Refused: true}, "read", 1000, 0, true},
	} {
		b := newBed("base", "k")
		b.declare("k", sendfile, tc.declared)
		b.account("k", sendfile, tc.sink, tc.copied, 1000, tc.referenced)
		b.add(lock("k", "plain", "read"), 1, 500)
		r := b.count()
		if len(r.Accounts) != 1 || r.Accounts[0].Contradicts != tc.contradicts || r.Wrong() != tc.contradicts {
			t.Errorf("%s: %+v, notes %+v", tc.name, r.Accounts, r.Notes)
			continue
		}
		n := note(r, Contradicts)
		if (n != nil) != tc.contradicts || n != nil && (!strings.HasSuffix(n.Text, ": k") || len(n.Details) != 1) {
			t.Errorf("%s: note %+v", tc.name, n)
		}
		// Its figures carry the footnote.
		if cell := r.Cell(lock("k", "plain", "read")); n != nil && !cmp.Equal(cell.Notes[:1], []int{n.Number}) {
			t.Errorf("%s: notes of the cell: %v, want %d", tc.name, cell.Notes, n.Number)
		}
	}
}

func TestAccountOfOneWithoutDeclaration(t *testing.T) {
	b := newBed("base", "mine")
	b.declare("base", sendfile, store.Copies{PerByte: 1})
	b.account("mine", sendfile, "read", 7000, 0, 10)
	r := b.count()
	want := []Account{{Workload: sendfile, Sink: "read", Chunk: 64 << 10, Kernel: "mine", Copies: 7, ByFunction: map[string]float64{"_copy_to_iter": 7}, Referenced: 0.01}}
	if diff := cmp.Diff(want, r.Accounts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r.Wrong() {
		t.Errorf("a kernel that declares nothing is judged: %+v", r.Notes)
	}
}

// The CPU models see user copies alone: they are compared with the probes'
// count of these, not with all copies.
func TestAccountAgainstTheCPUModels(t *testing.T) {
	for _, tc := range []struct {
		name         string
		copied, user int64
		disagree     bool
	}{
		{"one of three is a user copy", 3000, 1000, false},
		{"nearly", 3000, 960, false},
		{"a tenth of the bytes twice", 3000, 900, true},
		{"none", 3000, 0, true},
		{"all three", 3000, 3000, true},
	} {
		b := newBed("base")
		b.account("base", sendfile, "read", tc.copied, tc.user, 0)
		b.add(lock("base", "plain", "read"), 1, 500)
		b.add(lock("base", "erms", "read"), 1, 1375)
		r := b.count()
		a := r.Accounts[0]
		if a.Model == nil || !near(*a.Model, 1) || a.Disagree != tc.disagree || (note(r, Disagree) != nil) != tc.disagree {
			t.Errorf("%s: %+v, %+v", tc.name, a, r.Notes)
		}
	}
	b := newBed("base")
	b.account("base", sendfile, "read", 3000, 0, 0)
	b.add(lock("base", "plain", "read"), 1, 500)
	if a := b.count().Accounts[0]; a.Model != nil || a.Disagree {
		t.Errorf("without the second model: %+v", a)
	}
}

// Headers go before what is delivered: their copies are none of its, by the
// probes or by the CPU models.
func TestHeadersAreNotCounted(t *testing.T) {
	b := newBed("base")
	b.declare("base", sendfile, store.Copies{PerByte: 1})
	b.account("base", sendfile, "read", 1600, 1600, 0).Metrics[wire.MetricHeaderCopied] = 600
	b.add(lock("base", "plain", "read"), 1, 500)
	b.add(lock("base", "erms", "read"), 1, 500+1.6*875)
	a := b.count().Accounts[0]
	if !near(a.Copies, 1) || !near(a.User, 1) || !near(a.Headers, 0.6) || a.Model == nil || !near(*a.Model, 1) || a.Contradicts || a.Disagree {
		t.Errorf("%+v, model %v", a, a.Model)
	}
}

// A path that a kernel declares it refuses isn't a failure, in accounts or in
// counts; any other failure is one.
func TestRefusedPaths(t *testing.T) {
	for _, tc := range []struct {
		declared   bool
		error      string
		asDeclared bool
	}{
		{true, "sendfile: invalid argument", true},
		{true, "sendfile: input/output error", false},
		{false, "sendfile: invalid argument", false},
	} {
		b := newBed("base", "none")
		b.declare("none", sendfile, store.Copies{Refused: tc.declared})
		b.account("none", sendfile, "read", 0, 0, 0).Outcome = tc.error
		b.add(lock("none", "plain", "read"), 1, 0)
		b.samples[len(b.samples)-1].Outcome = tc.error
		r := b.count()
		if r.Wrong() == tc.asDeclared || len(r.Accounts) == 1 != tc.asDeclared || tc.asDeclared && !r.Accounts[0].Refused {
			t.Errorf("%+v: %+v, %+v", tc, r.Accounts, r.Notes)
		}
		if r.Cell(lock("none", "plain", "read")) != nil {
			t.Error("a refused path has a figure")
		}
	}
}

// Account boots are trials of their own, and no figures.
func TestAccountsAreNoFigures(t *testing.T) {
	b := newBed("base")
	k := lock("base", "plain", "read")
	b.add(k, 0, 500)
	alone := b.count()
	b.account("base", sendfile, "read", 1000, 1000, 0)
	b.account("base", "user-pipe/write", "", 2000, 2000, 0)
	r := b.count()
	if diff := cmp.Diff(alone, r, cmpopts.IgnoreUnexported(Result{}), cmpopts.IgnoreFields(Result{}, "Accounts")); diff != "" {
		t.Errorf("accounts change the figures (-without +with):\n%s", diff)
	}
	b.m.Workloads = []string{"file-tcp/*"}
	if got := b.count().Accounts; len(got) != 1 || got[0].Workload != sendfile {
		t.Errorf("hidden workloads show: %+v", got)
	}
}
