package images

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// facts.md, section 3: its table, kernel by kernel.
func TestExpectedCopies(t *testing.T) {
	const send, splice, vmsplice = "file-tcp/sendfile", "file-unix/splice", "user-pipe/vmsplice"
	always := map[string]Copies{
		"file-tcp/read-send": {PerByte: 3}, "file-unix/mmap-send": {PerByte: 2}, "user-pipe/write": {PerByte: 2},
	}
	for _, tc := range []struct {
		series []string
		want   map[string]Copies
	}{
		{nil, map[string]Copies{send: {PerByte: 1, ByReference: true}, splice: {PerByte: 1, ByReference: true}, vmsplice: {PerByte: 1}}},
		{[]string{"base-shifted"}, map[string]Copies{send: {PerByte: 1, ByReference: true}, splice: {PerByte: 1, ByReference: true}, vmsplice: {PerByte: 1}}},
		{[]string{"vmsplice-wrapper"}, map[string]Copies{send: {PerByte: 1, ByReference: true}, splice: {PerByte: 1, ByReference: true}, vmsplice: {PerByte: 2}}},
		{[]string{"splice-copy"}, map[string]Copies{send: {PerByte: 2, ByReference: true}, splice: {PerByte: 2, ByReference: true}, vmsplice: {PerByte: 1}}},
		{[]string{"socket-copy"}, map[string]Copies{send: {PerByte: 2}, splice: {PerByte: 2}, vmsplice: {PerByte: 1}}},
		{[]string{"splice-copy", "socket-copy"}, map[string]Copies{send: {PerByte: 3}, splice: {PerByte: 3}, vmsplice: {PerByte: 1}}},
		{[]string{"splice-copy", "socket-copy", "sendfile-onecopy"}, map[string]Copies{send: {PerByte: 2}, splice: {PerByte: 3}, vmsplice: {PerByte: 1}}},
		{[]string{"sendfile-onecopy", "splice-copy", "socket-copy"}, map[string]Copies{send: {PerByte: 2}, splice: {PerByte: 3}, vmsplice: {PerByte: 1}}},
		{[]string{"sendfile-onecopy"}, map[string]Copies{send: {PerByte: 2}, splice: {PerByte: 1, ByReference: true}, vmsplice: {PerByte: 1}}},
		{[]string{"no-sendfile"}, map[string]Copies{send: {Refused: true}, splice: {PerByte: 1, ByReference: true}, vmsplice: {PerByte: 1}}},
		{[]string{"vmsplice-wrapper", "splice-copy", "socket-copy"}, map[string]Copies{send: {PerByte: 3}, splice: {PerByte: 3}, vmsplice: {PerByte: 2}}},
	} {
		got, err := ExpectedCopies(tc.series)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []map[string]Copies{tc.want, always} {
			for path := range want {
				if diff := cmp.Diff(want[path], got[path]); diff != "" {
					t.Errorf("%v, %s (-want +got):\n%s", tc.series, path, diff)
				}
			}
		}
	}
	if got, err := ExpectedCopies([]string{"socket-copy", "of-a-user"}); err != nil || got != nil {
		t.Errorf("a user's series is judged: %v, %v", got, err)
	}
}

// A shipped series without a declaration would be let through unjudged.
func TestEverySeriesDeclaresItsCopies(t *testing.T) {
	for _, line := range Lines() {
		for _, name := range SeriesNames(line) {
			if got, err := ExpectedCopies([]string{name}); err != nil || got == nil {
				t.Errorf("line %s: series %s says nothing of its copies (%v)", line, name, err)
			}
		}
	}
}

func TestExpectationsAreReadStrictly(t *testing.T) {
	const base = "copies:\n  base:\n    paths: {a/b: 1}\n"
	for _, tc := range []struct{ name, text, want string }{
		{"good", base + "  series: {x: {adds: {a/b: 1}}}\n", ""},
		{"an unknown key", base + "  series: {x: {add: {a/b: 1}}}\n", "field add not found"},
		{"a path of base's that isn't there", base + "  series: {x: {makes: {a/c: 1}}}\n", `copies.series.x.makes: "a/c" is not among`},
		{"refused, but unknown", base + "  series: {x: {refuses: [a/c]}}\n", `copies.series.x: "a/c" is not among`},
		{"by reference, but unknown", base + "    by_reference: [a/c]\n", `copies.base.by_reference: "a/c"`},
		{"below nothing", "copies: {base: {paths: {a/b: -1}}}\n", "-1 is no number of copies"},
		{"no number", "copies: {base: {paths: {a/b: .nan}}}\n", "NaN is no number of copies"},
		{"text", "copies: {base: {paths: {a/b: one}}}\n", "cannot unmarshal"},
	} {
		_, err := parseExpectation("test.yaml", []byte(tc.text))
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}
