package probe

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAll(t *testing.T) {
	seen := map[string]bool{}
	id := regexp.MustCompile(`^[TPSO][0-9]{1,2}[a-z]?$`)
	for _, p := range All() {
		if seen[p.ID] || !id.MatchString(p.ID) {
			t.Errorf("ID %q is no ID, or twice there", p.ID)
		}
		seen[p.ID] = true
		if p.About == "" || len([]rune(p.About)) > 42 {
			t.Errorf("%s: about %q: a matrix has room for 42 characters", p.ID, p.About)
		}
		if got, err := Lookup(p.ID); err != nil || got.ID != p.ID {
			t.Errorf("Lookup(%s): %s, %v", p.ID, got.ID, err)
		}
	}
	if _, err := Lookup("T99"); !errors.Is(err, ErrUnknown) {
		t.Errorf("T99: %v", err)
	}
}

// A probe that can't be made tells nothing of the kernel.
func TestRunWithoutAFolder(t *testing.T) {
	for _, p := range All() {
		if !p.OnFile {
			continue
		}
		if value, err := p.Run("/proc/no-such-folder"); err == nil || value != "" {
			t.Errorf("%s saw %q in a folder that isn't there (%v)", p.ID, value, err)
		}
	}
}

// What every kernel ever did: these hold wherever the tests run.
func TestTheSameEverywhere(t *testing.T) {
	for id, want := range map[string]string{"P11": "EINVAL", "P10": works, "P6": works, "T9": "EMSGSIZE,one"} {
		p, err := Lookup(id)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Run(t.TempDir()); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", id, got, err, want)
		}
	}
}

func TestSight(t *testing.T) {
	for content, want := range map[string]string{
		"ooo": "old", "nnn": "new", "\x00\x00": "zeroes", "xx": "garbage", "oon": "mixed", "noo": "mixed", "\x00n": "mixed", "": "mixed",
	} {
		if got := sight([]byte(content)); got != want {
			t.Errorf("%q: %s, want %s", content, got, want)
		}
	}
}

func TestResult(t *testing.T) {
	for _, tc := range []struct {
		n     int
		err   error
		value string
		whole string // for a transfer of 10 bytes
	}{
		{10, nil, "10", ""},
		{7, nil, "7", "short: 7 of 10"},
		{-1, unix.EAGAIN, "EAGAIN", "EAGAIN"},
		{-1, fmt.Errorf("wrapped: %w", unix.EOPNOTSUPP), "EOPNOTSUPP", "EOPNOTSUPP"},
	} {
		if got := result(tc.n, tc.err); got != tc.value {
			t.Errorf("result(%d, %v) = %q, want %q", tc.n, tc.err, got, tc.value)
		}
		if got := whole(10, tc.n, tc.err); got != tc.whole {
			t.Errorf("whole(10, %d, %v) = %q, want %q", tc.n, tc.err, got, tc.whole)
		}
	}
}

// A call that sleeps blocks, one that returns doesn't, and one that sleeps
// elsewhere is neither.
func TestCallOutcome(t *testing.T) {
	b := &bench{}
	r, _ := b.pipe(0)
	read := func() (int, error) { return unix.Read(r, make([]byte, 1)) }
	if got := start(unix.SYS_READ, read).outcome(b); got != blocks || b.err != nil {
		t.Errorf("a read of an empty pipe: %q, %v", got, b.err)
	}
	full := &bench{}
	r2, w2 := full.pipe(unix.O_NONBLOCK)
	if got := start(unix.SYS_READ, func() (int, error) { return unix.Read(r2, make([]byte, 1)) }).outcome(full); got != "EAGAIN" || full.err != nil {
		t.Errorf("a read of an empty O_NONBLOCK pipe: %q, %v", got, full.err)
	}
	full.fillPipe(w2)
	if got := result(unix.Write(w2, []byte{0})); got != "EAGAIN" || full.err != nil {
		t.Errorf("a full pipe takes more: %q, %v", got, full.err)
	}
	other := &bench{}
	if got := start(unix.SYS_WRITE, read).outcome(other); got != "" || other.err == nil {
		t.Errorf("a read taken for a write: %q, %v", got, other.err)
	}
}

// Connections carry what is sent, with the smallest of buffers too.
func TestConnections(t *testing.T) {
	b := &bench{dir: t.TempDir()}
	for name, connect := range map[string]func() (int, int){
		"tcp": func() (int, int) { return b.tcp(0) }, "tcp, small": func() (int, int) { return b.tcp(1) },
		"unix": b.unixStream, "udp": b.udp,
	} {
		tx, rx := connect()
		b.write(tx, some)
		if got := b.read(rx, some); b.err != nil || sight(got) != "old" {
			t.Errorf("%s: %q, %v", name, got, b.err)
		}
	}
}

// The image is the one that go generate makes, and is an ext4.
func TestExt4Image(t *testing.T) {
	image, err := Ext4Image()
	if err != nil {
		t.Fatal(err)
	}
	const superblock, magic, uuid = 1024, 0x38, 0x68 // struct ext4_super_block
	sb := image[superblock:]
	if len(image) != 1<<20 || binary.LittleEndian.Uint16(sb[magic:]) != 0xef53 {
		t.Errorf("%d bytes, magic %#x", len(image), sb[magic:][:2])
	}
	if got := hex.EncodeToString(sb[uuid:][:16]); got != "73706c6963656c616200000000000001" {
		t.Errorf("uuid %s", got)
	}
	if bytes.Count(image, []byte{0}) < len(image)*99/100 {
		t.Error("it isn't empty")
	}
}

func TestAccountOfNothing(t *testing.T) {
	b := &bench{}
	fd, err := unix.Open("/proc/self/comm", unix.O_RDONLY, 0) // without counters
	if err != nil {
		t.Fatal(err)
	}
	if b.account(fd); b.err == nil || !strings.Contains(b.err.Error(), "counters") {
		t.Errorf("got %v", b.err)
	}
}
