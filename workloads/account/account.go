// Package account counts the bytes that the CPU copies. kretprobes stand on
// the functions that copy, and histogram triggers sum what they return, over
// all tasks and softirqs; pages that go into an skb by reference are counted
// beside them. It is of the guest, and not for boots that count instructions: a
// probe a page nearly doubles them.
package account

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"splicelab/workloads/wire"
)

// tracefs is where this package mounts it.
const tracefs = "/sys/kernel/tracing"

// group is the name that the package's events go under.
const group = "splicelab"

// ErrLost: probe hits went uncounted, so that no sum is one.
var ErrLost = errors.New("probe hits were lost")

// Copies is what was copied in a region, in bytes.
type Copies struct {
	// ByFunction is what each function copied; those that copied nothing are
	// not in it.
	ByFunction map[string]int64
	// User is what of it came from or went to user memory, by the kind of the
	// iterator.
	User int64
	// References is how often pages were handed to an skb by reference, and
	// Referenced how many bytes.
	References, Referenced int64
	// Calls are the system calls of the thread that opened the account, by
	// their numbers, less those of a region of nothing (Calibrate).
	Calls map[string]int64
	// Skbs is how many packets with payload in fragments a network device
	// handed to the receive path, and Fragments in how many: 0 for what passes
	// no device.
	Skbs, Fragments int64
}

// Metrics returns the sample's metrics.
func (c Copies) Metrics() map[string]int64 {
	m := map[string]int64{
		wire.MetricCopied: 0, wire.MetricUserCopied: c.User,
		wire.MetricReferences: c.References, wire.MetricReferenced: c.Referenced,
		wire.MetricSyscalls: 0,
	}
	for _, n := range c.Calls {
		m[wire.MetricSyscalls] += n
	}
	if c.Skbs > 0 {
		m[wire.MetricSkbs], m[wire.MetricFragments] = c.Skbs, c.Fragments
	}
	for function, n := range c.ByFunction {
		m[wire.MetricCopied] += n
		m[wire.MetricCopied+"/"+function] = n
	}
	return m
}

// Account is the probes. The zero value has none.
type Account struct {
	line   line
	probes []probe
	calls  counter
	own    map[string]int64 // system calls of a region of nothing, by number
}

// probe is one event with a histogram trigger over its field key, which sums
// its field n.
type probe struct {
	leaf
	key, n string // as kprobe_events takes them
	filter string // of the trigger
}

func (p probe) event() string {
	return fmt.Sprintf("r:%s/%s %s key=%s n=%s", group, p.function, p.function, p.key, p.n)
}

// trigger names the histogram: a command to it repeats its definition.
func (p probe) trigger(command string) string {
	return "hist:keys=key:vals=n:" + command + p.filter
}

func (p probe) file(name string) string {
	return filepath.Join("events", group, p.function, name)
}

// Set sets the probes for a kernel of that line, once for all accounts of the
// boot, and proves each: a known number of bytes is copied by way of it, and
// must be what it counts. dir is a folder on tmpfs. A function that the kernel
// doesn't have is an error.
func Set(lineName, dir string) error {
	a, err := of(lineName)
	if err != nil {
		return err
	}
	if err := unix.Mount("tracefs", tracefs, "tracefs", 0, ""); err != nil && err != unix.EBUSY {
		return fmt.Errorf("mount tracefs: %w", err)
	}
	// Each change of a probe waits until nobody runs the old one: 26 times a
	// region, two ticks each. No copy depends on how.
	if err := os.WriteFile("/sys/kernel/rcu_expedited", []byte("1"), 0); err != nil {
		return fmt.Errorf("make changes of probes fast: %w", err)
	}
	offset, err := findDataLen()
	if err != nil {
		return err
	}
	for _, p := range a.probes {
		if err := set(p, offset); err != nil {
			return err
		}
	}
	if err := packets.command("pause"); err != nil {
		return err
	}
	if err := a.openCalls(); err != nil {
		return err
	}
	return a.prove(dir)
}

// Open returns the account of a region of the calling thread, which counts by
// the probes that are set. It is the machine's only one: what an earlier one
// left is taken over, whatever state that was in.
func Open(lineName string) (*Account, error) {
	a, err := of(lineName)
	if err != nil {
		return nil, err
	}
	return a, a.openCalls()
}

// of is a line's account before anything is set for it.
func of(lineName string) (*Account, error) {
	l, err := lookup(lineName)
	if err != nil {
		return nil, err
	}
	a := &Account{line: l}
	for _, f := range l.leaves {
		a.probes = append(a.probes, probe{leaf: f, key: iterKind(f), n: "$retval:u64"})
	}
	a.probes = append(a.probes,
		// An error of it is negative, and passes no page.
		probe{leaf: splicer, key: iterKind(splicer), n: "$retval:s64", filter: " if n > 0"},
		probe{leaf: leaf{function: orphaner}, key: "$retval:s32"}, // n: see set
		probe{leaf: leaf{function: flattener}, key: "$retval:s32", n: "$arg4:u32"})
	return a, nil
}

// iterKind is where the kind of a function's iterator lies.
func iterKind(f leaf) string { return fmt.Sprintf("+0($arg%d):u8", f.iter) }

// set makes an event and its trigger; dataLen is data_len's offset in struct
// sk_buff.
func set(p probe, dataLen int) error {
	if p.function == orphaner {
		p.n = fmt.Sprintf("+%d($arg1):u32", dataLen)
	}
	if err := command("kprobe_events", p.event()); err != nil {
		return fmt.Errorf("no probe on %s, which this kernel's line copies with: %w", p.function, err)
	}
	return command(p.file("trigger"), p.trigger("pause"))
}

// Start begins a region. What sets the probes off from then on is counted.
func (a *Account) Start() error {
	for _, p := range a.probes {
		if err := command(p.file("trigger"), p.trigger("clear")); err != nil {
			return err
		}
	}
	for _, c := range []counter{packets, a.calls} {
		if err := c.command("clear"); err != nil {
			return err
		}
	}
	for _, p := range a.probes {
		if err := command(p.file("trigger"), p.trigger("cont")); err != nil {
			return err
		}
	}
	// Last, and first to stop, so that few calls are the account's own.
	return errors.Join(packets.command("cont"), a.calls.command("cont"))
}

// Stop ends it. ErrLost: the account of the region isn't whole.
func (a *Account) Stop() (Copies, error) {
	// All stand still before the first is read: reading copies, too.
	if err := errors.Join(a.calls.command("pause"), packets.command("pause")); err != nil {
		return Copies{}, err
	}
	for _, p := range a.probes {
		if err := command(p.file("trigger"), p.trigger("pause")); err != nil {
			return Copies{}, err
		}
	}
	text, err := read("kprobe_profile")
	if err != nil {
		return Copies{}, err
	}
	missed, err := parseProfile(text)
	if err != nil {
		return Copies{}, err
	}
	c := Copies{ByFunction: map[string]int64{}}
	for _, p := range a.probes {
		n, known := missed[p.function]
		if n != 0 || !known {
			return Copies{}, fmt.Errorf("%w: %d of %s", ErrLost, n, p.function)
		}
		if err := a.take(&c, p); err != nil {
			return Copies{}, err
		}
	}
	return c, a.takeCounters(&c)
}

// take adds one probe's histogram.
func (a *Account) take(c *Copies, p probe) error {
	text, err := read(p.file("hist"))
	if err != nil {
		return err
	}
	h, err := parseHist(text, "key", "n")
	if err != nil {
		return fmt.Errorf("%s: %w", p.function, err)
	}
	if h.dropped != 0 {
		return fmt.Errorf("%w: %d of %s had no room in its histogram", ErrLost, h.dropped, p.function)
	}
	return c.add(p.leaf, h, a.line.discard)
}

// add takes one function's histogram in.
func (c *Copies) add(f leaf, h hist, discard string) error {
	if f.idle && h.hits > 0 {
		return fmt.Errorf("%s copied %d times: the account doesn't know how to count it", f.function, h.hits)
	}
	for _, r := range h.rows {
		switch {
		case f == splicer:
			c.References += r.hits
			c.Referenced += r.n
			continue
		case f.iter == 0 && r.key != "0": // it failed, and copied nothing
			continue
		case f.iter != 0 && r.key == discard:
			continue
		case f.iter != 0 && (r.key == "0" || r.key == "1"):
			c.User += r.n
		}
		if r.n > 0 {
			c.ByFunction[f.function] += r.n
		}
	}
	return nil
}

// String is the account in one line, for messages.
func (c Copies) String() string {
	var parts []string
	for _, f := range slices.Sorted(maps.Keys(c.ByFunction)) {
		parts = append(parts, fmt.Sprintf("%s %d", f, c.ByFunction[f]))
	}
	return strings.Join(append(parts, fmt.Sprintf("of these user memory %d", c.User)), ", ")
}

// command writes one line to a file of tracefs. It never truncates: that would
// remove what is there (event_trigger_regex_open).
func command(name, text string) error {
	f, err := os.OpenFile(filepath.Join(tracefs, name), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("tracefs: %w", err)
	}
	defer f.Close()
	if _, err := f.WriteString(text + "\n"); err != nil {
		why, _ := read("error_log") // says more, where there is something
		return fmt.Errorf("tracefs: %s: %q: %w %s", name, text, err, strings.Join(strings.Fields(why), " "))
	}
	return nil
}

func read(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(tracefs, name))
	if err != nil {
		return "", fmt.Errorf("tracefs: %w", err)
	}
	return string(text), nil
}
