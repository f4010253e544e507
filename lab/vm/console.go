package vm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// consoleLog is what a console says about its boot.
type consoleLog struct {
	// Fatal is the first line that ends the boot's worth, without its
	// timestamp, and FatalKind what it means: Panic, Oops, or AgentError
	// when the kernel gave up because the agent had ended. Both are empty in
	// a sound boot.
	Fatal     string
	FatalKind Outcome
	// Taints are the unexpected lines, the first maxTaints of them.
	Taints []string
	// Tail is the console's end.
	Tail []string
}

const (
	maxTaints = 20
	tailLines = 25
	// maxConsoleLine cuts a line, in bytes. printk's records are shorter than
	// 1 KiB (kernel/printk, PRINTKRB_RECORD_MAX 1024).
	maxConsoleLine = 4 << 10
)

// timestamp is printk's. A message may follow a program's unfinished line.
var timestamp = regexp.MustCompile(`\[ *\d+\.\d{6}\] `)

// A verdict is what a kernel message means. The first that matches counts.
type verdict struct {
	kind    Outcome // "" for a taint
	message *regexp.Regexp
}

// verdicts is read over messages without their timestamps. Sources: 6.12's
// kernel/panic.c, lib/bug.c, arch/x86/kernel/{dumpstack,traps}.c,
// arch/x86/mm/fault.c, kernel/watchdog.c, kernel/rcu/tree_stall.h,
// kernel/hung_task.c, mm/{oom_kill,page_alloc}.c, kernel/irq/spurious.c,
// arch/x86/kernel/tsc.c, kernel/time/clocksource.c, init/initramfs.c.
var verdicts = []verdict{
	// A lockup is reported as a BUG, and the kernel goes on.
	{"", regexp.MustCompile(`^(watchdog: )?BUG: (soft lockup|workqueue lockup)`)},
	{AgentError, regexp.MustCompile(`^Kernel panic - not syncing: Attempted to kill init!`)},
	{Panic, regexp.MustCompile(`^Kernel panic - not syncing`)},
	{Oops, regexp.MustCompile(`^BUG: `)},
	{Oops, regexp.MustCompile(`^[Kk]ernel BUG at `)}, // capital without DEBUG_BUGVERBOSE
	{Oops, regexp.MustCompile(`^Oops\b`)},
	{Oops, regexp.MustCompile(`^general protection fault\b`)},
	{Oops, regexp.MustCompile(`^[Uu]nable to handle `)},
	{Oops, regexp.MustCompile(`^(traps: )?PANIC: double fault`)},
	{Oops, regexp.MustCompile(`^[^\[]*: [0-9a-f]{4} \[#\d+\]`)}, // any die(), by its counter
	{"", regexp.MustCompile(`^WARNING: `)},
	{"", regexp.MustCompile(`^UBSAN: `)},
	// kernel/locking/lockdep.c: the second after any report, and when it gives up.
	{"", regexp.MustCompile(`^INFO: trying to register non-static key`)},
	{"", regexp.MustCompile(`^turning off the locking correctness validator`)},
	{"", regexp.MustCompile(`^(rcu: )?INFO: rcu_\w+ (self-)?detected .*stall`)},
	{"", regexp.MustCompile(`^rcu: rcu_\w+ kthread (starved|timer wakeup)`)},
	{"", regexp.MustCompile(`^(watchdog: )?Watchdog detected hard LOCKUP`)},
	{"", regexp.MustCompile(`^INFO: task .* blocked for more than`)},
	{"", regexp.MustCompile(`invoked oom-killer|^Out of memory: `)},
	{"", regexp.MustCompile(`page allocation failure`)},
	{"", regexp.MustCompile(`^irq \d+: nobody cared`)},
	{"", regexp.MustCompile(`^(tsc: )?Marking TSC unstable|^clocksource: timekeeping watchdog`)},
	{"", regexp.MustCompile(`^traps: .* (trap|general protection)|\bsegfault at `)},
	{"", regexp.MustCompile(`^Initramfs unpacking failed|^rootfs image is not initramfs`)},
	{"", regexp.MustCompile(`^Failed to execute |^Run .* as init process failed`)},
}

// parseConsole reads a console to its end. Nothing in it is an error: a
// console is whatever the guest wrote.
func parseConsole(r io.Reader) (consoleLog, error) {
	var log consoleLog
	in := bufio.NewReaderSize(r, maxConsoleLine)
	for {
		raw, err := readConsoleLine(in)
		if raw != "" {
			log.add(raw)
		}
		if errors.Is(err, io.EOF) {
			return log, nil
		}
		if err != nil {
			return log, err
		}
	}
}

// readConsoleLine returns the next line, cut and made safe to print.
func readConsoleLine(in *bufio.Reader) (string, error) {
	part, err := in.ReadSlice('\n')
	line := printable(string(part))
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = in.ReadSlice('\n')
	}
	return line, err
}

// printable drops what a terminal would obey: the guest's output ends in the
// reports of those who run it.
func printable(s string) string {
	return strings.TrimRightFunc(strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s), unicode.IsSpace)
}

func (c *consoleLog) add(line string) {
	if line == "" {
		return
	}
	if len(c.Tail) == tailLines {
		c.Tail = append(c.Tail[:0], c.Tail[1:]...)
	}
	c.Tail = append(c.Tail, line)

	at := timestamp.FindStringIndex(line)
	if at == nil {
		return // a program's own words
	}
	message := line[at[1]:]
	for _, v := range verdicts {
		if !v.message.MatchString(message) {
			continue
		}
		c.judge(v.kind, message)
		return
	}
}

func (c *consoleLog) judge(kind Outcome, message string) {
	switch {
	case kind == "" && len(c.Taints) < maxTaints && c.Fatal == "":
		c.Taints = append(c.Taints, message)
	case kind != "" && c.Fatal == "":
		c.Fatal, c.FatalKind = message, kind
	}
}

// exitCode is the wait status that the kernel prints when init ends
// (kernel/exit.c, do_exit).
var exitCode = regexp.MustCompile(`exitcode=0x([0-9a-f]{8})`)

// agentEnd says how the agent ended, from the kernel's message about it.
func agentEnd(message string) string {
	found := exitCode.FindStringSubmatch(message)
	if found == nil {
		return "the agent ended"
	}
	status, _ := strconv.ParseUint(found[1], 16, 32) // 8 hex digits always fit
	if signal := status & 0x7f; signal != 0 {
		return fmt.Sprintf("the agent was ended by signal %d", signal)
	}
	return fmt.Sprintf("the agent ended with status %d", status>>8&0xff)
}
