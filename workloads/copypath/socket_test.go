package copypath

import (
	"errors"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"splicelab/workloads/wire"
)

func openCell(t *testing.T, family, method string, chunk int64) *Cell {
	t.Helper()
	f, err := Lookup(family)
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.Method(method)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(withFewChunks(f), m, chunk, openSource(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := c.Warm(c.TransferBytes()); err != nil {
		t.Fatal(err)
	}
	return c
}

// What brings a proxy its bytes is neither the hop's cost nor the receiver's.
func TestTheFeederIsASideOfItsOwn(t *testing.T) {
	for path, fed := range map[string]bool{"tcp-pipe-tcp/splice": true, "tcp-pipe-tcp/read-write": true, "user-tcp/send": false} {
		family, method, _ := strings.Cut(path, "/")
		c := openCell(t, family, method, 64<<10)
		sides, st := c.Lockstep(4*c.chunk, wire.SinkRead)
		if st.Err() != nil {
			t.Fatalf("%s: %v", path, st.Err())
		}
		if (sides.Feeder > 0) != fed || c.Fed() != fed || sides.Sender <= 0 || sides.Receiver <= 0 {
			t.Errorf("%s: %+v, fed %v", path, sides, c.Fed())
		}
	}
}

// Every one of several receivers is looked at.
func TestAFanIsCheckedAtEveryReceiver(t *testing.T) {
	c := openCell(t, "user-tee-tcp", "tee", 64<<10)
	n := TransferBytes(c.chunk)
	for i := range c.fan {
		if err := c.Prepare(wire.ScheduleLockstep, n); err != nil {
			t.Fatal(err)
		}
		if _, st := c.Lockstep(n, wire.SinkDiscard); st.Err() != nil {
			t.Fatal(st.Err())
		}
		in := c.fan[i].in
		in[len(in)-1] ^= 1
		if err := c.Check(n); !errors.Is(err, ErrIntegrity) {
			t.Errorf("receiver %d: got %v, want %v", i, err, ErrIntegrity)
		}
	}
	if got := c.family.Delivered(n); len(c.fan) != fanOut || got != fanOut*n {
		t.Errorf("%d receivers, %d bytes delivered of %d sent", len(c.fan), got, n)
	}
}

// Completions that nobody reaps would fill the error queue.
func TestZerocopyReapsWhatIsCompleted(t *testing.T) {
	c := openCell(t, "user-tcp", "zerocopy", 64<<10)
	const sends = 256
	if _, st := c.Lockstep(sends*c.chunk, wire.SinkRead); st.Err() != nil {
		t.Fatal(st.Err())
	}
	var left uint32
	for {
		var done completion
		msg := unix.Msghdr{Control: (*byte)(unsafe.Pointer(&done)), Controllen: uint64(unsafe.Sizeof(done))}
		_, _, e := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(c.tx), uintptr(unsafe.Pointer(&msg)), unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if e == unix.EAGAIN {
			break
		}
		if e != 0 || done.err.origin != soEEOriginZerocopy {
			t.Fatalf("recvmsg: %v, %+v", e, done.err)
		}
		left += done.err.data - done.err.info + 1
	}
	if left > sends/8 {
		t.Errorf("%d of %d completions weren't reaped", left, sends)
	}
}

// A datagram of another length than the chunk's is no chunk, and one that isn't
// there doesn't block.
func TestDatagramsAreWhole(t *testing.T) {
	c := openCell(t, "file-udp", "sendfile", 4096)
	for _, keep := range []int64{0, c.chunk} {
		if st := c.receive(c, 0, c.chunk, keep); !errors.Is(st.Err(), unix.EAGAIN) {
			t.Errorf("nothing was sent: got %v, want EAGAIN", st.Err())
		}
		if st := c.method.send(c, 0, c.chunk-1); st.failed() {
			t.Fatal(st.Err())
		}
		if st := c.receive(c, 0, c.chunk, keep); !errors.Is(st.Err(), unix.EBADMSG) {
			t.Errorf("a byte less: got %v, want EBADMSG", st.Err())
		}
	}
}

// procNetDev is what a real kernel (6.12) prints.
const procNetDev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    1000      10    0    0    0     0          0         0     2000      20    0    0    0     0       0          0
dummy0:       0       0    0    0    0     0          0         0 16777216    4096    0    0    0     0       0          0
`

func TestDeviceCounters(t *testing.T) {
	packets, bytes, err := deviceCounters(procNetDev, "dummy0")
	if packets != 4096 || bytes != 16777216 || err != nil {
		t.Errorf("got %d packets, %d bytes, %v", packets, bytes, err)
	}
	for name, text := range map[string]string{
		"nothing":         "",
		"another device":  strings.ReplaceAll(procNetDev, "dummy0", "dummy1"),
		"a column less":   strings.ReplaceAll(procNetDev, "compressed\n", "\n")[:len(procNetDev)-40],
		"no number":       strings.ReplaceAll(procNetDev, "4096", "many"),
		"no such number":  strings.ReplaceAll(procNetDev, "16777216", "99999999999999999999"),
		"a header only":   procNetDev[:200],
		"without a colon": strings.ReplaceAll(procNetDev, "dummy0:", "dummy0 "),
	} {
		if packets, bytes, err := deviceCounters(text, "dummy0"); err == nil {
			t.Errorf("%s: got %d packets, %d bytes", name, packets, bytes)
		}
	}
}

func FuzzDeviceCounters(f *testing.F) {
	f.Add(procNetDev)
	f.Fuzz(func(t *testing.T, text string) {
		if _, _, err := deviceCounters(text, "dummy0"); err == nil && !strings.Contains(text, "dummy0:") {
			t.Errorf("counters found in %q", text)
		}
	})
}
