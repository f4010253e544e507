package store

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"splicelab/workloads/wire"
)

func TestVerification(t *testing.T) {
	saw := func(probe, fs, value string) wire.Observation {
		return wire.Observation{Probe: probe, FS: fs, Value: value}
	}
	declared := map[string]string{"T1": "old", "P1": "65536"}
	for _, tc := range []struct {
		name    string
		v       Verification
		verdict string
		want    []Mismatch
	}{
		{"as declared", Verification{Outcome: OK, Declared: declared, Observed: []wire.Observation{saw("T1", "a", "old"), saw("T1", "b", "old"), saw("P1", "", "65536")}}, OK, nil},
		{"another on one file system", Verification{Outcome: OK, Declared: declared, Observed: []wire.Observation{saw("T1", "a", "old"), saw("T1", "b", "new"), saw("P1", "", "65536")}},
			NotDeclared, []Mismatch{{"T1", "b", "new", "old"}}},
		{"a probe not made", Verification{Outcome: OK, Declared: declared, Observed: []wire.Observation{saw("P1", "", "65536")}},
			NotDeclared, []Mismatch{{"T1", "", "", "old"}}},
		{"a probe not declared", Verification{Outcome: OK, Declared: map[string]string{}, Observed: []wire.Observation{saw("P1", "", "65536")}},
			NotDeclared, []Mismatch{{"P1", "", "65536", ""}}},
		{"a probe not declared, of some that are", Verification{Outcome: OK, Partial: true, Declared: map[string]string{"T1": "old"}, Observed: []wire.Observation{saw("P1", "", "65536"), saw("T1", "a", "new")}},
			NotDeclared, []Mismatch{{"T1", "a", "new", "old"}}},
		{"nothing declared", Verification{Outcome: OK, Observed: []wire.Observation{saw("P1", "", "failed: x")}}, OK, nil},
		{"an oops", Verification{Outcome: "oops", Declared: map[string]string{}}, NotProven, nil},
		{"an oops of a kernel that declares nothing", Verification{Outcome: "oops"}, OK, nil},
	} {
		if got := tc.v.Verdict(); got != tc.verdict {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.verdict)
		}
		if diff := cmp.Diff(tc.want, tc.v.Mismatches()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}
