package program

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"splicelab/workloads/wire"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name, output string
		want         []wire.Benchmark
	}{
		{"nothing", "", nil},
		{"other lines alone", "hello\nPASS\nok  \tx\t1s\npkg: x\n", nil},
		{
			"as package testing prints it",
			"goos: linux\nBenchmarkPipe/size=4096-8   \t 1000\t 12.5 ns/op\t 8 B/op\nPASS\n",
			[]wire.Benchmark{{Name: "Pipe/size=4096", N: 1000, Values: []wire.Value{{Value: 12.5, Unit: "ns/op"}, {Value: 8, Unit: "B/op"}}}},
		},
		{
			"twice the same, and another",
			"BenchmarkA 1 2 x\nBenchmarkA 3 4 x\nBenchmarkB-1 5 6e3 MB/s",
			[]wire.Benchmark{
				{Name: "A", N: 1, Values: []wire.Value{{Value: 2, Unit: "x"}}},
				{Name: "A", N: 3, Values: []wire.Value{{Value: 4, Unit: "x"}}},
				{Name: "B", N: 5, Values: []wire.Value{{Value: 6000, Unit: "MB/s"}}},
			},
		},
		{"a name alone, as go test -v prints it", "BenchmarkA\n", nil},
		{"chatter", "Benchmarking 1000 MB\nBenchmarks follow:\n", nil},
		{"a line longer than any buffer", strings.Repeat("x", 200<<10) + "\nBenchmarkA 1 2 x\n", []wire.Benchmark{{Name: "A", N: 1, Values: []wire.Value{{Value: 2, Unit: "x"}}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Parse([]byte(tc.output))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A figure that can't be used is an error, never a missing row.
func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct{ name, output, want string }{
		{"a torn line", "ok\nBenchmarkA 10 5", "line 2: missing units"},
		{"no count", "BenchmarkA x 5 ns/op", "line 1: parsing iteration count"},
		{"no value", "BenchmarkA 10\n", "line 1: missing measurements"},
		{"another clock", "BenchmarkA 10 5,3 ns/op\n", "line 1: parsing measurement"},
		{"no iterations", "BenchmarkA 0 5 ns/op\n", "line 1: A: 0 iterations"},
		{"no figure", "BenchmarkA 1 NaN ns/op\n", "line 1: A: NaN ns/op is no figure"},
		{"infinite", "BenchmarkA 1 1e999 ns/op\n", "line 1: parsing measurement"},
		{"no name", "Benchmark 1 5 ns/op\n", "line 1: the name is empty"},
		{"a control character", "BenchmarkA\x1b[1m 1 5 ns/op\n", "line 1: the name"},
		{"too long a unit", "BenchmarkA 1 5 " + strings.Repeat("x", 101) + "\n", "line 1: a unit is longer than 100 bytes"},
		{"too many figures", strings.Repeat("BenchmarkA 1 5 x\n", 1001), "more than 1000 figures"},
		{"too much", strings.Repeat("x", MaxOutput+1), "more than 1048576 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Parse([]byte(tc.output))
			if !errors.Is(err, ErrOutput) || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, %v; want %q", got, err, tc.want)
			}
		})
	}
}

// Whatever a program prints, what is taken from it can be stored and shown.
func FuzzParse(f *testing.F) {
	f.Add([]byte("BenchmarkA-8 \t 10 \t 5.5 ns/op 3 B/op\n"))
	f.Add([]byte("Unit x better=higher\nBenchmark/-1 1 2 x\npkg: y\n"))
	f.Add([]byte("BenchmarkA 1 +Inf x\n"))
	f.Fuzz(func(t *testing.T, output []byte) {
		list, err := Parse(output)
		if err != nil {
			if !errors.Is(err, ErrOutput) || list != nil {
				t.Fatalf("%v, %v", list, err)
			}
			return
		}
		for _, b := range list {
			if b.Name == "" || b.N < 1 || len(b.Values) == 0 {
				t.Fatalf("%+v", b)
			}
			for _, v := range b.Values {
				if math.IsNaN(v.Value) || math.IsInf(v.Value, 0) || strings.TrimSpace(v.Unit) != v.Unit || v.Unit == "" {
					t.Fatalf("%+v", b)
				}
			}
		}
	})
}
