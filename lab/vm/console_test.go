package vm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The consoles in testdata were recorded from real boots of 6.12.117 on
// microvm under -icount; lkdtm's DIRECT provoked the faults.
func TestParseConsoleRecorded(t *testing.T) {
	tests := map[string]struct {
		kind   Outcome
		fatal  string
		taints []string
	}{
		"ok":      {},
		"panic":   {kind: Panic, fatal: "Kernel panic - not syncing: dumptest"},
		"bug":     {kind: Oops, fatal: "Kernel BUG at lkdtm_ARRAY_BOUNDS+0x140/0x140 [verbose debug info unavailable]"},
		"warning": {taints: []string{"WARNING: CPU: 0 PID: 58 at lkdtm_WARNING+0xa/0x40"}},
		// The kernel survives this one, and not the next.
		"exception": {kind: Oops, fatal: "BUG: kernel NULL pointer dereference, address: 0000000000000000"},
		"oops-init": {kind: Oops, fatal: "BUG: kernel NULL pointer dereference, address: 0000000000000000"},
		"agent-exit": {
			kind:  AgentError,
			fatal: "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000300",
		},
		"no-init": {
			kind:  Panic,
			fatal: "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
		},
		"corrupt-initrd": {
			kind:   Panic,
			fatal:  "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
			taints: []string{"rootfs image is not initramfs (invalid magic at start of compressed archive); looks like an initrd"},
		},
		"torn-initrd": {
			kind:   Panic,
			fatal:  "Kernel panic - not syncing: No working init found.  Try passing init= option to kernel. See Linux Documentation/admin-guide/init.rst for guidance.",
			taints: []string{"Failed to execute /init (error -26)"},
		},
		"stack-overflow": {kind: Oops, fatal: "BUG: kernel NULL pointer dereference, address: 0000000000000000"},
		"hang-kernel":    {},
		"hang-user":      {},
	}
	files, err := filepath.Glob("testdata/console/*.txt")
	if err != nil || len(files) != len(tests) {
		t.Fatalf("%d recorded consoles, %d expectations (%v)", len(files), len(tests), err)
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			log := recorded(t, name)
			if diff := cmp.Diff(want.fatal, log.Fatal); diff != "" {
				t.Errorf("fatal line (-want +got):\n%s", diff)
			}
			if log.FatalKind != want.kind {
				t.Errorf("kind %q, want %q", log.FatalKind, want.kind)
			}
			if diff := cmp.Diff(want.taints, log.Taints); diff != "" {
				t.Errorf("taints (-want +got):\n%s", diff)
			}
			if len(log.Tail) != tailLines {
				t.Errorf("a tail of %d lines, want %d", len(log.Tail), tailLines)
			}
		})
	}
}

func recorded(t *testing.T, name string) consoleLog {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "console", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	log, err := parseConsole(file)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func TestParseConsoleLines(t *testing.T) {
	const at = "[    1.000000] "
	tests := map[string]struct {
		text  string
		kind  Outcome
		taint bool
	}{
		"a program's own panic":        {text: "panic: BUG: runtime error"},
		"after an unfinished line":     {text: "uuid=1" + at + "Kernel panic - not syncing: x", kind: Panic},
		"a later panic changes little": {text: at + "Oops: 0002 [#1] SMP\n" + at + "Kernel panic - not syncing: Fatal exception", kind: Oops},
		"soft lockup":                  {text: at + "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [init:1]", taint: true},
		"hung task":                    {text: at + "INFO: task init:1 blocked for more than 120 seconds.", taint: true},
		"RCU stall":                    {text: at + "rcu: INFO: rcu_sched detected expedited stalls on CPUs/tasks: { 0-... }", taint: true},
		"die by its counter":           {text: at + "divide error: 0000 [#1] SMP", kind: Oops},
		"general protection fault":     {text: at + "Oops: general protection fault, probably for non-canonical address 0x1: 0000 [#1] SMP", kind: Oops},
		"lockdep's report":             {text: at + "WARNING: possible recursive locking detected", taint: true},
		"lockdep off":                  {text: at + "turning off the locking correctness validator.", taint: true},
		"a lock without a key":         {text: at + "INFO: trying to register non-static key.", taint: true},
		"asleep in atomic":             {text: at + "BUG: sleeping function called from invalid context at fs/splice.c:1", kind: Oops},
		"a program's fault":            {text: at + "traps: init[1] general protection fault ip:401000 sp:7ffe error:0", taint: true},
		"segmentation fault":           {text: at + "init[1]: segfault at 0 ip 0000000000401000 sp 00007ffe error 4", taint: true},
		"bad page":                     {text: at + "BUG: Bad page state in process init  pfn:1234", kind: Oops},
		"out of memory":                {text: at + "init invoked oom-killer: gfp_mask=0x140cca", taint: true},
		"lkdtm's announcement":         {text: at + "lkdtm: Performing direct entry BUG"},
		"a line in the middle of one":  {text: at + "Command line: panic=-1 BUG: no"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			log, err := parseConsole(strings.NewReader(test.text + "\n"))
			if err != nil {
				t.Fatal(err)
			}
			if log.FatalKind != test.kind {
				t.Errorf("kind %q, want %q", log.FatalKind, test.kind)
			}
			if got := len(log.Taints) > 0; got != test.taint {
				t.Errorf("tainted: %v, want %v", got, test.taint)
			}
		})
	}
}

func TestParseConsoleBounds(t *testing.T) {
	flood := strings.Repeat("[    1.000000] WARNING: again\r\n", 1000) + strings.Repeat("x", 1<<20) + "\n\x1b[2Jend"
	log, err := parseConsole(strings.NewReader(flood))
	if err != nil {
		t.Fatal(err)
	}
	if len(log.Taints) != maxTaints {
		t.Errorf("%d taints, want %d", len(log.Taints), maxTaints)
	}
	if last := log.Tail[len(log.Tail)-1]; last != "[2Jend" {
		t.Errorf("last line %q: the escape was to go", last)
	}
}

func TestAgentEnd(t *testing.T) {
	tests := map[string]string{
		"Attempted to kill init! exitcode=0x00000300": "the agent ended with status 3",
		"Attempted to kill init! exitcode=0x0000000b": "the agent was ended by signal 11",
		"Attempted to kill init!":                     "the agent ended",
	}
	for message, want := range tests {
		if got := agentEnd(message); got != want {
			t.Errorf("agentEnd(%q) = %q, want %q", message, got, want)
		}
	}
}

func FuzzParseConsole(f *testing.F) {
	f.Add([]byte("[    0.1] x\n[    1.000000] BUG: y\n"))
	f.Add([]byte("\x00\xff[    1.000000] Kernel panic - not syncing: \x1b]0;\a"))
	f.Fuzz(func(t *testing.T, text []byte) {
		log, err := parseConsole(strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if (log.Fatal == "") != (log.FatalKind == "") {
			t.Errorf("fatal %q of kind %q", log.Fatal, log.FatalKind)
		}
		if len(log.Tail) > tailLines || len(log.Taints) > maxTaints {
			t.Errorf("%d lines, %d taints kept", len(log.Tail), len(log.Taints))
		}
		for _, line := range append(log.Tail, log.Fatal) {
			if len(line) > maxConsoleLine || strings.ContainsAny(line, "\x1b\r\n\x00") {
				t.Errorf("not safe to print: %q", line)
			}
		}
	})
}
