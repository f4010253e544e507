package vm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/digitalocean/go-qemu/qmp"
)

const (
	greeting = `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}` + "\n"
	done     = `{"return": {}}` + "\n"
)

func event(name string) string {
	return fmt.Sprintf(`{"timestamp": {"seconds": 1, "microseconds": 2}, "event": %q, "data": {"guest": true, "reason": "guest-reset"}}`+"\n", name)
}

// peer is a fake QEMU at the far end of a QMP connection.
type peer struct {
	conn net.Conn
	in   *json.Decoder
}

// command reads the next command's name; empty when the monitor is gone.
func (p *peer) command() string {
	var c qmp.Command
	if p.in.Decode(&c) != nil {
		return ""
	}
	return c.Execute
}

func (p *peer) send(text string) { io.WriteString(p.conn, text) }

// monitorTo connects a monitor to a fake QEMU that plays script, then closes.
// limit bounds a call; killed is closed when the monitor ends QEMU.
func monitorTo(t *testing.T, limit time.Duration, script func(p *peer)) (m *monitor, killed chan struct{}) {
	t.Helper()
	dir, err := socketDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "q"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	far, err := net.Dial("unix", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	killed = make(chan struct{})
	m, err = newMonitor(near, dir, limit, func() { close(killed) })
	if err != nil {
		t.Fatal(err)
	}
	played := make(chan struct{})
	go func() {
		defer close(played)
		defer far.Close()
		script(&peer{conn: far, in: json.NewDecoder(bufio.NewReader(far))})
	}()
	t.Cleanup(func() {
		m.Disconnect()
		<-played
	})
	return m, killed
}

// greet plays the handshake.
func (p *peer) greet() {
	p.send(greeting)
	p.command()
	p.send(done)
}

// patient is longer than any test needs; hasty is for calls that must fail.
const (
	patient = time.Minute
	hasty   = 50 * time.Millisecond
)

func connected(t *testing.T, script func(p *peer)) *monitor {
	t.Helper()
	m, _ := monitorTo(t, patient, script)
	if err := m.Connect(); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMonitorLongReply(t *testing.T) {
	m := connected(t, func(p *peer) {
		p.greet()
		p.command()
		p.send(`{"return": "` + strings.Repeat("x", 200<<10) + `"}` + "\n")
		p.command()
		p.send(`{"return": "short"}` + "\n")
		p.command()
	})
	if _, err := m.Run([]byte(`{"execute":"query-qmp-schema"}`)); !errors.Is(err, ErrQMP) || !strings.Contains(err.Error(), "query-qmp-schema: a reply of 2048") {
		t.Errorf("long reply: error %v", err)
	}
	reply, err := m.Run([]byte(`{"execute":"query-name"}`))
	if err != nil || strings.TrimSpace(string(reply)) != `{"return": "short"}` {
		t.Errorf("the next reply is %q, %v", reply, err)
	}
}

func TestMonitorEventFloodWithoutReader(t *testing.T) {
	m := connected(t, func(p *peer) {
		p.greet()
		for range 5000 {
			p.send(event("BALLOON_CHANGE"))
		}
		p.command()
		p.send(done + event("SHUTDOWN"))
	})
	if _, err := m.Run([]byte(`{"execute":"cont"}`)); err != nil {
		t.Fatal(err)
	}
	<-m.drained
	if down, reason := m.hasShutDown(); !down || reason != "guest-reset" {
		t.Errorf("shutdown %v, %q: lost in the flood", down, reason)
	}
}

// The reply must stay what it was when more than a buffer's worth of events
// follows; -race reports a shared buffer.
func TestMonitorReplyIsTheCallersOwn(t *testing.T) {
	want := `{"return": "` + strings.Repeat("a", 3000) + `"}`
	m := connected(t, func(p *peer) {
		p.greet()
		for p.command() != "" {
			p.send(want + "\n" + strings.Repeat(event("RTC_CHANGE"), 100))
		}
	})
	for range 20 {
		reply, err := m.Run([]byte(`{"execute":"query-name"}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(string(reply)); got != want {
			t.Fatalf("reply of %d bytes changed: %.80q", len(got), got)
		}
	}
}

func TestMonitorEventBesideHandshake(t *testing.T) {
	m := connected(t, func(p *peer) {
		p.send(greeting)
		p.command()
		p.send(done + event("SHUTDOWN"))
		p.command()
	})
	<-m.shutdown
	events, err := m.Events(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if e := <-events; e.Event != "SHUTDOWN" {
		t.Errorf("event %q, want SHUTDOWN", e.Event)
	}
}

func TestMonitorDropsStrayReply(t *testing.T) {
	m := connected(t, func(p *peer) {
		p.greet()
		p.send(`{"return": "stray"}` + "\n" + event("SHUTDOWN"))
		p.command()
		p.send(`{"return": "asked"}` + "\n")
		p.command()
	})
	<-m.shutdown // the stray reply stood before it
	reply, err := m.Run([]byte(`{"execute":"query-name"}`))
	if err != nil || !strings.Contains(string(reply), "asked") {
		t.Errorf("reply %q, %v", reply, err)
	}
}

func TestMonitorErrorReply(t *testing.T) {
	m := connected(t, func(p *peer) {
		p.greet()
		p.command()
		p.send(`{"error": {"class": "CommandNotFound", "desc": "no such command"}}` + "\n")
		p.command()
		p.send(`{"return": {"status": "running"}}` + "\n")
		p.command()
	})
	if _, err := m.Run([]byte(`{"execute":"query-cpus"}`)); err == nil || err.Error() != "QMP: query-cpus: no such command" {
		t.Errorf("error %v", err)
	}
	var status struct{ Status string }
	if err := m.execute(qmp.Command{Execute: "query-status"}, &status); err != nil || status.Status != "running" {
		t.Errorf("status %q, %v after a command that failed", status.Status, err)
	}
}

// A conversation that breaks makes one plain error of each call, and every
// later call fails at once.
func TestMonitorBrokenConversation(t *testing.T) {
	tests := map[string]struct {
		script func(p *peer)
		says   string
	}{
		"end before the greeting": {func(p *peer) {}, "the handshake: EOF"},
		"end in the greeting":     {func(p *peer) { p.send(greeting[:20]) }, "the handshake: EOF"},
		"garbage for a greeting":  {func(p *peer) { p.send("SSH-2.0-OpenSSH\n") }, "not a message"},
		"end instead of a reply":  {func(p *peer) { p.greet(); p.command() }, "query-status: EOF"},
		"end in a reply":          {func(p *peer) { p.greet(); p.command(); p.send(`{"return": {"sta`) }, "query-status: EOF"},
		"garbage for a reply":     {func(p *peer) { p.greet(); p.command(); p.send("\x00\xff\n") }, "not a message"},
		"JSON that says nothing":  {func(p *peer) { p.greet(); p.command(); p.send("{}\n") }, "not a message"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, _ := monitorTo(t, patient, test.script)
			err := m.Connect()
			if err == nil {
				_, err = m.Run([]byte(`{"execute":"query-status"}`))
			}
			if !errors.Is(err, ErrQMP) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %q", err, test.says)
			}
			if _, again := m.Run([]byte(`{"execute":"quit"}`)); !errors.Is(again, ErrQMP) {
				t.Errorf("a later call: %v", again)
			}
		})
	}
}

// A QEMU that stays silent is ended, and the call returns.
func TestMonitorSilence(t *testing.T) {
	tests := map[string]struct {
		script func(p *peer)
		says   string
	}{
		"no greeting":           {func(p *peer) { p.command() }, "the handshake: no answer"},
		"no handshake reply":    {func(p *peer) { p.send(greeting); p.command(); p.command() }, "the handshake: no answer"},
		"no reply":              {func(p *peer) { p.greet(); p.command(); p.command() }, "query-status: no answer"},
		"events, but no reply":  {func(p *peer) { p.greet(); p.command(); p.send(event("STOP")); p.command() }, "query-status: no answer"},
		"a line without an end": {func(p *peer) { p.greet(); p.command(); p.send(strings.Repeat("x", 100<<10)); p.command() }, "query-status: no answer"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, killed := monitorTo(t, hasty, test.script)
			err := m.Connect()
			if err == nil {
				_, err = m.Run([]byte(`{"execute":"query-status"}`))
			}
			if !errors.Is(err, ErrQMP) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %q", err, test.says)
			}
			<-killed
		})
	}
}

func FuzzLineKind(f *testing.F) {
	f.Add([]byte(greeting), false)
	f.Add([]byte(event("SHUTDOWN")), true)
	f.Add([]byte(`{"return": "`), true)
	f.Fuzz(func(t *testing.T, line []byte, cut bool) {
		if kind := lineKind(line, cut); kind != garbageLine && !cut && !json.Valid(line) {
			t.Errorf("%q is not a message, and was taken for kind %d", line, kind)
		}
	})
}
