package copypath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"splicelab/workloads/wire"
)

func openSource(t testing.TB) *Source {
	t.Helper()
	src, err := OpenSource(filepath.Join(t.TempDir(), "source"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
	return src
}

// needsVM reports whether a family needs what not every host's kernel has; a
// test in VMs runs it there (lab/run).
func needsVM(f Family) bool {
	return slices.Contains([]string{"file-alg", "huge-pipe", "huge-tcp", "ext4-cold-tcp", "xfs-cold-tcp", "file-ktls", "file-veth", "file-veth-nosg", "file-udp-dummy", "user-alg", "ext4-ext4", "xfs-xfs"}, f.Name)
}

// withFewChunks is a family whose transfers end sooner, where one takes no chunk
// twice: a thousand files for every cell take a disk too long.
func withFewChunks(f Family) Family {
	f.Once = min(f.Once, 16)
	return f
}

// eachCell opens every method of every family at the chunk sizes that differ
// in kind: less than a page, no multiple of one, more than a pipe holds.
func eachCell(t *testing.T, chunks []int64, do func(t *testing.T, c *Cell)) {
	src := openSource(t)
	for _, f := range Families() {
		if needsVM(f) {
			continue
		}
		f = withFewChunks(f)
		for _, m := range f.Methods {
			for _, chunk := range chunks {
				if !f.Takes(chunk) {
					continue // TestTooLargeAChunk
				}
				t.Run(fmt.Sprintf("%s/%d", f.Path(m), chunk), func(t *testing.T) {
					runtime.LockOSThread() // an io_uring is one thread's
					defer runtime.UnlockOSThread()
					c, err := Open(f, m, chunk, src)
					if err != nil {
						t.Fatal(err)
					}
					defer func() {
						if err := c.Close(); err != nil {
							t.Error(err)
						}
					}()
					do(t, c)
				})
			}
		}
	}
}

func TestEveryPathDeliversTheSource(t *testing.T) {
	eachCell(t, []int64{3000, 70000, 256 << 10}, func(t *testing.T, c *Cell) {
		if err := c.Warm(c.TransferBytes()); err != nil {
			t.Fatal(err)
		}
		for _, sink := range c.family.Sinks {
			// More than the source holds, so that it starts over.
			n := (SourceBytes/c.chunk + 3) * c.chunk
			if err := c.Prepare(wire.ScheduleLockstep, n); err != nil {
				t.Fatal(err)
			}
			if _, st := c.Lockstep(n, sink); st.Err() != nil {
				t.Fatalf("sink %q: %v", sink, st.Err())
			}
			if err := c.Check(n); err != nil {
				t.Errorf("sink %q: %v", sink, err)
			}
		}
	})
}

// What the last transfer left must not pass for this one's.
func TestCheckFailsBeforeATransfer(t *testing.T) {
	eachCell(t, []int64{64 << 10}, func(t *testing.T, c *Cell) {
		n := TransferBytes(c.chunk)
		if err := errors.Join(c.Warm(c.TransferBytes()), c.Prepare(wire.ScheduleLockstep, n)); err != nil {
			t.Fatal(err)
		}
		err := c.Check(n)
		if arrives := c.family.Name != "file-null" || c.method.Name == "read"; errors.Is(err, ErrIntegrity) != arrives {
			t.Errorf("got %v", err)
		}
	})
}

// The other end of a stream knows the method, too.
func TestReceiver(t *testing.T) {
	eachCell(t, []int64{4096}, func(t *testing.T, c *Cell) {
		if !c.family.Has(wire.ScheduleStream) {
			return
		}
		fd, err := unix.Dup(c.ReceiverFD())
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewReceiver(c.family, c.method, fd, c.chunk)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		n := 4 * c.chunk // less than any pipe holds
		if err := c.Prepare(wire.ScheduleStream, n); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.Send(n).Err(), r.Receive(n, c.family.Sinks[0]).Err()); err != nil {
			t.Fatal(err)
		}
		if err := c.CheckTail(n, r.Tail()); err != nil {
			t.Error(err)
		}
	})
}

// A timed region that allocates would measure Go's allocator. Both halves of a
// stream are timed, too; here one thread runs them in turn.
func TestTimedRegionsAllocateNothing(t *testing.T) {
	eachCell(t, []int64{4096, 256 << 10}, func(t *testing.T, c *Cell) {
		for _, sink := range c.family.Sinks {
			if err := c.Prepare(wire.ScheduleLockstep, 8*c.chunk); err != nil {
				t.Fatal(err)
			}
			if n := testing.AllocsPerRun(5, func() { c.Lockstep(8*c.chunk, sink) }); n != 0 {
				t.Errorf("lock-step, sink %q: %v allocations a transfer", sink, n)
			}
			if !c.family.Has(wire.ScheduleStream) || c.family.DefaultPipe && c.chunk > 64<<10 {
				continue // the latter needs a second thread
			}
			r, err := NewReceiver(c.family, c.method, c.ReceiverFD(), c.chunk)
			if err != nil {
				t.Fatal(err)
			}
			r.cell.fds = nil // the cell's own
			defer r.Close()
			if n := testing.AllocsPerRun(5, func() { c.Send(c.chunk); r.Receive(c.chunk, sink) }); n != 0 {
				t.Errorf("stream, sink %q: %v allocations a transfer", sink, n)
			}
		}
	})
}

// Two threads stand in for the two processes.
func TestPingPongDeliversTheSource(t *testing.T) {
	eachCell(t, []int64{512, 256 << 10}, func(t *testing.T, c *Cell) {
		if !c.family.Duplex {
			return
		}
		r, err := NewReceiver(c.family, c.method, c.ReceiverFD(), c.chunk)
		if err != nil {
			t.Fatal(err)
		}
		r.cell.fds = nil // the cell's own
		defer r.Close()
		for _, sink := range c.family.Sinks {
			waits := make([]int64, 70) // the source starts over within
			n := int64(len(waits)+1) * c.chunk
			if err := c.Prepare(wire.SchedulePingPong, n); err != nil {
				t.Fatal(err)
			}
			answered := make(chan error, 1)
			go func() { answered <- c.Answer(n).Err() }()
			if err := errors.Join(r.Ask(waits, sink).Err(), <-answered); err != nil {
				t.Fatalf("sink %q: %v", sink, err)
			}
			if err := c.CheckTail(n, r.Tail()); err != nil {
				t.Errorf("sink %q: %v", sink, err)
			}
			if slices.Min(waits) <= 0 {
				t.Errorf("sink %q: waits of %v", sink, waits)
			}
		}
	})
}

// What a family doesn't take must be what the kernel doesn't take: else a
// figure would be missing.
func TestTooLargeAChunk(t *testing.T) {
	src, limited := openSource(t), 0
	for _, f := range Families() {
		if f.MaxChunk == 0 || needsVM(f) {
			continue
		}
		limited++
		for _, m := range f.Methods {
			for _, chunk := range []int64{f.MaxChunk, 64 << 10, 256 << 10} {
				c, err := Open(f, m, chunk, src)
				if err != nil {
					t.Fatal(err)
				}
				var want error
				if chunk > f.MaxChunk {
					want = unix.EMSGSIZE
				}
				if err := c.Warm(c.TransferBytes()); !errors.Is(err, want) || f.Takes(chunk) != (want == nil) {
					t.Errorf("%s, chunk %d: got %v, want %v", f.Path(m), chunk, err, want)
				}
				c.Close()
			}
		}
		if f.NotTaken == "" {
			t.Errorf("%s doesn't say why it takes no larger chunks", f.Name)
		}
	}
	if limited == 0 {
		t.Error("no family has a largest chunk")
	}
}

func TestCompareFindsAMovedByte(t *testing.T) {
	src := openSource(t)
	for _, tc := range []struct {
		name  string
		spoil func(b []byte)
	}{
		{"one bit", func(b []byte) { b[len(b)/2] ^= 1 }},
		{"shifted by a page", func(b []byte) { copy(b, src.User[2*4096:]) }},
		{"shifted by 64 KiB", func(b []byte) { copy(b, src.User[4096+65536:]) }},
		{"shifted by the transfer's half", func(b []byte) { copy(b, src.User[4096+SourceBytes/2:]) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := append([]byte(nil), src.User[4096:8192]...)
			if err := src.compare(got, 4096); err != nil {
				t.Fatalf("unspoilt: %v", err)
			}
			tc.spoil(got)
			if err := src.compare(got, 4096); !errors.Is(err, ErrIntegrity) {
				t.Errorf("got %v, want %v", err, ErrIntegrity)
			}
		})
	}
}

// A spoilt source in the page cache must fail the warm-up: the comparison is
// with the copy in user memory, which the file methods never read.
func TestWarmFailsOnASpoiltFile(t *testing.T) {
	src := openSource(t)
	file, err := os.OpenFile(filepath.Join(src.Dir, "source"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteAt([]byte{src.User[SourceBytes-1] ^ 0xff}, SourceBytes-1)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	f, err := Lookup("file-unix")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(f, f.Methods[0], 64<<10, src)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Warm(c.TransferBytes()); !errors.Is(err, ErrIntegrity) {
		t.Errorf("got %v, want %v", err, ErrIntegrity)
	}
}

func TestStatusNamesTheCall(t *testing.T) {
	f, err := Lookup("file-tcp")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range f.Methods {
		c, err := Open(f, m, 4096, openSource(t))
		if err != nil {
			t.Fatal(err)
		}
		tx := c.tx
		c.tx = -1
		_, st := c.Lockstep(4096, wire.SinkRead)
		c.tx = tx
		if !errors.Is(st.Err(), unix.EBADF) {
			t.Errorf("%s: got %v, want EBADF", m.Name, st.Err())
		}
		c.Close()
	}
}

func TestTransferBytes(t *testing.T) {
	for chunk, want := range map[int64]int64{
		4 << 10:   16 << 20,
		1 << 20:   64 << 20,
		5000:      (16<<20 + 4999) / 5000 * 5000,
		256 << 10: 16 << 20,
	} {
		if got := TransferBytes(chunk); got != want {
			t.Errorf("TransferBytes(%d) = %d, want %d", chunk, got, want)
		}
	}
}

func TestAccountBytes(t *testing.T) {
	if got, want := (Family{MaxChunk: 32 << 10}).AccountBytes(4096), TransferBytes(4096); got != want {
		t.Errorf("of datagrams: %d, want %d", got, want)
	}
	for chunk, want := range map[int64]int64{
		512:      4 << 20,
		64 << 10: 4 << 20,
		5000:     (4<<20 + 4999) / 5000 * 5000,
		1 << 20:  16 << 20,
	} {
		if got := (Family{}).AccountBytes(chunk); got != want {
			t.Errorf("AccountBytes(%d) = %d, want %d", chunk, got, want)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		globs []string
		name  string
		want  bool
	}{
		{[]string{"*"}, "file-tcp/sendfile", true},
		{[]string{"file-*/sendfile"}, "file-tcp/sendfile", true},
		{[]string{"user-*"}, "user-pipe/write", false},
		{[]string{"x", "user-pipe/*"}, "user-pipe/write", true},
		{nil, "user-pipe/write", false},
	} {
		got, err := Match(tc.globs, tc.name)
		if err != nil || got != tc.want {
			t.Errorf("Match(%q, %q) = %v, %v, want %v", tc.globs, tc.name, got, err, tc.want)
		}
	}
	if _, err := Match([]string{"["}, "x"); err == nil {
		t.Error("a torn glob passed")
	}
}
