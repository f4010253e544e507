package images

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"splicelab/workloads/probe"
)

func TestUntouched(t *testing.T) {
	paths := []string{"file-tcp/sendfile", "file-tcp/read-send", "user-pipe/vmsplice", "user-pipe/write"}
	for _, tc := range []struct {
		series, want []string
	}{
		{[]string{"vmsplice-wrapper"}, []string{"file-tcp/sendfile", "file-tcp/read-send", "user-pipe/write"}},
		{[]string{"splice-copy", "socket-copy"}, []string{"file-tcp/read-send", "user-pipe/vmsplice", "user-pipe/write"}},
		{[]string{"vmsplice-wrapper", "socket-copy"}, []string{"file-tcp/read-send", "user-pipe/write"}},
		{[]string{"base-shifted"}, paths},
		{[]string{"socket-copy", "of-a-user"}, []string{}},
	} {
		got, err := Untouched(tc.series, paths)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tc.series, diff)
		}
	}
}

// A declaration of a series that isn't there would never be read.
func TestEverySeriesDeclaresItself(t *testing.T) {
	for _, line := range Lines() {
		for _, name := range SeriesNames(line) {
			if untouched, err := Untouched([]string{name}, []string{"file-tcp/read-send"}); err != nil || len(untouched) != 1 {
				t.Errorf("line %s: series %s: does it touch read and send? (%v)", line, name, err)
			}
			if _, declared, err := Expected([]string{name}, nil); !declared || err != nil {
				t.Errorf("line %s: series %s declares nothing of the probes (%v)", line, name, err)
			}
		}
	}
}

// The kernels of facts.md, section 5, in its columns; what isn't named is
// base's.
func TestExpected(t *testing.T) {
	wrapper := map[string]string{"T3": "old", "T4": "old", "P2": "works", "P3": "65536", "P5": "EAGAIN", "P8": "EBADF", "P9": "+1000", "P12": "+100,+1", "P12e": "EAGAIN"}
	deopt := map[string]string{"T1": "old", "T1u": "old", "T2": "old", "T4": "old", "T5": "old,old", "T6": "old", "T7": "data", "T8": "old", "S5": "old", "S5t": "old", "O8": "EMSGSIZE,65500"}
	with := func(m map[string]string, more ...map[string]string) map[string]string {
		all := maps.Clone(m)
		for _, other := range more {
			maps.Copy(all, other)
		}
		return all
	}
	oneCopy := map[string]string{"T8": "new", "O8": "65436(),65500"}
	for _, tc := range []struct {
		kernel string
		series []string
		want   map[string]string
	}{
		{"base", nil, nil},
		{"base-shifted", []string{"base-shifted"}, nil},
		{"vmsplice-wrapper", []string{"vmsplice-wrapper"}, wrapper},
		{"splice-copy", []string{"splice-copy"}, with(deopt, map[string]string{"T4": "new"})},
		{"socket-copy", []string{"socket-copy"}, map[string]string{"T1": "old", "T1u": "old", "T4": "old", "T6": "old", "S5t": "old"}},
		{"sendfile-deopt", []string{"splice-copy", "socket-copy"}, deopt},
		{"sendfile-onecopy", []string{"splice-copy", "socket-copy", "sendfile-onecopy"}, with(deopt, oneCopy)},
		{"no-sendfile", []string{"no-sendfile"}, map[string]string{
			"T1": "EINVAL", "T1u": "EINVAL", "T6": "EINVAL", "T8": "EINVAL", "T9": "EINVAL,EINVAL", "S5t": "EINVAL", "S6t": "EINVAL", "S7t": "EINVAL",
			"O1": "EINVAL,EINVAL", "O2": "EINVAL", "O3": "EINVAL", "O4": "EINVAL", "O5": "EINVAL,EINVAL", "O6": "EINVAL",
			"O7": "EINVAL", "O8": "EINVAL,EINVAL", "O9": "EINVAL,EINVAL", "O10": "EINVAL,EINVAL", "O11": "EINVAL", "O12": "EINVAL,EINVAL", "O13": "EINVAL",
		}},
		{"simple", []string{"vmsplice-wrapper", "splice-copy", "socket-copy"}, with(wrapper, deopt)},
		{"simple-onecopy", []string{"vmsplice-wrapper", "splice-copy", "socket-copy", "sendfile-onecopy"}, with(wrapper, deopt, oneCopy)},
	} {
		base, _, err := Expected(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, declared, err := Expected(tc.series, nil)
		if err != nil || !declared {
			t.Fatalf("%s: declared %v, %v", tc.kernel, declared, err)
		}
		if diff := cmp.Diff(with(base, tc.want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.kernel, diff)
		}
	}
	mine := map[string]string{"T2": "old", "T4": "new"}
	got, declared, err := Expected([]string{"socket-copy", "of-a-user"}, mine)
	base, _, _ := Expected(nil, nil)
	if diff := cmp.Diff(with(base, map[string]string{"T1": "old", "T1u": "old", "T6": "old", "S5t": "old"}, mine), got); diff != "" || !declared || err != nil {
		t.Errorf("a user's series with a declaration: declared %v, %v (-want +got):\n%s", declared, err, diff)
	}
	if got, declared, err := Expected([]string{"socket-copy", "of-a-user"}, nil); got != nil || declared || err != nil {
		t.Errorf("a user's series: %v, %v, %v", got, declared, err)
	}
}

// A probe that isn't declared would be compared with nothing.
func TestEveryProbeIsDeclared(t *testing.T) {
	var all []string
	for _, p := range probe.All() {
		all = append(all, p.ID)
	}
	slices.Sort(all)
	base, _, err := Expected(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all, slices.Sorted(maps.Keys(base))); diff != "" {
		t.Errorf("(-probes +declared):\n%s", diff)
	}
}

func TestParseExpectationIsStrict(t *testing.T) {
	for text, want := range map[string]string{
		"base: {T1: new}\nseries: {a: {probes: {}}}":        "",
		"base: {T1: new}\nserie: {}":                        "serie",
		"base: {T1: new}\nseries: {a: {probe: {}}}":         "probe",
		"base: {T1: new}\nseries: {a: {untouched: [x]}}":    "series a: says nothing",
		"base: {T1: new}\nseries: {a: {probes: {T2: old}}}": `series a: probe "T2" is not`,
		"base: {T1: new}\nseries: {a: {probes: {T1: }}}":    "series a: probe T1 has no value",
		"base: {T1: }":             "base: probe T1 has no value",
		"base: {T1: new, T1: old}": "already",
		"base: {T1: new}\nseries: {a: {probes: {}, untouched: [\"[\"]}}": "syntax",
		"base: {T1: new}\n---\nbase: {}":                                 "second document",
		"":                                                               "EOF",
	} {
		_, err := parseExpectation("f", []byte(text))
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "f: ")) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

// Whatever is accepted gives every kernel a value for every probe of base's.
func FuzzParseExpectation(f *testing.F) {
	f.Add([]byte("base: {T1: new}\nseries: {a: {untouched: ['*/*'], probes: {T1: old}}}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := parseExpectation("f", text)
		if err != nil {
			return
		}
		for name, d := range e.Series {
			for id, value := range d.Probes {
				if value == "" || e.Base[id] == "" {
					t.Errorf("series %s: probe %q: %q against base's %q", name, id, value, e.Base[id])
				}
			}
		}
	})
}

func TestChanged(t *testing.T) {
	for _, tc := range []struct {
		series []string
		own    map[string]string
		want   map[string]string
	}{
		{nil, nil, nil},
		{[]string{"base-shifted"}, nil, nil},
		{[]string{"socket-copy"}, nil, map[string]string{"T1": "old", "T1u": "old", "T4": "old", "T6": "old", "S5t": "old"}},
		{[]string{"socket-copy", "of-a-user"}, nil, nil},
		{[]string{"socket-copy", "of-a-user"}, map[string]string{"T4": "new"}, map[string]string{"T1": "old", "T1u": "old", "T4": "new", "T6": "old", "S5t": "old"}},
	} {
		got, err := Changed(tc.series, tc.own)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%v, %v (-want +got):\n%s", tc.series, tc.own, diff)
		}
	}
}
