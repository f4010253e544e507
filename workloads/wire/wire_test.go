package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func stream(t testing.TB) (Stream, []byte) {
	t.Helper()
	want := Stream{
		Hello: Hello{Version: Version, Release: "6.12.117", UUID: "u", Settings: map[string]string{"a": "1"}},
		Samples: []Sample{
			{Path: "file-tcp/sendfile", Schedule: ScheduleLockstep, Sink: SinkRead, Chunk: 65536, Bytes: 1 << 24, Metrics: map[string]int64{MetricInsns: 11}},
			{Path: "user-pipe/write", Schedule: ScheduleStream, Chunk: 4096, Rep: 1, Error: "write: broken pipe"},
		},
		Observations: []Observation{{Probe: "T1", About: "a test", FS: "tmpfs", Value: "new"}, {Probe: "P1", Value: "65536"}},
		Fault:        &Fault{Outcome: "hang", Detail: "no cell ended"},
	}
	var out bytes.Buffer
	w := NewWriter(&out)
	lines := []Line{{Hello: &want.Hello}, {Sample: &want.Samples[0]}, {Sample: &want.Samples[1]}, {Observation: &want.Observations[0]}, {Observation: &want.Observations[1]}, {Fault: want.Fault}}
	for _, l := range lines {
		if err := w.Write(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return want, out.Bytes()
}

func TestOnly(t *testing.T) {
	p := Plan{Version: Version, Kind: KindAccount, Seed: 1, Families: []FamilyPlan{{"a", []int64{1}}, {"b", []int64{2, 3}}}}
	got, err := p.Only("b")
	want := Plan{Version: Version, Kind: KindAccount, Seed: 1, Family: "b", Chunks: []int64{2, 3}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := p.Only("c"); !errors.Is(err, ErrPlan) {
		t.Errorf("a family that isn't planned: %v, want %v", err, ErrPlan)
	}
}

func TestStreamRoundTrip(t *testing.T) {
	want, text := stream(t)
	got, err := Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Every way to lose or change a part of the stream must be seen.
func TestParseRefusesADamagedStream(t *testing.T) {
	_, whole := stream(t)
	lines := bytes.SplitAfter(bytes.TrimSuffix(whole, []byte("\n")), []byte("\n"))
	without := func(i int) []byte {
		return bytes.Join(append(append([][]byte{}, lines[:i]...), lines[i+1:]...), nil)
	}
	for _, tc := range []struct {
		name string
		text []byte
		want error
	}{
		{"nothing", nil, ErrNoHello},
		{"no hello", without(0), ErrCorrupt},
		{"a sample lost", without(1), ErrCorrupt},
		{"no end", without(len(lines) - 1), ErrTruncated},
		{"the last byte of a number", bytes.Replace(whole, []byte(`"insns":11`), []byte(`"insns":10`), 1), ErrCorrupt},
		{"a key of another build", bytes.Replace(whole, []byte(`"rep":1`), []byte(`"rap":1`), 1), ErrCorrupt},
		{"a line twice", bytes.Replace(whole, lines[1], append(append([]byte{}, lines[1]...), lines[1]...), 1), ErrCorrupt},
		{"console text in between", bytes.Replace(whole, []byte("\n"), []byte("\n[    1.0] tsc: unstable\n"), 1), ErrCorrupt},
		{"torn", whole[:len(whole)/2], ErrCorrupt},
		{"something after the end", append(append([]byte{}, whole...), "\n{}\n"...), ErrCorrupt},
		{"another version", bytes.Replace(whole, []byte(`"version":1`), []byte(`"version":9`), 1), ErrCorrupt},
		{"a line that says nothing", []byte("{\"n\":0}\n"), ErrCorrupt},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if bytes.Equal(tc.text, whole) {
				t.Fatal("the stream wasn't damaged")
			}
			if _, err := Parse(bytes.NewReader(tc.text)); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestPlanRoundTrip(t *testing.T) {
	want := Plan{Version: Version, Kind: KindCount, Family: "file-tcp", Seed: 1 << 63, Chunks: []int64{4096, 1 << 20}, Reps: 3, CellDeadline: 60}
	file, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodePlan(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The plan's size is part of what a figure depends on.
func TestPlanSizeIsConstant(t *testing.T) {
	for _, p := range []Plan{{Version: Version}, {Version: Version, Family: strings.Repeat("x", 3000)}} {
		file, err := p.Encode()
		if err != nil || len(file) != PlanSize {
			t.Errorf("%d bytes, %v, want %d", len(file), err, PlanSize)
		}
	}
	if _, err := (Plan{Family: strings.Repeat("x", PlanSize)}).Encode(); !errors.Is(err, ErrPlan) {
		t.Errorf("too long a plan: got %v, want %v", err, ErrPlan)
	}
}

func TestDecodePlanRefusesAnother(t *testing.T) {
	good, err := Plan{Version: Version, Kind: KindCount}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{
		"short":           good[:PlanSize-1],
		"another version": bytes.Replace(good, []byte(`"version":1`), []byte(`"version":2`), 1),
		"a key too many":  bytes.Replace(good, []byte(`"kind"`), []byte(`"kinb"`), 1),
		"no JSON":         bytes.Repeat([]byte{' '}, PlanSize),
	} {
		if _, err := DecodePlan(file); !errors.Is(err, ErrPlan) {
			t.Errorf("%s: got %v, want %v", name, err, ErrPlan)
		}
	}
}

// A stream that parses is one that Writer wrote.
func FuzzParse(f *testing.F) {
	_, text := stream(f)
	f.Add(text)
	f.Add([]byte("{\"n\":0,\"hello\":{\"version\":1}}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(bytes.NewReader(text))
		if err != nil {
			return
		}
		if s.Hello.Version != Version || !bytes.Contains(text, []byte(`sha256`)) {
			t.Errorf("accepted %q", text)
		}
	})
}

func FuzzDecodePlan(f *testing.F) {
	good, err := Plan{Version: Version, Kind: KindFault, Fault: "panic"}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, file []byte) {
		p, err := DecodePlan(file)
		if err != nil {
			return
		}
		again, err := p.Encode()
		if err != nil {
			return // fits only in a shorter notation
		}
		q, err := DecodePlan(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, q); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
	})
}
