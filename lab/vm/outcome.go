package vm

import (
	"errors"
	"fmt"
	"strings"

	"splicelab/workloads/wire"
)

// ending is everything that is known when QEMU is gone.
type ending struct {
	console   consoleLog
	stream    wire.Stream
	streamErr error // wire.Parse's
	// shutdown says that the guest reset or switched off its machine, as
	// QEMU reported it; reason is QEMU's word for it.
	shutdown bool
	reason   string
	// stopped is why the watchdog ended the machine; empty when it didn't.
	stopped string
	// exit is QEMU's exit status in words, stderr what it printed, qmp what
	// broke the conversation with it, if anything.
	exit, stderr string
	qmp          error
}

// decide says what became of a boot. The order is that of trust: what the
// kernel said on its console comes before what followed from it.
func decide(e ending) (Outcome, string) {
	started := !errors.Is(e.streamErr, wire.ErrNoHello)
	died := !e.shutdown && e.stopped == ""
	switch {
	case !started && e.console.Fatal != "":
		return BootFailure, e.withTaints(e.console.Fatal)
	case !started && e.stopped != "":
		return BootFailure, e.withTaints("no word from the agent: " + e.stopped)
	case !started && e.shutdown:
		return BootFailure, e.withTaints("the machine ended (" + e.reason + ") before the agent started")
	case e.console.FatalKind == AgentError:
		return AgentError, agentEnd(e.console.Fatal) + ": " + e.console.Fatal
	case e.console.Fatal != "":
		return e.console.FatalKind, e.console.Fatal
	case died:
		return QEMUDied, e.death()
	case e.stopped != "":
		return Hang, e.stopped
	case e.stream.Fault != nil:
		return faultOutcome(*e.stream.Fault)
	case e.streamErr != nil:
		return AgentError, e.streamErr.Error()
	}
	return OK, ""
}

// withTaints adds the first unexpected line to a boot failure: a broken
// initramfs is told by that line, and by the panic only what came of it.
func (e ending) withTaints(detail string) string {
	if len(e.console.Taints) > 0 {
		return detail + " (first: " + e.console.Taints[0] + ")"
	}
	if len(e.console.Tail) == 0 {
		return detail + " (the console is empty)"
	}
	return detail
}

// death is how QEMU ended, with its own words.
func (e ending) death() string {
	parts := []string{e.exit}
	if e.qmp != nil {
		parts = append(parts, e.qmp.Error())
	}
	if e.stderr != "" {
		parts = append(parts, oneLine(e.stderr))
	}
	return strings.Join(parts, ": ")
}

// faultOutcome reads the agent's own word for why it stopped.
func faultOutcome(f wire.Fault) (Outcome, string) {
	switch o := Outcome(f.Outcome); o {
	case Hang, Oops, AgentError:
		return o, oneLine(f.Detail)
	}
	return AgentError, fmt.Sprintf("the agent stopped with an unknown outcome %q: %s", f.Outcome, oneLine(f.Detail))
}
