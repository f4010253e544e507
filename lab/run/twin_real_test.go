//go:build vm

package run

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"splicelab/images/initrd"
	"splicelab/images/kernel"
	"splicelab/lab/vm"
	"splicelab/workloads/wire"
)

// TestRealTwin: the same six copy paths by the agent and by a C program that
// shares no line with it (testdata/twin.c), each alone in a VM of its own. What
// the agent's figures have beyond the program's is the harness': its loop, the
// clock readings of each chunk, the runtime's own threads.
func TestRealTwin(t *testing.T) {
	f := shared(t)
	img := f.build(t, spec(t, "base", nil))
	limits := map[int64]float64{4 << 10: 3, 64 << 10: 1} // percent, by chunk
	twin := f.twin(t, img)
	compared := 0
	for _, family := range []string{"file-tcp", "user-pipe"} {
		p := wire.Plan{Kind: wire.KindCount, Family: family, Seed: 1, Reps: 1, CellDeadline: 60, Schedules: []string{wire.ScheduleLockstep}}
		for chunk := range limits {
			p.Chunks = append(p.Chunks, chunk)
		}
		r := boot(t, f.vm(t, img, plainCPU, p))
		if r.Outcome != vm.OK {
			t.Fatalf("%s: %s\n%s", r.Outcome, r.Detail, r.Tail)
		}
		for _, s := range r.Stream.Samples {
			at := twinCell{s.Path, s.Sink, s.Chunk}
			c, ok := twin[at]
			if s.Error != "" || !ok {
				t.Errorf("%v: %q, in the twin: %v", at, s.Error, ok)
				continue
			}
			compared++
			agent := float64(s.Metrics[wire.MetricInsns]) / float64(s.Bytes)
			more := 100 * (agent/c - 1)
			t.Logf("%-20s %-8s %6d: C %.5f, agent %.5f insn/byte: %+.2f %%", s.Path, s.Sink, s.Chunk, c, agent, more)
			if more > limits[s.Chunk] || more < -limits[s.Chunk] {
				t.Errorf("%v: %+.2f %% from its C twin, the limit is %v %%", at, more, limits[s.Chunk])
			}
		}
	}
	if compared != len(twin) {
		t.Errorf("%d cells of %d have been compared", compared, len(twin))
	}
}

// twinCell is a cell as the twin names it; a pipe's sink is empty.
type twinCell struct {
	path, sink string
	chunk      int64
}

// twin runs the C program as PID 1 and returns each cell's instructions per
// byte.
func (f *fixture) twin(t *testing.T, img *kernel.Image) map[twinCell]float64 {
	t.Helper()
	program := filepath.Join(t.TempDir(), "twin")
	command(t, "gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", program, filepath.Join("testdata", "twin.c"))
	b := f.alone(t, img, program)
	r := boot(t, b)
	text, err := os.ReadFile(b.Results)
	if err != nil {
		t.Fatal(err)
	}
	cells := map[twinCell]float64{}
	ended := false
	for line := range strings.Lines(string(text)) {
		var c twinCell
		var bytes, insns int64
		if _, err := fmt.Sscanf(line, "cell %s %s %d %d %d", &c.path, &c.sink, &c.chunk, &bytes, &insns); err == nil {
			c.sink = strings.TrimPrefix(c.sink, "-")
			cells[c] = float64(insns) / float64(bytes)
		} else if ended = strings.TrimSpace(line) == "end"; !ended {
			t.Fatalf("the twin says %q", line)
		}
	}
	if !ended {
		t.Fatalf("the twin didn't end: %s\n%s\n%s", r.Detail, text, r.Tail)
	}
	return cells
}

// alone is a VM with a static program as PID 1 in the agent's place. It speaks
// no result stream, so that the boot's outcome says nothing.
func (f *fixture) alone(t testing.TB, img *kernel.Image, program string) vm.Boot {
	t.Helper()
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	i, err := initrd.Build(t.Context(), t.TempDir(), initrd.Guest{Path: program, SHA256: hex.EncodeToString(sum[:])})
	if err != nil {
		t.Fatal(err)
	}
	other := fixture{builder: f.builder, initramfs: i}
	return other.vm(t, img, plainCPU, wire.Plan{Kind: wire.KindFault, Seed: 1})
}
