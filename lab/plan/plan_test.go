package plan_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"splicelab/lab/config"
	"splicelab/lab/plan"
	"splicelab/results/store"
	"splicelab/workloads/copypath"
	"splicelab/workloads/wire"
)

func example() config.Config {
	return config.Config{
		Baseline: "base", Control: "shifted",
		// Neither the baseline nor the control stands where it is built.
		Kernels:   []config.Kernel{{Name: "shifted"}, {Name: "wrapper"}, {Name: "base"}, {Name: "deopt"}},
		Workloads: []string{"*/*"},
		Chunks:    []config.Size{4096, 65536}, Reps: 3, Seeds: []uint64{7, 9},
		Conditions: []config.Condition{
			{Name: "plain", CPU: "max", Cmdline: []string{"a=0", "b"}},
			{Name: "plain a=1", CPU: "max,+x", Cmdline: []string{"a=1", "b"}, Kernels: []string{"base", "deopt", "shifted"}},
		},
		RepeatTrials: 2, CellDeadline: 60,
	}
}

var families = []string{"file-tcp", "user-pipe"}

func TestBuildOrder(t *testing.T) {
	var names []string
	for _, k := range plan.BuildOrder(example()) {
		names = append(names, k.Name)
	}
	if diff := cmp.Diff([]string{"base", "wrapper", "deopt", "shifted"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestBootsGolden pins the order: a plan that changes makes a resumed run
// another run.
func TestBootsGolden(t *testing.T) {
	var text strings.Builder
	for _, b := range plan.Boots(example(), families, untouched{}) {
		fmt.Fprintf(&text, "%-40s kernel=%s family=%s condition=%q seed=%d repeat=%d\n", b.Name, b.Kernel, b.Family, b.Condition, b.Seed, b.Repeat)
	}
	file := filepath.Join("testdata", "boots.txt")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(text.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestEveryTrialOnce counts what the matrix asks for.
func TestEveryTrialOnce(t *testing.T) {
	boots := plan.Boots(example(), families, untouched{})
	names := map[string]bool{}
	count := map[string]int{}
	for _, b := range boots {
		if names[b.Name] {
			t.Errorf("%s is there twice", b.Name)
		}
		names[b.Name] = true
		count[fmt.Sprintf("%s/%d", b.Condition, b.Repeat)]++
		if b.Kernel == "wrapper" && b.Condition == "plain a=1" {
			t.Errorf("%s: the condition isn't for this kernel", b.Name)
		}
		if strings.ContainsAny(b.Name, "/ \t'\"") {
			t.Errorf("%q is no name of a file", b.Name)
		}
	}
	want := map[string]int{
		"plain/0":     4 * 2 * 2, // kernels, families, seeds
		"plain a=1/0": 3 * 2 * 2,
		"plain/1":     2,
	}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("boots by condition and repeat (-want +got):\n%s", diff)
	}
}

// TestNoBootWithoutASchedule: one thread alone has no stream.
func TestNoBootWithoutASchedule(t *testing.T) {
	c := example()
	for i := range c.Conditions {
		c.Conditions[i].Schedules = []string{wire.ScheduleStream}
	}
	boots := map[string]int{}
	for _, b := range plan.Boots(c, []string{"file-tcp", "file-file", "theirs"}, untouched{}) {
		boots[b.Family]++
	}
	if boots["file-tcp"] == 0 || boots["theirs"] == 0 || boots["file-file"] != 0 {
		t.Errorf("boots by family: %v", boots)
	}
}

// A program's boots run it as it is configured. Copies aren't counted: it
// delivers no bytes that they could be counted for.
func TestPrograms(t *testing.T) {
	c := example()
	c.Account = true
	c.Programs = []config.Program{{Name: "bench", Command: []string{"bench", "a b"}}}
	kinds := map[string]int{}
	for _, b := range plan.Boots(c, []string{"file-tcp", "own/bench"}, untouched{}) {
		if strings.Contains(b.Name, "/") {
			t.Errorf("%q is no name of a file", b.Name)
		}
		p := plan.Wire(c, b)
		kinds[b.Family+" "+string(p.Kind)]++
		if b.Family != "own/bench" {
			continue
		}
		want := wire.Plan{Version: wire.Version, Kind: wire.KindProgram, Family: "own/bench", Seed: b.Seed, Command: []string{"bench", "a b"}, Reps: 3, CellDeadline: 60}
		if diff := cmp.Diff(want, p); diff != "" {
			t.Errorf("%s (-want +got):\n%s", b.Name, diff)
		}
	}
	for _, kind := range []string{" account", "file-tcp count", "own/bench program"} {
		if kinds[kind] == 0 {
			t.Errorf("no boot %s: %v", kind, kinds)
		}
	}
	if len(kinds) != 3 {
		t.Errorf("boots of kinds %v", kinds)
	}
}

// TestFirstComparisonFirst: no boot of a third kernel or of another condition
// before the pair of the first comparison is whole.
func TestFirstComparisonFirst(t *testing.T) {
	boots := plan.Boots(example(), families, untouched{})
	for _, b := range boots[:2*2*2] {
		if (b.Kernel != "base" && b.Kernel != "wrapper") || b.Condition != "plain" || b.Repeat != 0 {
			t.Errorf("%s is among the first comparison's boots", b.Name)
		}
	}
	// A boot of a kernel comes after a boot of each kernel that is built before.
	var seen []string
	for _, b := range boots {
		if !slices.Contains(seen, b.Kernel) {
			seen = append(seen, b.Kernel)
		}
	}
	for i, want := range []string{"deopt", "shifted"} {
		if seen[2+i] != want {
			t.Errorf("kernels appear in the order %v", seen)
		}
	}
	if err := firstOfTrialFirst(boots); err != nil {
		t.Error(err)
	}
}

func firstOfTrialFirst(boots []store.Boot) error {
	done := map[string]bool{}
	for _, b := range boots {
		first := strings.TrimSuffix(b.Name, "_r1") + "_r0"
		if b.Repeat > 0 && !done[first] {
			return fmt.Errorf("%s comes before %s", b.Name, first)
		}
		done[b.Name] = true
	}
	return nil
}

// TestSeedOrders: another first seed is another order of the same boots.
func TestSeedOrders(t *testing.T) {
	c := example()
	c.RepeatTrials = 0
	a := plan.Boots(c, families, untouched{})
	c.Seeds = []uint64{9, 7}
	b := plan.Boots(c, families, untouched{})
	if cmp.Equal(a, b) {
		t.Error("the seed changes nothing")
	}
	byName := func(x, y store.Boot) int { return strings.Compare(x.Name, y.Name) }
	slices.SortFunc(a, byName)
	slices.SortFunc(b, byName)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("the seed changes the boots themselves:\n%s", diff)
	}
}

func TestOneKernel(t *testing.T) {
	c := example()
	c.Kernels, c.Control, c.Conditions, c.RepeatTrials = c.Kernels[2:3], "", c.Conditions[:1], 99
	boots := plan.Boots(c, families, untouched{})
	if len(boots) != 2*4 {
		t.Errorf("%d boots, want 4 trials, each twice", len(boots))
	}
}

// TestAccountsFirst: each kernel has one account of all families, before the
// kernel's first figure, and it is repeated for nothing. The control has none.
func TestAccountsFirst(t *testing.T) {
	c := example()
	without := plan.Boots(c, families, untouched{})
	c.Account = true
	boots := plan.Boots(c, families, untouched{"deopt": families[0]})
	figures := map[string]bool{}
	var accounts []string
	var rest []store.Boot
	for _, b := range boots {
		if b.Mode != store.ModeAccount {
			figures[b.Kernel] = true
			rest = append(rest, b)
			continue
		}
		accounts = append(accounts, b.Kernel+": "+strings.Join(b.Families, " "))
		if figures[b.Kernel] || b.Condition != "plain" || b.Repeat != 0 || b.Seed != 7 {
			t.Errorf("%+v", b)
		}
	}
	slices.Sort(accounts)
	want := []string{
		"base: file-tcp user-pipe", "deopt: file-tcp user-pipe", "wrapper: file-tcp user-pipe",
	}
	if diff := cmp.Diff(want, accounts); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(without, rest); diff != "" {
		t.Errorf("accounts change the other boots (-without +with):\n%s", diff)
	}
}

func TestWireOfAnAccount(t *testing.T) {
	c := example()
	c.Line = "6.12"
	b := store.Boot{Kernel: "base", Families: families, Condition: "plain", Seed: 7, Mode: store.ModeAccount}
	want := wire.Plan{Version: wire.Version, Kind: wire.KindAccount, Line: "6.12", Seed: 7, CellDeadline: 60, Families: []wire.FamilyPlan{
		{Family: "file-tcp", Chunks: []int64{65536}}, {Family: "user-pipe", Chunks: []int64{65536}},
	}}
	if diff := cmp.Diff(want, plan.Wire(c, b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The headline's chunk, or the largest, where reports have theirs.
	c.Chunks = []config.Size{8192, 16384, 4096}
	if got := plan.Wire(c, b).Families[0].Chunks; !slices.Equal(got, []int64{16384}) {
		t.Errorf("without 64 KiB: %d", got)
	}
}

// Where a family doesn't take the headline's chunk, its account is taken at the
// largest that it does take; where it takes none, the guest says so.
func TestAccountChunkOfADatagramFamily(t *testing.T) {
	c := example()
	b := store.Boot{Families: []string{"file-udp"}, Mode: store.ModeAccount, Condition: c.Conditions[0].Name}
	for _, tc := range []struct {
		chunks []config.Size
		want   int64
	}{
		{[]config.Size{65536, 4096, 32768, 512}, 32768},
		{[]config.Size{4096, 1 << 20}, 4096},
		{[]config.Size{65536, 1 << 20}, 1 << 20},
	} {
		c.Chunks = tc.chunks
		if got := plan.Wire(c, b).Families[0].Chunks; !slices.Equal(got, []int64{tc.want}) {
			t.Errorf("%v: account at %v, want %d", tc.chunks, got, tc.want)
		}
	}
}

func TestConditions(t *testing.T) {
	want := []store.Condition{
		{Name: "plain", CPUModel: "max", Cmdline: "a=0 b"},
		{Name: "plain a=1", CPUModel: "max,+x", Cmdline: "a=1 b", Kernels: []string{"base", "deopt", "shifted"}},
	}
	if diff := cmp.Diff(want, plan.Conditions(example())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWire(t *testing.T) {
	got := plan.Wire(example(), store.Boot{Kernel: "base", Family: "file-tcp", Seed: 9, Repeat: 1})
	want := wire.Plan{
		Version: wire.Version, Kind: wire.KindCount, Family: "file-tcp", Seed: 9,
		Chunks: []int64{4096, 65536}, Schedules: []string{"lockstep", "stream"}, Reps: 3, CellDeadline: 60,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c := example()
	for i := range c.Conditions {
		c.Conditions[i].Chunks, c.Conditions[i].Schedules = []config.Size{65536}, []string{"lockstep"}
	}
	got = plan.Wire(c, store.Boot{Kernel: "base", Family: "file-tcp", Condition: c.Conditions[0].Name, Seed: 9})
	want.Chunks, want.Schedules = []int64{65536}, []string{"lockstep"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("scoped (-want +got):\n%s", diff)
	}
}

// untouched are families by kernel.
type untouched map[string]string

func (u untouched) Untouched(kernel, family string) bool { return u[kernel] == family }

func TestTouchedOnlyLeavesControlsOut(t *testing.T) {
	c := example()
	touch := untouched{"deopt": families[0]}
	all := len(plan.Boots(c, families, touch))
	c.Conditions[1].TouchedOnly = true
	boots := plan.Boots(c, families, touch)
	for _, b := range boots {
		if b.Condition == c.Conditions[1].Name && b.Kernel == "deopt" && b.Family == families[0] {
			t.Errorf("%s is planned", b.Name)
		}
	}
	if left := all - len(boots); left != len(c.Seeds) {
		t.Errorf("%d boots left out, want one a seed", left)
	}
}

// TestLargestPlanFits: what lab/config accepts, the plan's file has room for.
func TestLargestPlanFits(t *testing.T) {
	c := example()
	c.Chunks = nil
	for i := range config.Size(64) {
		c.Chunks = append(c.Chunks, config.MaxChunk-i)
	}
	if _, err := plan.Wire(c, store.Boot{Family: strings.Repeat("f", 100), Seed: 1<<64 - 1}).Encode(); err != nil {
		t.Error(err)
	}
	account := store.Boot{Mode: store.ModeAccount, Seed: 1<<64 - 1}
	for _, f := range copypath.Families() {
		account.Families = append(account.Families, f.Name)
	}
	if _, err := plan.Wire(c, account).Encode(); err != nil {
		t.Error(err)
	}
}
