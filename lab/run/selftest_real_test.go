//go:build vm

package run

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"splicelab/lab/config"
	"splicelab/lab/exit"
)

// selftests runs the kernel's own tests on kernels, and returns the report.
func selftests(t *testing.T, c config.Config, kernels ...string) (string, error) {
	t.Helper()
	c.Kernels = nil
	for _, name := range kernels {
		c.Kernels = append(c.Kernels, named(t, name))
	}
	var out strings.Builder
	err := Selftests(t.Context(), c, &out, io.Discard, false)
	return out.String(), err
}

// On no-sendfile tests hang; the others' results are there all the same, and what
// differs from base is what the series declares.
func TestRealSelftests(t *testing.T) {
	if testing.Short() {
		t.Log("left to make test-all: it takes minutes of CPU time")
		return
	}
	report, err := selftests(t, smoke(t), "base", "no-sendfile")
	if err != nil {
		t.Errorf("%v\n%s", err, report)
	}
	rows := map[string][]string{} // of the table
	for line := range strings.Lines(report) {
		if f := strings.Fields(line); len(f) > 2 {
			rows[f[0]] = f[1:]
		}
	}
	// The script that runs splice_read expects four files to fail.
	for program, want := range map[string][]string{
		"splice/splice_read":              {"4/4/0", "4/4/0"},
		"splice/default_file_splice_read": {"1/0/0", "1/0/0"},
	} {
		if !slices.Equal(rows[program], want) {
			t.Errorf("%s: %q, want %q", program, rows[program], want)
		}
	}
	for _, want := range []string{
		"tls.12_aes_gcm.sendfile: fail, on the baseline pass",
		"tls.12_aes_gcm.send_then_sendfile: hung (killed after 5s of guest time), on the baseline pass",
		"tls.12_aes_gcm.multi_chunk_sendfile: hung (killed after 1.5s of CPU time), on the baseline pass",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
}

// A boot that is lost leaves what its tests came to before that.
func TestRealSelftestsOfALostBoot(t *testing.T) {
	if testing.Short() {
		t.Log("left to make test-all: it builds the kernel's tests")
		return
	}
	c := smoke(t)
	c.BootCPUDeadline = 15 * time.Second
	report, err := selftests(t, c, "base")
	var wrong *exit.Error
	if !errors.As(err, &wrong) || wrong.Status != exit.Wrong || !strings.Contains(err.Error(), "selftests on kernel base: hang: 15s of QEMU's CPU time passed") {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(report, "splice/splice_read") {
		t.Errorf("nothing of what was tested:\n%s", report)
	}
}
