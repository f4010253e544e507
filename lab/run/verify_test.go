package run

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"splicelab/images"
	"splicelab/images/kernel"
	"splicelab/lab/config"
	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// scheduling is a session with two boots of each of two kernels waiting.
func scheduling() *session {
	s := &session{kernels: map[string]*kernel.Image{}, failed: map[string]error{}, verdicts: map[string]string{}}
	s.changed = sync.NewCond(&s.mu)
	for _, k := range []string{"a", "b"} {
		s.queue = append(s.queue, store.Boot{Name: k + "1", Kernel: k}, store.Boot{Name: k + "2", Kernel: k})
	}
	return s
}

// A kernel is verified once, before any of its boots, and keeps no other
// kernel's boots waiting.
func TestNextVerifiesFirst(t *testing.T) {
	s := scheduling()
	s.kernels["a"], s.kernels["b"] = &kernel.Image{}, &kernel.Image{}
	next := func() string {
		t.Helper()
		got, ok := s.next()
		switch {
		case !ok:
			return "end"
		case got.verify:
			return "verify " + got.boot.Kernel
		}
		return got.boot.Name
	}
	var got []string
	got = append(got, next(), next()) // both are begun, by two workers
	s.verdicts["b"] = store.NotDeclared
	got = append(got, next(), next()) // a is still at work
	s.verdicts["a"] = store.OK
	got = append(got, next(), next(), next())
	if want := "verify a, verify b, b1, b2, a1, a2, end"; strings.Join(got, ", ") != want {
		t.Errorf("got %q, want %s", got, want)
	}
}

// A resumed run knows what its kernels are before they are there again.
func TestNextWaitsForTheKernelOfAResumedRun(t *testing.T) {
	s := scheduling()
	s.verdicts["a"], s.verdicts["b"] = store.OK, store.OK
	s.kernels["b"] = &kernel.Image{}
	for _, want := range []string{"b1", "b2"} {
		if got, ok := s.next(); !ok || got.verify || got.boot.Name != want || got.image == nil {
			t.Errorf("got %+v, %v, want boot %s with its image", got, ok, want)
		}
	}
}

func TestNextDoesNotVerifyWhatIsNotThere(t *testing.T) {
	s := scheduling()
	s.failed["a"], s.failed["b"] = errors.New("doesn't compile"), errors.New("neither")
	for _, want := range []string{"a1", "a2", "b1", "b2"} {
		if got, ok := s.next(); !ok || got.verify || got.boot.Name != want || got.image != nil {
			t.Errorf("got %+v, %v, want boot %s without an image", got, ok, want)
		}
	}
}

func TestBarred(t *testing.T) {
	for _, tc := range []struct {
		verdict string
		force   bool
		want    string
	}{
		{store.OK, false, ""}, {store.NotDeclared, false, store.NotDeclared}, {store.NotProven, false, store.NotProven},
		{store.NotDeclared, true, ""}, {store.NotProven, true, ""},
	} {
		s := scheduling()
		s.cfg, s.verdicts["a"] = config.Config{Force: tc.force}, tc.verdict
		if got := s.barred("a"); got != tc.want {
			t.Errorf("%s, force %v: barred for %q, want %q", tc.verdict, tc.force, got, tc.want)
		}
	}
}

// A kernel with the user's own patches isn't held against what its series
// declare, only against what its own entry does.
func TestOwnPatchesDeclareNothing(t *testing.T) {
	v := &verifier{expected: images.Expected}
	for _, tc := range []struct {
		kernel config.Kernel
		t1     string // what it declares of T1; empty: it declares nothing
		copies bool   // it declares copies
	}{
		{config.Kernel{Name: "base"}, "new", true},
		{config.Kernel{Name: "shipped", Series: []string{"socket-copy"}}, "old", true},
		{config.Kernel{Name: "mine", Patches: []string{"fix.patch"}}, "", false},
		{config.Kernel{Name: "stacked", Series: []string{"socket-copy"}, Patches: []string{"fix.patch"}}, "", false},
		{config.Kernel{Name: "declared", Patches: []string{"fix.patch"}, Expect: []string{"T1=old"}}, "old", false},
	} {
		probes, err := v.declared(tc.kernel, true)
		if err != nil || probes["T1"] != tc.t1 {
			t.Errorf("%s: declares T1 to be %q, want %q (%v)", tc.kernel.Name, probes["T1"], tc.t1, err)
		}
		copies, err := declaredCopies(config.Config{Kernels: []config.Kernel{tc.kernel}})
		if err != nil || (copies[tc.kernel.Name] != nil) != tc.copies {
			t.Errorf("%s: declares copies: %v (%v)", tc.kernel.Name, copies, err)
		}
	}
}

func TestOopsed(t *testing.T) {
	list := []wire.Observation{
		{Probe: "S1", Value: wire.ProbeOopsed}, {Probe: "S2", Value: "works"},
		{Probe: "S5", FS: "tmpfs", Value: wire.ProbeOopsed}, {Probe: "S5", FS: "ext4", Value: wire.ProbeOopsed},
	}
	if got := strings.Join(oopsed(list), " "); got != "S1 S5" {
		t.Errorf("got %q, want each probe once", got)
	}
}

// What base shows is known of the line's own source alone; a series declares
// what it changes on any.
func TestDeclaredOnAnotherSource(t *testing.T) {
	v := &verifier{expected: images.Expected}
	image := func(kind kernel.SourceKind, release string) *kernel.Image {
		return &kernel.Image{Spec: kernel.Spec{Line: "6.12"}, Release: release, Source: kernel.Source{Spec: kernel.SourceSpec{Kind: kind}}}
	}
	for _, tc := range []struct {
		name string
		img  *kernel.Image
		own  bool
	}{
		{"Debian's", image(kernel.SourceDebian, "6.12.117"), true},
		{"Debian's, a newer version", image(kernel.SourceDebian, "6.12.130"), true},
		{"a tarball of the line", image(kernel.SourceTarball, "6.12.60"), true},
		{"a release candidate's", image(kernel.SourceTarball, "6.12.0-rc3"), true},
		{"a tarball of another line", image(kernel.SourceTarball, "6.1.120"), false},
		{"a tarball of a line that begins alike", image(kernel.SourceTarball, "6.120.1"), false},
		{"a git tree", image(kernel.SourceGit, "6.12.117"), false},
		{"a tree", image(kernel.SourceTree, "6.12.117"), false},
	} {
		if got := ownSource(tc.img); got != tc.own || (foreignNote(tc.img) == "") != tc.own {
			t.Errorf("%s: the line's own: %v (%s)", tc.name, got, foreignNote(tc.img))
		}
		base, err := v.declared(config.Kernel{Name: "base"}, ownSource(tc.img))
		if err != nil || (base != nil) != tc.own {
			t.Errorf("%s: base declares %v (%v)", tc.name, base, err)
		}
		got, err := v.declared(config.Kernel{Name: "socket-copy", Series: []string{"socket-copy"}}, ownSource(tc.img))
		if _, base := got["P1"]; err != nil || got["T1"] != "old" || base != tc.own {
			t.Errorf("%s: socket-copy declares %v (%v)", tc.name, got, err)
		}
	}
}
