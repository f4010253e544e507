package account

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"splicelab/workloads/wire"
)

// recorded is what a real kernel (6.12.117) printed.
func recorded(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var compareHists = cmp.AllowUnexported(hist{}, row{})

func TestParseHist(t *testing.T) {
	for name, want := range map[string]hist{
		"hist-two-kinds.txt": {rows: []row{{"2", 16, 65536}, {"0", 16, 65536}}, hits: 32},
		"hist-empty.txt":     {},
	} {
		got, err := parseHist(recorded(t, name), "key", "n")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got, compareHists); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A histogram without room for all keys: the kernel says how many hits it
// dropped.
func TestParseHistWithDrops(t *testing.T) {
	h, err := parseHist(recorded(t, "hist-dropped.txt"), "key", "n")
	if err != nil || len(h.rows) != 128 || h.hits != 526 || h.dropped != 272 {
		t.Errorf("%d rows, %d hits, %d dropped, %v", len(h.rows), h.hits, h.dropped, err)
	}
}

// A histogram that isn't whole must never pass for a small one.
func TestParseHistRefusesWhatItDoesNotKnow(t *testing.T) {
	whole := recorded(t, "hist-two-kinds.txt")
	for name, text := range map[string]string{
		"nothing":         "",
		"cut off":         whole[:strings.Index(whole, "Totals")],
		"a row missing":   strings.Replace(whole, "{ key:          2", "# ", 1),
		"no Dropped":      whole[:strings.Index(whole, "    Dropped")],
		"another key":     strings.ReplaceAll(whole, "{ key:", "{ pid:"),
		"another value":   strings.ReplaceAll(whole, " n:", " m:"),
		"a negative sum":  strings.Replace(whole, "65536", "-6553", 1),
		"a sign":          strings.Replace(whole, "Hits: 32", "Hits: +32", 1),
		"too many hits":   strings.Replace(whole, "Hits: 32", "Hits: 33", 1),
		"something after": whole + "more\n",
	} {
		if text == whole {
			t.Fatalf("%s: nothing was changed", name)
		}
		if h, err := parseHist(text, "key", "n"); !errors.Is(err, errFormat) {
			t.Errorf("%s: got %v, %v", name, h, err)
		}
	}
}

func TestParseProfile(t *testing.T) {
	got, err := parseProfile(recorded(t, "profile.txt"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{
		"_copy_to_iter": 0, "_copy_from_iter": 0, "copy_page_from_iter_atomic": 0, "_copy_from_iter_nocache": 0,
		"csum_and_copy_from_iter_full": 0, "skb_splice_from_iter": 0, "skb_copy_ubufs": 0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err := parseProfile("  a 1 2\n"); err != nil || got["a"] != 2 {
		t.Errorf("two misses: got %v, %v", got, err)
	}
	for _, bad := range []string{"a 1\n", "a 1 -2\n", "a 1 b\n", "a 1 2 3\n"} {
		if got, err := parseProfile(bad); !errors.Is(err, errFormat) {
			t.Errorf("%q: got %v, %v", bad, got, err)
		}
	}
}

func TestFindDataLenInARecordedTrace(t *testing.T) {
	records, err := parseFetched(recorded(t, "trace.txt"), "find")
	if err != nil {
		t.Fatal(err)
	}
	sizes := []int{12345, 23456}
	if got, err := dataLen(records, sizes); err != nil || got != 108 {
		t.Errorf("data_len is at %d, %v", got, err)
	}
	for name, bad := range map[string][]map[string]int64{
		"one message":    records[:1],
		"three":          append(records[:2:2], records[0]),
		"another order":  {records[1], records[0]},
		"nothing fits":   {{"o116": 12345}, {"o116": 12345}},
		"two words fit":  {{"o0": 12345, "o4": 12345}, {"o0": 23456, "o4": 23456}},
		"different ones": {{"o0": 12345}, {"o4": 23456}},
	} {
		if got, err := dataLen(bad, sizes); err == nil {
			t.Errorf("%s: got %d", name, got)
		}
	}
	for _, bad := range []string{" find: (a", " find: (a) o1", " find: (a) o1=x", " find: (a) o1=-1"} {
		if got, err := parseFetched(bad, "find"); !errors.Is(err, errFormat) {
			t.Errorf("%q: got %v, %v", bad, got, err)
		}
	}
}

func TestAdd(t *testing.T) {
	l, err := lookup("6.12")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		leaf leaf
		rows []row
		want Copies
	}{
		{"user memory, by either iterator", l.leaves[0], []row{{"0", 2, 100}, {"1", 1, 20}}, Copies{ByFunction: map[string]int64{"_copy_to_iter": 120}, User: 120}},
		{"the kernel's own pages", l.leaves[1], []row{{"2", 2, 100}, {"0", 1, 7}}, Copies{ByFunction: map[string]int64{"_copy_from_iter": 107}, User: 7}},
		{"discarded", l.leaves[0], []row{{"6", 2, 100}}, Copies{ByFunction: map[string]int64{}}},
		{"nothing", l.leaves[2], nil, Copies{ByFunction: map[string]int64{}}},
		{"by reference", splicer, []row{{"2", 3, 4096}}, Copies{ByFunction: map[string]int64{}, References: 3, Referenced: 4096}},
		{"orphaned, and not", leaf{function: orphaner}, []row{{"0", 1, 64}, {"18446744073709551602", 1, 99}}, Copies{ByFunction: map[string]int64{orphaner: 64}}},
	} {
		got := Copies{ByFunction: map[string]int64{}}
		if err := got.add(tc.leaf, hist{rows: tc.rows}, l.discard); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
	c := Copies{ByFunction: map[string]int64{}}
	if err := c.add(l.leaves[3], hist{hits: 1}, l.discard); err == nil || !strings.Contains(err.Error(), "_copy_from_iter_nocache") {
		t.Errorf("a copy by a function that is to be idle: %v", err)
	}
}

func TestMetrics(t *testing.T) {
	got := Copies{ByFunction: map[string]int64{"a": 1, "b": 20}, User: 20, References: 3, Referenced: 4, Calls: map[string]int64{"0": 7, "1": 8}, Skbs: 5, Fragments: 6}.Metrics()
	want := map[string]int64{
		wire.MetricCopied: 21, "copied_bytes/a": 1, "copied_bytes/b": 20, wire.MetricUserCopied: 20,
		wire.MetricReferences: 3, wire.MetricReferenced: 4, wire.MetricSyscalls: 15, wire.MetricSkbs: 5, wire.MetricFragments: 6,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheAccountsOwnCallsAreNoneOfTheRegions(t *testing.T) {
	rows := []row{{"0", 512, 0}, {"1", 14, 0}, {"61", 1, 0}, {"202", 1, 0}}
	got, err := without(rows, map[string]int64{"1": 3, "61": 1})
	if diff := cmp.Diff(map[string]int64{"0": 512, "1": 11}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, own := range []map[string]int64{{"1": 15}, {"2": 1}} {
		if got, err := without(rows, own); !errors.Is(err, ErrLost) {
			t.Errorf("%v of its own: got %v, %v", own, got, err)
		}
	}
}

// A histogram without a value, and one by another key (made up in the form of
// the recorded ones).
func TestParseHistOfATracePoint(t *testing.T) {
	text := "# event histogram\n\n{ id:         45 } hitcount:        512\n\nTotals:\n    Hits: 512\n    Entries: 1\n    Dropped: 0\n"
	got, err := parseHist(text, "id", "")
	if diff := cmp.Diff(hist{rows: []row{{"45", 512, 0}}, hits: 512}, got, compareHists); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := parseHist(text, "id", "n"); !errors.Is(err, errFormat) {
		t.Errorf("with a value that isn't there: got %v, %v", got, err)
	}
}

func TestUnknownLine(t *testing.T) {
	if _, err := lookup("5.10"); err == nil || !strings.Contains(err.Error(), `"5.10", only for 6.12, 7.3`) {
		t.Errorf("got %v", err)
	}
}

// What the parser takes is whole: its rows are what its totals say.
func FuzzParseHist(f *testing.F) {
	for _, name := range []string{"hist-two-kinds.txt", "hist-empty.txt", "hist-dropped.txt"} {
		f.Add(recorded(f, name))
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHist(text, "key", "n")
		if err != nil {
			if !errors.Is(err, errFormat) {
				t.Errorf("%v", err)
			}
			return
		}
		var hits int64
		for _, r := range h.rows {
			if r.hits < 0 || r.n < 0 {
				t.Errorf("row %v", r)
			}
			hits += r.hits
		}
		if hits != h.hits || h.dropped < 0 {
			t.Errorf("accepted %q as %v", text, h)
		}
	})
}

func FuzzParseProfile(f *testing.F) {
	f.Add(recorded(f, "profile.txt"))
	f.Fuzz(func(t *testing.T, text string) {
		missed, err := parseProfile(text)
		if err != nil && !errors.Is(err, errFormat) {
			t.Errorf("%v", err)
		}
		for name, n := range missed {
			if n < 0 || name == "" {
				t.Errorf("%q: %d", name, n)
			}
		}
	})
}

func FuzzParseFetched(f *testing.F) {
	// Long seeds take all of the fuzzer's time to be made shorter.
	f.Add("# tracer: nop\n  init-1  [000] ...1.  0.41: find: (skb_orphan_frags_rx+0x0/0x1 <- skb_copy_ubufs) o0=0 o4=1\n")
	f.Fuzz(func(t *testing.T, text string) {
		records, err := parseFetched(text, "find")
		if err != nil && !errors.Is(err, errFormat) {
			t.Errorf("%v", err)
		}
		if len(records) > strings.Count(text, "find: (") {
			t.Errorf("%d records in %q", len(records), text)
		}
	})
}
