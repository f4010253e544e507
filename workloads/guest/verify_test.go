package main

import (
	"os"
	"os/signal"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"splicelab/workloads/wire"
)

// TestMain lets this binary be a probe's process, as the agent is.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == roleProbe {
		switch os.Args[2] {
		case "tells":
			unix.Write(valueFD, []byte("blocks\n"))
		case "dies":
			os.Exit(3)
		case "lingers": // and says what it saw before
			unix.Write(valueFD, []byte("new"))
			unix.Close(valueFD)
			signal.Ignore(unix.SIGTERM)
			select {}
		case "hangs":
			select {}
		case "floods":
			for {
				if _, err := unix.Write(valueFD, []byte(strings.Repeat("x", maxValue))); err != nil {
					os.Exit(1)
				}
			}
		default:
			exit(beProbe(os.Args[2:]))
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestRunProbe(t *testing.T) {
	for _, tc := range []struct {
		args     []string
		deadline time.Duration
		want     string
	}{
		{[]string{"tells"}, time.Hour, "blocks"},
		{[]string{"lingers"}, time.Hour, "new"},
		{[]string{"dies"}, time.Hour, wire.ProbeFailed + "its process: exit status 3"},
		{[]string{"hangs"}, time.Millisecond, wire.ProbeFailed + "it hangs for 1ms"},
		{[]string{"T99", "/tmp"}, time.Hour, wire.ProbeFailed + `unknown probe "T99"`},
		{[]string{"T1", "/proc/no-such-folder"}, time.Hour, wire.ProbeFailed + "probe T1: create the source file: no such file or directory"},
	} {
		if got := runProbe(append([]string{roleProbe}, tc.args...), tc.deadline); got != tc.want {
			t.Errorf("%v: %q, want %q", tc.args, got, tc.want)
		}
	}
	// A probe gone wild ends, and doesn't fill the stream.
	if got := runProbe([]string{roleProbe, "floods"}, time.Hour); len(got) > maxValue {
		t.Errorf("%d bytes of value", len(got))
	}
}
