package account

import (
	"fmt"
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

// openCounters sets the counters, those of system calls for the calling thread.
func (a *Account) openCounters() error {
	a.calls = syscalls(unix.Gettid())
	for _, c := range []counter{a.calls, packets} {
		if err := c.command("pause"); err != nil {
			return err
		}
	}
	return nil
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

// futex is what Go's runtime calls of itself when the thread blocks, and no copy
// path does.
var futex = strconv.Itoa(unix.SYS_FUTEX)

// without takes the account's own system calls off, and the runtime's.
func without(rows []row, own map[string]int64) (map[string]int64, error) {
	calls := map[string]int64{}
	for _, r := range rows {
		calls[r.key] = r.hits
	}
	delete(calls, futex)
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
