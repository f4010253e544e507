package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"time"

	"splicelab/workloads/wire"
)

// The faults of a KindFault plan. They exist so that every outcome is tested
// on a real VM.
const (
	faultPanic      = "panic"
	faultOops       = "oops"
	faultWarn       = "warn"
	faultHangKernel = "hang-kernel"
	faultHangUser   = "hang-user"
	faultAgentExit  = "agent-exit"  // the worker ends with an error
	faultTruncate   = "truncate"    // the stream has no end mark
	faultLostLine   = "lost-line"   // a line of the stream is missing
	faultSpoiltLine = "spoilt-line" // a byte of the stream is another
	faultNone       = "none"        // nothing happens: the stream is empty but whole
)

// lkdtm is the kernel's own provoker of crashes (LKDTM).
const lkdtm = "/sys/kernel/debug/provoke-crash/DIRECT"

// provoke does what kills or hangs; what spoils the stream is PID 1's part.
func provoke(fault string) error {
	switch fault {
	case faultPanic:
		return os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
	case faultOops:
		return os.WriteFile(lkdtm, []byte("EXCEPTION"), 0)
	case faultWarn:
		return os.WriteFile(lkdtm, []byte("WARNING"), 0)
	case faultHangKernel:
		return os.WriteFile(lkdtm, []byte("HARDLOCKUP"), 0)
	case faultHangUser:
		time.Sleep(1 << 62)
	case faultAgentExit:
		return errors.New("the plan asks for this error")
	}
	return nil
}

// spoiler is a result port that damages the stream as the plan asks.
type spoiler struct {
	port  io.Writer
	fault string
	lines int
}

// Write takes one line of the stream, as wire.Writer hands them over.
func (s *spoiler) Write(line []byte) (int, error) {
	out := line
	switch {
	case s.fault == faultLostLine && s.lines == 1:
		out = nil
	case s.fault == faultSpoiltLine && s.lines == 1:
		out = bytes.Replace(line, []byte("none"), []byte("nona"), 1)
	case s.fault == faultTruncate && bytes.Contains(line, []byte(`"end"`)):
		out = nil
	}
	s.lines++
	if _, err := s.port.Write(out); err != nil {
		return 0, err
	}
	return len(line), nil
}

// faultSamples are what a KindFault boot sends in place of samples.
func faultSamples() []wire.Sample {
	return []wire.Sample{{Path: "fault/none"}, {Path: "fault/none", Rep: 1}}
}
