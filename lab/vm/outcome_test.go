package vm

import (
	"errors"
	"strings"
	"testing"

	"splicelab/workloads/wire"
)

// parsed is a whole stream of these lines, as the host reads it.
func parsed(t *testing.T, lines ...wire.Line) (wire.Stream, error) {
	t.Helper()
	var text strings.Builder
	w := wire.NewWriter(&text)
	for _, l := range lines {
		if err := w.Write(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return wire.Parse(strings.NewReader(text.String()))
}

func TestDecide(t *testing.T) {
	hello := wire.Line{Hello: &wire.Hello{Version: wire.Version}}
	fault := func(outcome string) []wire.Line {
		return []wire.Line{hello, {Fault: &wire.Fault{Outcome: outcome, Detail: "cell 3"}}}
	}
	tests := map[string]struct {
		console string // recorded
		lines   []wire.Line
		err     error // instead of the stream's own
		stopped string
		gone    bool // QEMU ended without a shutdown
		want    Outcome
		detail  string // a part of it
	}{
		"ok":                      {console: "ok", lines: []wire.Line{hello}, want: OK},
		"warned":                  {console: "warning", lines: []wire.Line{hello}, want: OK},
		"panic":                   {console: "panic", err: wire.ErrTruncated, want: Panic, detail: "dumptest"},
		"panic after the end":     {console: "panic", lines: []wire.Line{hello}, want: Panic, detail: "dumptest"},
		"panic before the hello":  {console: "panic", err: wire.ErrNoHello, want: BootFailure, detail: "dumptest"},
		"bug, stream whole":       {console: "bug", lines: []wire.Line{hello}, want: Oops, detail: "Kernel BUG at lkdtm"},
		"oops kills init":         {console: "oops-init", err: wire.ErrTruncated, want: Oops, detail: "NULL pointer"},
		"oops, then a deadline":   {console: "exception", err: wire.ErrTruncated, stopped: "20s passed", want: Oops, detail: "NULL pointer"},
		"oops, then QEMU killed":  {console: "exception", err: wire.ErrTruncated, gone: true, want: Oops, detail: "NULL pointer"},
		"no init":                 {console: "no-init", err: wire.ErrNoHello, want: BootFailure, detail: "Unable to mount root fs"},
		"corrupt initramfs":       {console: "corrupt-initrd", err: wire.ErrNoHello, want: BootFailure, detail: "looks like an initrd"},
		"torn initramfs":          {console: "torn-initrd", err: wire.ErrNoHello, want: BootFailure, detail: "Failed to execute /init"},
		"silent until a deadline": {console: "hang-user", err: wire.ErrNoHello, stopped: "20s passed", want: BootFailure, detail: "20s passed"},
		"ends without a word":     {console: "ok", err: wire.ErrNoHello, want: BootFailure, detail: "guest-reset"},
		"empty console":           {err: wire.ErrNoHello, want: BootFailure, detail: "console is empty"},
		"hang in the kernel":      {console: "hang-kernel", err: wire.ErrTruncated, stopped: "20s passed", want: Hang, detail: "20s passed"},
		"hang after the end mark": {console: "hang-user", lines: []wire.Line{hello}, stopped: "20s passed", want: Hang, detail: "20s passed"},
		"hang by the agent":       {console: "ok", lines: fault("hang"), want: Hang, detail: "cell 3"},
		"oops by the agent":       {console: "ok", lines: fault("oops"), want: Oops, detail: "cell 3"},
		"error by the agent":      {console: "ok", lines: fault("agent error"), want: AgentError, detail: "cell 3"},
		"unknown by the agent":    {console: "ok", lines: fault("ok"), want: AgentError, detail: `"ok"`},
		"agent ended":             {console: "agent-exit", err: wire.ErrTruncated, want: AgentError, detail: "status 3"},
		"truncated":               {console: "ok", err: wire.ErrTruncated, want: AgentError, detail: "without an end mark"},
		"corrupt":                 {console: "ok", err: wire.ErrCorrupt, want: AgentError, detail: "corrupt"},
		"killed":                  {console: "hang-user", err: wire.ErrTruncated, gone: true, want: QEMUDied, detail: "signal: killed: words of QEMU"},
		"killed before the hello": {console: "hang-user", err: wire.ErrNoHello, gone: true, want: QEMUDied, detail: "signal: killed"},
		"killed, stream whole":    {console: "ok", lines: []wire.Line{hello}, gone: true, want: QEMUDied, detail: "signal: killed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := ending{stopped: test.stopped, exit: "signal: killed", stderr: "words\nof QEMU"}
			if test.stopped == "" && !test.gone {
				e.shutdown, e.reason = true, "guest-reset"
			}
			if test.console != "" {
				e.console = recorded(t, test.console)
			}
			e.stream, e.streamErr = parsed(t, test.lines...)
			if test.err != nil {
				e.streamErr = test.err
			}
			outcome, detail := decide(e)
			if outcome != test.want {
				t.Errorf("%s (%s), want %s", outcome, detail, test.want)
			}
			if !strings.Contains(detail, test.detail) || (detail == "") != (test.want == OK) {
				t.Errorf("detail %q, want %q in it", detail, test.detail)
			}
			if strings.Contains(detail, "\n") {
				t.Errorf("detail of several lines: %q", detail)
			}
		})
	}
}

func TestDecideNamesBrokenQMP(t *testing.T) {
	_, detail := decide(ending{streamErr: wire.ErrTruncated, exit: "signal: killed", qmp: errors.New("no answer")})
	if detail != "signal: killed: no answer" {
		t.Errorf("detail %q", detail)
	}
}
