package run

import (
	"testing"

	"splicelab/images/kernel"
	"splicelab/results/stats"
	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// What lab verify finds wrong: each alone is enough for exit status 1.
func TestWrong(t *testing.T) {
	const path = "user-pipe/write"
	img := &kernel.Image{Spec: kernel.Spec{Name: "base", Line: "6.12"}, Release: "6.12.117"}
	seen := func(t1 string) proof {
		return proof{boot: store.Boot{Kernel: "base"}, image: img, seen: &store.Verification{
			Kernel: "base", Outcome: store.OK, Declared: map[string]string{"T1": "new"},
			Observed: []wire.Observation{{Probe: "T1", Value: t1}},
		}}
	}
	account := func(outcome, sample string, copied int64) proof {
		b := store.Boot{Name: "a", Kernel: "base", Families: []string{"user-pipe"}, Condition: "one", Mode: store.ModeAccount, Outcome: outcome}
		p := proof{boot: b, image: img}
		if outcome == store.OK {
			p.samples = []store.Sample{{
				Kernel: "base", Workload: path, Schedule: wire.ScheduleLockstep, Chunk: 65536, Bytes: 1000, CPUModel: "one",
				Mode: store.ModeAccount, Boot: "a", Outcome: sample, Metrics: map[string]int64{wire.MetricCopied: copied, wire.MetricUserCopied: copied},
			}}
		}
		return p
	}
	for _, tc := range []struct {
		name   string
		proofs []proof
		wrong  int
	}{
		{"all as declared", []proof{seen("new"), account(store.OK, store.OK, 2000)}, 0},
		{"a probe", []proof{seen("old"), account(store.OK, store.OK, 2000)}, 1},
		{"an account", []proof{seen("new"), account(store.OK, store.OK, 3000)}, 1},
		{"both", []proof{seen("old"), account(store.OK, store.OK, 3000)}, 2},
		{"lost probe hits", []proof{seen("new"), account(store.OK, "probe hits were lost: 3 of _copy_to_iter", 2000)}, 1},
		{"a lost boot", []proof{seen("new"), account("panic", "", 0)}, 1},
	} {
		m := books{
			Baseline: "base", Conditions: []store.Condition{{Name: "one"}}, Workloads: []string{"*/*"},
			Copies: map[string]map[string]store.Copies{"base": {path: {PerByte: 2}}},
		}
		r := stats.Count(m.with(tc.proofs))
		if got := wrong(r); len(got) != tc.wrong {
			t.Errorf("%s: %q, want %d errors", tc.name, got, tc.wrong)
		}
	}
}
