package account

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// counter is a histogram trigger on one of the kernel's own trace points.
type counter struct {
	event, key, value string
	filter            string
}

// syscalls counts what one thread calls, by number.
func syscalls(thread int) counter {
	return counter{event: "raw_syscalls/sys_enter", key: "id", filter: fmt.Sprintf(" if common_pid == %d", thread)}
}

// packets counts what loopback and veth hand to the receive path (__netif_rx),
// and in how many fragments its payload lies. Acknowledgements have none.
var packets = counter{event: "net/netif_rx_entry", key: "protocol", value: "nr_frags", filter: " if nr_frags > 0"}

func (c counter) trigger(command string) string {
	value := c.value
	if value == "" {
		value = "hitcount"
	}
	return "hist:keys=" + c.key + ":vals=" + value + ":" + command + c.filter
}

func (c counter) file(name string) string { return filepath.Join("events", c.event, name) }

func (c counter) command(text string) error { return command(c.file("trigger"), c.trigger(text)) }

func (c counter) read() (hist, error) {
	text, err := read(c.file("hist"))
	if err != nil {
		return hist{}, err
	}
	h, err := parseHist(text, c.key, c.value)
	if err == nil && h.dropped != 0 {
		err = fmt.Errorf("%w: %d had no room in the histogram", ErrLost, h.dropped)
	}
	if err != nil {
		return hist{}, fmt.Errorf("%s: %w", c.event, err)
	}
	return h, nil
}

// openCalls counts the calling thread's system calls, and nobody else's any
// more.
func (a *Account) openCalls() error {
	a.calls = syscalls(unix.Gettid())
	// A file that is opened to be written from its start loses its triggers
	// (event_trigger_regex_open).
	if err := os.WriteFile(filepath.Join(tracefs, a.calls.file("trigger")), nil, 0); err != nil {
		return fmt.Errorf("tracefs: %w", err)
	}
	return a.calls.command("pause")
}

// takeCounters adds what the counters have, the account's own calls taken off.
func (a *Account) takeCounters(c *Copies) error {
	calls, err := a.calls.read()
	if err != nil {
		return err
	}
	if c.Calls, err = without(calls.rows, a.own); err != nil {
		return err
	}
	received, err := packets.read()
	if err != nil {
		return err
	}
	for _, r := range received.rows {
		c.Skbs += r.hits
		c.Fragments += r.n
	}
	return nil
}

// foreign are the calls of Go's runtime, which no copy path makes: when the
// thread blocks, and at the end of a signal, such as the one by which a stopped
// child tells of itself whenever it next runs.
func foreign() []string {
	return []string{strconv.Itoa(unix.SYS_FUTEX), strconv.Itoa(unix.SYS_RT_SIGRETURN)}
}

// without takes the account's own system calls off, and the runtime's.
func without(rows []row, own map[string]int64) (map[string]int64, error) {
	calls := map[string]int64{}
	for _, r := range rows {
		calls[r.key] = r.hits
	}
	for _, number := range foreign() {
		delete(calls, number)
	}
	for number, n := range own {
		if calls[number] -= n; calls[number] < 0 {
			return nil, fmt.Errorf("%w: system call %s, which comes %d times in a region of nothing, came fewer times", ErrLost, number, n)
		}
		if calls[number] == 0 {
			delete(calls, number)
		}
	}
	return calls, nil
}

// Calibrate takes the account of a region in which nothing was to be measured:
// the system calls in it are those that beginning and ending a region takes, and
// are no part of later ones.
func (a *Account) Calibrate(c Copies) { a.own = c.Calls }
