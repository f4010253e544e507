package report

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"splicelab/results/stats"
	"splicelab/results/store"
	"splicelab/workloads/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

// whole is a run as `make lab` makes it, with one kernel more.
func whole() madeUp {
	return madeUp{
		kernels:  []string{"base", "vmsplice-wrapper", "socket-copy", "sendfile-deopt", "sendfile-onecopy", madeUpControl},
		families: []string{"file-tcp", "file-unix", "user-pipe"},
		chunks:   []int64{4 << 10, 64 << 10, 1 << 20}, seeds: []uint64{1, 2}, reps: 3,
	}
}

// sweep is a run over chunk sizes.
func sweep() madeUp {
	return madeUp{
		kernels: []string{"base", "socket-copy", "sendfile-deopt", "sendfile-onecopy", madeUpControl}, families: []string{"file-tcp"},
		chunks: []int64{512, 2 << 10, 8 << 10, 32 << 10, 128 << 10}, seeds: []uint64{1}, reps: 1,
	}
}

// asked is a run of ping-pongs alone.
func asked() madeUp {
	return madeUp{
		kernels: []string{"base", "socket-copy", madeUpControl}, families: []string{"file-unix"},
		chunks: []int64{4 << 10, 64 << 10}, seeds: []uint64{1}, reps: 1, schedules: []string{wire.SchedulePingPong},
	}
}

// troubled is a small run in which everything goes wrong that leaves a note.
func troubled() madeUp {
	return madeUp{
		kernels: []string{"base", "vmsplice-wrapper", madeUpControl}, families: []string{"user-pipe"},
		chunks: []int64{64 << 10}, seeds: []uint64{1, 2}, reps: 3,
		trouble: func(b *store.Boot, samples []store.Sample) []store.Sample {
			switch b.Name {
			case "vmsplice-wrapper_user-pipe_qemu64_s2_r0":
				b.Outcome, b.Detail = "hang", "cell user-pipe/vmsplice took more than 60 s of guest time"
				return nil
			case "vmsplice-wrapper_user-pipe_qemu64_s1_account":
				samples[0].Metrics[wire.MetricCopied] /= 2 // vmsplice is as on base
			case "base_user-pipe_qemu64_s1_account":
				samples[1].Metrics[wire.MetricUserCopied] /= 2 // write: probes on too few functions
			case "base_user-pipe_qemu64+erms_s1_r0":
				b.Taints = []string{"WARNING: CPU: 0 PID: 1 at fs/splice.c:1"}
			case "vmsplice-wrapper_user-pipe_qemu64_s1_r0":
				samples[0].Metrics[wire.MetricIdle] = samples[0].Metrics[wire.MetricInsns] / 9
				samples[1].Outcome = "content differs"
			case "vmsplice-wrapper_user-pipe_qemu64-init_on_alloc=1_s1_r0", "vmsplice-wrapper_user-pipe_qemu64-init_on_alloc=1_s2_r0":
				for i := range samples {
					if samples[i].Workload == "user-pipe/write" {
						samples[i].Metrics[wire.MetricInsns] += samples[i].Metrics[wire.MetricInsns] / 50
					}
				}
			}
			return samples
		},
	}
}

func load(t testing.TB, u madeUp) (store.Manifest, *stats.Result) {
	t.Helper()
	m, samples, err := store.Load(u.write(t))
	if err != nil {
		t.Fatal(err)
	}
	return m, stats.Count(m, samples)
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestGolden(t *testing.T) {
	for _, tt := range []struct {
		name  string
		run   madeUp
		files map[string]string // by format
	}{
		{"whole", whole(), map[string]string{"term": "whole.txt", "md": "whole.md"}},
		{"pingpong", asked(), map[string]string{"term": "pingpong.txt", "csv": "pingpong.csv"}},
		{"troubled", troubled(), map[string]string{"term": "troubled.txt", "md": "troubled.md", "csv": "troubled.csv", "json": "troubled.json"}},
	} {
		m, r := load(t, tt.run)
		for format, file := range tt.files {
			t.Run(file, func(t *testing.T) {
				var buf bytes.Buffer
				if err := Write(&buf, format, m, r); err != nil {
					t.Fatal(err)
				}
				golden(t, file, buf.Bytes())
			})
		}
		t.Run("headline", func(t *testing.T) {
			var buf bytes.Buffer
			if err := Headline(&buf, m, r); err != nil {
				t.Fatal(err)
			}
			golden(t, tt.name+"-headline.txt", buf.Bytes())
		})
	}
}

// TestFirst is what a run prints before its control was measured, and after.
func TestFirst(t *testing.T) {
	u := troubled()
	u.trouble = nil
	for file, kernels := range map[string][]string{"first.txt": u.kernels[:2], "first-with-noise.txt": u.kernels} {
		u.kernels = kernels
		_, r := load(t, u)
		var buf bytes.Buffer
		if err := First(&buf, r, "vmsplice-wrapper"); err != nil {
			t.Fatal(err)
		}
		golden(t, file, buf.Bytes())
	}
}

// A run of one seed can't know how far a kernel's own boots lie apart.
func TestOneSeedIsSaid(t *testing.T) {
	for seeds, said := range map[int]bool{1: true, 2: false} {
		u := troubled()
		u.trouble, u.seeds = nil, u.seeds[:seeds]
		_, r := load(t, u)
		var buf bytes.Buffer
		if err := First(&buf, r, "vmsplice-wrapper"); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(buf.String(), "With one seed"); got != said {
			t.Errorf("%d seeds: said is %v:\n%s", seeds, got, buf.String())
		}
	}
}

// TestWidth holds the promise that a table of five kernels fits in 120 columns
// and that more kernels make more tables, not wider ones.
func TestWidth(t *testing.T) {
	for _, extra := range []int{0, 4} {
		u := whole()
		u.seeds = u.seeds[:1]
		control := u.kernels[5]
		u.kernels = u.kernels[:5]
		for i := range extra {
			u.kernels = append(u.kernels, strings.Repeat("x", 12)+"-number-"+string(rune('a'+i)))
		}
		u.kernels = append(u.kernels, control)
		m, r := load(t, u)
		var buf bytes.Buffer
		if err := Write(&buf, "term", m, r); err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(buf.String(), "\n") {
			if utf8.RuneCountInString(line) > 120 {
				t.Errorf("%d kernels more, line %d has %d columns: %s", extra, n+1, utf8.RuneCountInString(line), line)
			}
			if line != strings.TrimRight(line, " ") {
				t.Errorf("line %d ends in blanks: %q", n+1, line)
			}
		}
		// The summary is one table for five kernels, and several for more.
		if tables := strings.Count(part(buf.String(), "\nSummary\n", "\nSetup\n"), "\npath "); (tables > 2) != (extra > 0) {
			t.Errorf("%d kernels more: %d tables before the setup", extra, tables)
		}
	}
}

func part(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

func TestSameBytes(t *testing.T) {
	dir := troubled().write(t)
	texts := map[string]string{}
	for range 3 {
		m, samples, err := store.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		files, err := WriteFiles(dir, m, stats.Count(m, samples))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) != len(Formats()) {
			t.Fatalf("%d files for %d formats: %v", len(files), len(Formats()), files)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if before, ok := texts[file]; ok && before != string(text) {
				t.Errorf("%s differs between two reports of the same data", file)
			}
			texts[file] = string(text)
		}
	}
}

// The section of the crossovers and the rows that CSV has of them.
func TestCrossoversGolden(t *testing.T) {
	m, r := load(t, sweep())
	for format, file := range map[string]string{"term": "crossovers.txt", "md": "crossovers.md", "csv": "crossovers.csv"} {
		var buf bytes.Buffer
		if err := Write(&buf, format, m, r); err != nil {
			t.Fatal(err)
		}
		text := part(buf.String(), "Crossovers: ", "Setup\n")
		if format == "csv" {
			header, rows, _ := strings.Cut(buf.String(), "\n")
			text = header + "\n"
			for row := range strings.Lines(rows) {
				if strings.Contains(row, ",crossover,") {
					text += row
				}
			}
		}
		golden(t, file, []byte(text))
		for line := range strings.Lines(text) {
			if format == "term" && utf8.RuneCountInString(line) > 121 {
				t.Errorf("more than 120 columns: %s", line)
			}
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	err := Write(&bytes.Buffer{}, "pdf", store.Manifest{}, &stats.Result{})
	if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "term, md, csv, json") {
		t.Errorf("got %v", err)
	}
}

// TestNothing: a run that was killed before its first boot has a report too.
func TestNothing(t *testing.T) {
	for _, name := range Formats() {
		var buf bytes.Buffer
		if err := Write(&buf, name, store.Manifest{}, stats.Count(store.Manifest{}, nil)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if buf.Len() == 0 {
			t.Errorf("%s: nothing was written", name)
		}
	}
}

func TestCommandLines(t *testing.T) {
	got := commandLines([]string{"-nodefaults", "-append", "a b='c'", "-cpu", "qemu64,+erms", "-S"}, 30)
	want := []string{`-nodefaults \`, `-append 'a b='\''c'\''' \`, `-cpu qemu64,+erms -S`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// BenchmarkReport is the budget of design.md: a report from 100,000 samples in
// one second, from the files on, in every format. CPU time, since a busy host
// changes the wall's: at most that, for half of it runs on all cores.
func BenchmarkReport(b *testing.B) {
	u := whole()
	u.seeds = []uint64{1, 2, 3, 4, 5, 6}
	u.reps = 12
	dir := u.write(b)
	samples, before := 0, cpuTime(b)
	for b.Loop() {
		m, all, err := store.Load(dir)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := WriteFiles(dir, m, stats.Count(m, all)); err != nil {
			b.Fatal(err)
		}
		samples += len(all)
	}
	perReport := (cpuTime(b) - before).Seconds() * 100_000 / float64(samples)
	b.ReportMetric(float64(samples)/float64(b.N), "samples")
	b.ReportMetric(perReport, "cpu-s/100000-samples")
	b.ReportMetric(100*perReport, "%-of-budget-1-s")
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// proven is a run of a kernel that is what it declares, one that isn't, one that
// declares nothing, and one whose probes ended in an oops.
func proven() stats.Proof {
	declared := func(t1 string) map[string]string { return map[string]string{"T1": t1, "T3": "new", "P1": "65536"} }
	verification := func(kernel string, declared map[string]string, t1, t1ext4, t3 string) store.Verification {
		return store.Verification{Kernel: kernel, Outcome: store.OK, Declared: declared, Observed: []wire.Observation{
			{Probe: "T1", About: "sendfile file→TCP; pwrite; recv", FS: "tmpfs", Value: t1},
			{Probe: "T1", About: "sendfile file→TCP; pwrite; recv", FS: "ext4", Value: t1ext4},
			{Probe: "T3", About: "vmsplice; change the buffer; read", Value: t3},
			{Probe: "P1", About: "vmsplice 128 KiB to a 64 KiB pipe", Value: "65536"},
		}}
	}
	tainted := verification("socket-copy", declared("old"), "old", "old", "new")
	tainted.Taints = []string{"WARNING: CPU: 0 PID: 1 at fs/splice.c:1"}
	return *stats.Prove([]store.Verification{
		verification("base", declared("new"), "new", "new", "new"),
		tainted,
		verification("sendfile-deopt", declared("old"), "new", "old", "new"),
		verification("mine", nil, "new", "new", "old"),
		verification("mine-too", nil, "new", "new", "new"),
		{Kernel: "sick", Outcome: "oops", Detail: "BUG: kernel NULL pointer dereference", Declared: declared("new")},
		{Kernel: "my-sick", Outcome: "oops", Detail: "BUG: kernel NULL pointer dereference"},
	}, "base")
}

// A profile that isn't the usual one stands above the figures, and in what the
// terminal is left on.
func TestProfileIsNamed(t *testing.T) {
	m, r := load(t, troubled())
	for _, profile := range []string{"minimal", "distro"} {
		for i := range m.Kernels {
			m.Kernels[i].Spec.Profile = profile
		}
		var whole, headline bytes.Buffer
		if err := errors.Join(Write(&whole, "term", m, r), Headline(&headline, m, r)); err != nil {
			t.Fatal(err)
		}
		for what, text := range map[string]string{"report": whole.String(), "headline": headline.String()} {
			above, _, _ := strings.Cut(text, "CPU instructions per byte")
			if named := strings.Contains(above, "the kernels are of profile distro"); named != (profile == "distro") {
				t.Errorf("%s of profile %s: named: %v", what, profile, named)
			}
		}
		if !strings.Contains(whole.String(), "configuration "+profile) {
			t.Errorf("the facts don't name profile %s", profile)
		}
	}
}

// What lab verify prints of accounts: what is counted, what is declared, and
// what failed; none of the notes on figures that it hasn't got.
func TestVerificationGolden(t *testing.T) {
	m, samples, err := store.Load(troubled().write(t))
	if err != nil {
		t.Fatal(err)
	}
	var accounts []store.Sample
	for _, s := range samples {
		if s.Mode == store.ModeAccount {
			accounts = append(accounts, s)
		}
	}
	m.Verifications = nil
	var buf bytes.Buffer
	if err := Verification(&buf, stats.Count(m, accounts)); err != nil {
		t.Fatal(err)
	}
	golden(t, "verification.txt", buf.Bytes())
}

func TestProofGolden(t *testing.T) {
	p := proven()
	var whole bytes.Buffer
	if err := Verification(&whole, &stats.Result{Proof: &p}); err != nil {
		t.Fatal(err)
	}
	golden(t, "proof.txt", whole.Bytes())

	// As it stands in a report: the rows that tell kernels apart.
	m, r := load(t, troubled())
	r.Proof = &p
	for format, file := range map[string]string{"term": "proof-short.txt", "md": "proof-short.md"} {
		var buf bytes.Buffer
		if err := Write(&buf, format, m, r); err != nil {
			t.Fatal(err)
		}
		_, text, _ := strings.Cut(buf.String(), "Is every kernel")
		text, below, _ := strings.Cut(text, "Copies: what each kernel does")
		if !strings.Contains(below, "Summary") {
			t.Errorf("%s: the proof doesn't stand above the copies, and both above the summary", format)
		}
		golden(t, file, []byte(text))
	}
	var buf bytes.Buffer
	if err := Write(&buf, "json", m, r); err != nil || !strings.Contains(buf.String(), `"observed": "new on tmpfs, old on ext4"`) {
		t.Errorf("json lacks the proof (%v)", err)
	}
}

func TestSelftestsGolden(t *testing.T) {
	s := &stats.Selftests{
		Baseline: "base",
		Kernels: []stats.TestedKernel{
			{Name: "base"}, {Name: "same"},
			{Name: "other", Differs: []stats.TestDifference{
				{Test: "net/tls tls.12_aes_gcm.sendfile", Is: "fail", Base: "pass", Why: "sendfile is gone"},
				{Test: "net/tls tls.12_aes_gcm.splice_cmsg", Is: "fail", Base: "pass", Unexpected: true},
				{Test: "net/tls tls.13_aes_gcm.sendfile", Is: "fail", Base: "pass", Why: "sendfile is gone"},
			}},
			{Name: "mine", Differs: []stats.TestDifference{{Test: "mm/cow a", Is: "hung (killed after 5s of guest time)", Base: "pass"}}},
			{Name: "sick", Why: "oops: BUG: kernel NULL pointer dereference"},
		},
		Rows: []stats.SelftestRow{
			{Program: "net/tls", Cells: []stats.TestCount{{Passed: 800, Failed: 40, Skipped: 5}, {Passed: 800, Failed: 40, Skipped: 5}, {Passed: 799, Failed: 41, Skipped: 5}, {Passed: 800, Failed: 40, Skipped: 5}, {Passed: 2, Other: 1}}},
			{Program: "mm/cow", Cells: []stats.TestCount{{Passed: 9}, {Passed: 9}, {Passed: 9}, {Passed: 8, Other: 1}, {}}},
		},
	}
	var buf bytes.Buffer
	err := Selftests(&buf, s, []string{"net/tls.c was mended."}, map[string]string{"net/tcp_mmap": "needs libcrypto", "net/mptcp": "needs a shell"})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "selftests.txt", buf.Bytes())
}

// What an account doesn't count is said where such a path is in it, and there
// alone.
func TestAccountLegendSaysWhatIsNotCounted(t *testing.T) {
	const headers, disk = "headers before what is delivered are left out", "its disk's driver copies once more"
	for _, tc := range []struct {
		account stats.Account
		want    [2]bool
	}{
		{stats.Account{Workload: "file-tcp/sendfile", Copies: 1}, [2]bool{false, false}},
		{stats.Account{Workload: "small-tcp/sendfile", Copies: 1, Headers: 0.1}, [2]bool{true, false}},
		{stats.Account{Workload: "xfs-cold-tcp/sendfile", Copies: 1}, [2]bool{false, true}},
	} {
		legend := accountLegend(&stats.Result{Accounts: []stats.Account{tc.account}})
		if got := [2]bool{strings.Contains(legend, headers), strings.Contains(legend, disk)}; got != tc.want {
			t.Errorf("%s: %q", tc.account.Workload, legend)
		}
	}
}
