package vm

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/digitalocean/go-qemu/qmp"
)

// monitor is go-qemu's SocketMonitor made safe: every call is bounded, replies
// are the caller's own, events are always drained. It is a qmp.Monitor.
type monitor struct {
	inner qmp.Monitor
	relay *relay
	// limit bounds one call, in wall time. When it passes, end is called,
	// which ends QEMU.
	limit time.Duration
	end   func()

	mu     sync.Mutex // one call at a time
	broken error      // set when the conversation has broken down

	connected bool

	events   chan qmp.Event
	drained  chan struct{}
	shutdown chan struct{} // closed when the guest has shut down
	reason   string        // why it did; read after shutdown
}

var _ qmp.Monitor = (*monitor)(nil)

// eventBacklog is how many events wait for a reader; more are dropped.
const eventBacklog = 64

// newMonitor takes the connection that QEMU made. go-qemu wants a path, so it
// gets a second socket in folder dir.
func newMonitor(qemu net.Conn, dir string, limit time.Duration, end func()) (*monitor, error) {
	listener, err := net.Listen("unix", filepath.Join(dir, "m"))
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, _ := listener.Accept() // fails when the listener is closed
		accepted <- conn
	}()
	inner, err := qmp.NewSocketMonitor("unix", listener.Addr().String(), limit)
	if err != nil {
		return nil, err
	}
	client := <-accepted
	if client == nil {
		inner.Disconnect()
		return nil, fmt.Errorf("%w: the monitor's socket was closed", ErrQMP)
	}
	return &monitor{
		inner: inner, relay: newRelay(qemu, client), limit: limit, end: end,
		events:  make(chan qmp.Event, eventBacklog),
		drained: make(chan struct{}), shutdown: make(chan struct{}),
	}, nil
}

// Connect shakes hands and subscribes to the events, before any can pass.
func (m *monitor) Connect() error {
	err := m.call("the handshake", func() error {
		if err := m.inner.Connect(); err != nil {
			return err
		}
		inner, err := m.inner.Events(context.Background())
		if err != nil {
			return err
		}
		go m.drain(inner)
		return nil
	})
	if err != nil {
		m.relay.close(err)
	}
	m.connected = err == nil
	return err
}

// Disconnect ends the conversation. Whoever wants the last events waits until
// drained is closed.
func (m *monitor) Disconnect() error {
	m.relay.close(io.EOF)
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.inner.Disconnect()
}

// Run executes one command and returns its whole reply. After the first
// failure every call fails; errors are ErrQMP.
func (m *monitor) Run(command []byte) ([]byte, error) {
	var reply []byte
	err := m.call(commandName(command), func() error {
		_, err := m.inner.Run(command)
		reply = m.relay.reply
		return err
	})
	return reply, err
}

// Events is the stream of events, closed when QEMU is gone. A reader that
// lags behind misses some.
func (m *monitor) Events(context.Context) (<-chan qmp.Event, error) { return m.events, nil }

// call runs one exchange under the watchdog. It always returns: when the time
// is up it closes the connection, which is what ends the exchange.
func (m *monitor) call(what string, exchange func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return m.broken
	}
	m.relay.expect()
	done := make(chan error, 1)
	go func() { done <- exchange() }()
	timer := time.NewTimer(m.limit)
	defer timer.Stop()
	var err error
	select {
	case err = <-done:
	case <-timer.C:
		err = fmt.Errorf("no answer in %s", m.limit)
		m.end()
		m.relay.close(err)
		<-done
	}
	m.relay.release()
	if gone := m.relay.gone(); gone != nil && err != nil {
		m.broken = fmt.Errorf("%w: %s: %w", ErrQMP, what, gone)
		return m.broken
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrQMP, what, err)
	}
	return nil
}

func (m *monitor) drain(inner <-chan qmp.Event) {
	defer close(m.drained)
	defer close(m.events)
	seen := false
	for e := range inner {
		if e.Event == pacer {
			m.relay.paced <- struct{}{}
			continue
		}
		if e.Event == "SHUTDOWN" && !seen {
			seen = true
			m.reason, _ = e.Data["reason"].(string)
			close(m.shutdown)
		}
		select {
		case m.events <- e:
		default:
		}
	}
}

// commandName is what a command executes, for messages.
func commandName(command []byte) string {
	var c qmp.Command
	if json.Unmarshal(command, &c) != nil || c.Execute == "" {
		return "a command"
	}
	return c.Execute
}

// execute runs a command without arguments and decodes what it returns.
func (m *monitor) execute(c qmp.Command, into any) error {
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrQMP, c.Execute, err)
	}
	reply, err := m.Run(text)
	if err != nil {
		return err
	}
	out := struct {
		Return any `json:"return"`
	}{into}
	if err := json.Unmarshal(reply, &out); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrQMP, c.Execute, err)
	}
	return nil
}

// hasShutDown says whether the guest ended its machine, and QEMU's word for
// how: guest-reset, guest-shutdown, guest-panic.
func (m *monitor) hasShutDown() (bool, string) {
	select {
	case <-m.shutdown:
		return true, m.reason
	default:
		return false, ""
	}
}
