package copypath

import (
	"testing"

	"splicelab/workloads/wire"
)

// A transfer unmaps what it has mapped, and begins without what was left by one
// that didn't come to its end.
func TestATransferMapsAndUnmaps(t *testing.T) {
	c := openCell(t, "file-remap-tcp", "mmap-send", 64<<10)
	if c.fresh != 0 {
		t.Error("mapped after the warm-up")
	}
	if _, st := c.Lockstep(4*c.chunk, wire.SinkRead); st.Err() != nil || c.fresh == 0 {
		t.Errorf("in mid-transfer: %v, mapped at %#x", st.Err(), c.fresh)
	}
	if err := c.Prepare(wire.ScheduleLockstep, c.TransferBytes()); err != nil || c.fresh != 0 {
		t.Errorf("before a transfer: %v, mapped at %#x", err, c.fresh)
	}
}
