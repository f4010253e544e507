package report

import (
	"fmt"
	"hash/fnv"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"splicelab/images/kernel"
	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// MADE-UP NUMBERS. Nothing in this file was measured: the figures only have the
// size and the shape of real ones, so that the golden reports can be judged by
// eye. They must never be quoted.

// madeUp describes an invented run.
type madeUp struct {
	kernels  []string // the control comes last
	families []string
	chunks   []int64
	seeds    []uint64
	reps     int
	// schedules are lock-step and stream where they are nil.
	schedules []string
	// trouble is done to a boot's outcome and samples before they are stored.
	trouble func(*store.Boot, []store.Sample) []store.Sample
}

const (
	madeUpCPU     = "qemu64,+smap,+smep,+aes,+pclmulqdq,+ssse3,+sse4.1,+sse4.2"
	madeUpControl = "base-shifted"
)

func madeUpConditions() []store.Condition {
	return []store.Condition{
		{Name: "qemu64", CPUModel: madeUpCPU, Cmdline: "console=ttyS0 init_on_alloc=0"},
		{Name: "qemu64+erms", CPUModel: madeUpCPU + ",+erms", Cmdline: "console=ttyS0 init_on_alloc=0"},
		{Name: "qemu64 init_on_alloc=1", CPUModel: madeUpCPU, Cmdline: "console=ttyS0 init_on_alloc=1"},
	}
}

var madeUpSeries = map[string][]string{
	"vmsplice-wrapper": {"vmsplice-wrapper"},
	"socket-copy":      {"socket-copy"},
	"sendfile-deopt":   {"splice-copy", "socket-copy"},
	"sendfile-onecopy": {"splice-copy", "socket-copy", "sendfile-onecopy"},
	madeUpControl:      {madeUpControl},
}

func (u madeUp) manifest() store.Manifest {
	m := store.Manifest{
		Name: "made-up", Started: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC),
		Finished: time.Date(2026, 7, 1, 12, 9, 0, 0, time.UTC),
		Command:  "lab run -c configs/made-up.yaml", Lab: "0123456789ab", Mode: "count",
		Baseline: "base", Control: madeUpControl,
		GoVersion: "go1.26.8", QEMUVersion: "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)", Accelerator: "tcg",
		QEMUArgs: strings.Split("-nodefaults|-no-user-config|-machine|microvm,acpi=off|-accel|tcg|-icount|shift=0,sleep=off,align=off|-rtc|base=2026-01-01,clock=vm|"+
			"-seed|1|-smp|1|-m|512|-cpu|"+madeUpCPU+"|-kernel|bzImage|-initrd|initrd|-append|console=ttyS0 init_on_alloc=0|-S", "|"),
		Guest: store.File{Name: "guest", SHA256: strings.Repeat("1", 64)}, Initramfs: store.File{Name: "initramfs", SHA256: strings.Repeat("2", 64)},
		Host:       store.Host{CPU: "Made-up CPU", Cores: 2, MemoryMiB: 8192, Kernel: "6.12.0", OS: "Debian GNU/Linux 12"},
		Conditions: madeUpConditions(), Chunks: u.chunks, Reps: u.reps,
		Controls: map[string][]string{"*": {"*/read-send", "*/mmap-send", "user-pipe/write"}},
		Settings: map[string]string{"net.ipv4.tcp_no_metrics_save": "1", "net.ipv4.tcp_slow_start_after_idle": "0", "SO_SNDBUF": "4194304", "SO_RCVBUF": "4194304"},
		Notes:    []string{"MADE-UP NUMBERS: this run exists in a test only"},
	}
	for i, name := range u.kernels {
		m.Kernels = append(m.Kernels, madeUpKernel(name, i))
	}
	m.Copies = map[string]map[string]store.Copies{}
	for _, name := range u.kernels {
		m.Copies[name] = map[string]store.Copies{}
		for _, family := range u.families {
			m.Boots = append(m.Boots, store.Boot{
				Name: fmt.Sprintf("%s_%s_%s_s%d_account", name, family, m.Conditions[0].Name, u.seeds[0]), Kernel: name, Family: family,
				Condition: m.Conditions[0].Name, Seed: u.seeds[0], Mode: store.ModeAccount,
			})
			methods, _ := shape(family)
			for _, method := range methods {
				copies, reference := inventedCopies(method, name)
				m.Copies[name][family+"/"+method] = store.Copies{PerByte: float64(copies), ByReference: reference}
			}
		}
	}
	for _, name := range u.kernels {
		for _, c := range m.Conditions {
			for _, family := range u.families {
				for _, seed := range u.seeds {
					m.Boots = append(m.Boots, store.Boot{
						Name: fmt.Sprintf("%s_%s_%s_s%d_r0", name, family, strings.ReplaceAll(c.Name, " ", "-"), seed), Kernel: name, Family: family, Condition: c.Name, Seed: seed,
					})
				}
			}
		}
	}
	return m
}

func madeUpKernel(name string, i int) kernel.Image {
	k := kernel.Image{
		Spec: kernel.Spec{Name: name, Line: "6.12", Profile: "minimal"},
		Source: kernel.Source{
			Spec:    kernel.SourceSpec{Kind: kernel.SourceDebian, Package: "linux-source-6.12", Version: "6.12.117-1~deb12u1"},
			Version: "6.12.117-1~deb12u1", SHA256: strings.Repeat("3", 64), From: "archive",
		},
		Compiler: "gcc (Debian 12.2.0-14+deb12u1) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40", Release: "6.12.117", BzImageSHA256: strings.Repeat(fmt.Sprintf("%x", 4+i), 64),
	}
	for _, s := range madeUpSeries[name] {
		k.Spec.Series = append(k.Spec.Series, kernel.Series{Name: s, Patches: []kernel.Text{{Name: "0001-made-up.patch"}}})
	}
	return k
}

// write stores the run in a folder of the test's own.
func (u madeUp) write(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	m := u.manifest()
	run, err := store.Create(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	for _, b := range m.Boots {
		b.Outcome, b.UUID, b.Digest = store.OK, fmt.Sprint("uuid of seed ", b.Seed), "digest of "+b.Name
		samples := u.samples(b)
		if u.trouble != nil {
			samples = u.trouble(&b, samples)
		}
		if err := run.Commit(b, samples); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// samples are a boot's, whole.
func (u madeUp) samples(b store.Boot) []store.Sample {
	methods, sinks := shape(b.Family)
	var out []store.Sample
	if b.Mode == store.ModeAccount {
		for _, method := range methods {
			for _, sink := range sinks {
				out = append(out, account(b, method, sink))
			}
		}
		return out
	}
	for _, method := range methods {
		for _, sink := range sinks {
			for _, chunk := range u.chunks {
				schedules := u.schedules
				if schedules == nil {
					schedules = []string{wire.ScheduleLockstep, wire.ScheduleStream}
				}
				for _, schedule := range schedules {
					for rep := range u.reps {
						s := store.Sample{
							Kernel: b.Kernel, Workload: b.Family + "/" + method, Schedule: schedule, Sink: sink, CPUModel: b.Condition, Profile: "minimal",
							Chunk: chunk, Bytes: max(16<<20, 64*chunk), Mode: "count", Boot: b.Name, Rep: rep, Seed: b.Seed, Outcome: store.OK,
						}
						insns := int64(float64(s.Bytes) * invent(s))
						s.Metrics = map[string]int64{wire.MetricInsns: insns, wire.MetricSenderInsns: insns - insns/3, wire.MetricReceiverInsns: insns / 3, wire.MetricIdle: insns / 5000}
						if schedule == wire.SchedulePingPong {
							wait := int64(9000 + float64(chunk)*invent(s))
							s.Metrics[wire.MetricWaitP50], s.Metrics[wire.MetricWaitP99], s.Metrics[wire.MetricWaitMax] = wait, wait+wait/50, 2*wait
						}
						out = append(out, s)
					}
				}
			}
		}
	}
	return out
}

// shape is what a family has.
func shape(family string) (methods, sinks []string) {
	methods, sinks = []string{"sendfile", "splice", "read-send", "mmap-send"}, []string{wire.SinkRead}
	switch family {
	case "file-tcp":
		sinks = append(sinks, wire.SinkDiscard)
	case "user-pipe":
		methods, sinks = []string{"vmsplice", "write"}, []string{""}
	}
	return methods, sinks
}

// account is one sample of an account boot.
func account(b store.Boot, method, sink string) store.Sample {
	const n = 16 << 20
	copies, reference := inventedCopies(method, b.Kernel)
	user := byKernel(inventedUserCopies[method], b.Kernel)
	if sink == wire.SinkDiscard {
		copies--
		user--
	}
	s := store.Sample{
		Kernel: b.Kernel, Workload: b.Family + "/" + method, Schedule: wire.ScheduleLockstep, Sink: sink, CPUModel: b.Condition, Profile: "minimal",
		Chunk: 64 << 10, Bytes: n, Mode: store.ModeAccount, Boot: b.Name, Seed: b.Seed, Outcome: store.OK,
		Metrics: map[string]int64{wire.MetricCopied: n * copies, wire.MetricUserCopied: n * int64(user), wire.MetricCopied + "/_copy_to_iter": n * copies},
	}
	s.Metrics[wire.MetricSyscalls] = 512
	if b.Family == "file-tcp" {
		s.Metrics[wire.MetricSkbs], s.Metrics[wire.MetricFragments] = 512, 768
	}
	if reference {
		s.Metrics[wire.MetricReferences], s.Metrics[wire.MetricReferenced] = 512, n
	}
	return s
}

// inventedCopies is what a kernel declares, and does, for a receiver that
// reads.
func inventedCopies(method, kernel string) (copies int64, reference bool) {
	copies = int64(byKernel(inventedUserCopies[method], kernel))
	if method == "sendfile" || method == "splice" {
		copies += map[string]int64{"socket-copy": 1, "sendfile-deopt": 2, "sendfile-onecopy": 2}[kernel]
		if method == "sendfile" && kernel == "sendfile-onecopy" {
			copies--
		}
		reference = copies == 1
	}
	return copies, reference
}

// inventedCost is insn/byte at 64 KiB, sink=read, first condition.
var inventedCost = map[string]map[string]float64{
	"sendfile":  {"": 0.66, "socket-copy": 0.72, "sendfile-deopt": 0.97, "sendfile-onecopy": 0.64},
	"splice":    {"": 0.67, "socket-copy": 0.73, "sendfile-deopt": 0.98, "sendfile-onecopy": 0.98},
	"read-send": {"": 0.82},
	"mmap-send": {"": 0.71},
	"vmsplice":  {"": 0.41, "vmsplice-wrapper": 0.37},
	"write":     {"": 0.44},
}

// inventedZeroing is what init_on_alloc=1 adds to it.
var inventedZeroing = map[string]float64{"": 0.01, "socket-copy": 0.08, "sendfile-deopt": 0.23, "sendfile-onecopy": 0.085, "vmsplice-wrapper": 0.06}

// inventedUserCopies are copies from and to user memory per byte.
var inventedUserCopies = map[string]map[string]float64{
	"sendfile": {"": 1}, "splice": {"": 1}, "read-send": {"": 3}, "mmap-send": {"": 2},
	"vmsplice": {"": 1, "vmsplice-wrapper": 2}, "write": {"": 2},
}

func byKernel(values map[string]float64, kernel string) float64 {
	if v, ok := values[kernel]; ok {
		return v
	}
	return values[""]
}

// invent makes up a sample's instructions per byte.
func invent(s store.Sample) float64 {
	_, method, _ := strings.Cut(s.Workload, "/")
	v := byKernel(inventedCost[method], s.Kernel)
	copies := byKernel(inventedUserCopies[method], s.Kernel)
	if s.CPUModel == "qemu64 init_on_alloc=1" {
		if byKernel(inventedCost[method], s.Kernel) == inventedCost[method][""] {
			v += inventedZeroing[""]
		} else {
			v += inventedZeroing[s.Kernel]
		}
	}
	if s.Sink == wire.SinkDiscard {
		copies--
		v -= 0.125
		if s.Kernel == "sendfile-onecopy" && method == "sendfile" {
			v += 0.04
		}
	}
	if factor, ok := map[int64]float64{4 << 10: 2.1, 64 << 10: 1, 1 << 20: 0.98}[s.Chunk]; ok {
		v *= factor
	} else { // of a sweep: calls cost, and cost a zero-copy path more
		v += map[string]float64{"sendfile": 3000, "splice": 4500, "vmsplice": 2000}[method]/float64(s.Chunk) + 1000/float64(s.Chunk)
	}
	if s.CPUModel == "qemu64+erms" {
		v += 0.875 * copies
	}
	v *= 1 + 0.0006*(unit(s.Kernel, s.Workload, s.Sink, s.CPUModel, fmt.Sprint(s.Chunk, s.Seed))-0.5)
	if s.Schedule == wire.ScheduleStream {
		v *= 1.05 + 0.004*unit(s.Boot, s.Workload, s.Sink, fmt.Sprint(s.Chunk, s.Rep))
		if method == "read-send" && unit(s.Boot, fmt.Sprint(s.Chunk, s.Rep, "mode")) < 0.5 {
			v *= 1.17
		}
	}
	return v
}

// unit is a number in [0, 1) that depends on the words alone.
func unit(words ...string) float64 {
	h := fnv.New64a()
	h.Write([]byte(strings.Join(words, "|")))
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd // murmur's finaliser: FNV's last byte mixes badly
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}
