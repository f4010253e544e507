package store

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// childRun names the folder in which this binary, started again by TestKilled,
// commits boots until it is killed.
const childRun = "SPLICELAB_TEST_STORE_RUN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childRun); dir != "" {
		fmt.Fprintln(os.Stderr, commitAll(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const killedBoots = 400

// commitAll measures, in pretence, all pending boots of a run.
func commitAll(dir string) error {
	r, err := Open(dir)
	if err != nil {
		return err
	}
	for _, b := range r.Pending() {
		b.Outcome = OK
		var list []Sample
		for rep := range 20 {
			list = append(list, sample(b.Name, rep))
		}
		if err := r.Commit(b, list); err != nil {
			return err
		}
	}
	return errors.New("all boots were committed before the kill")
}

// TestKilled kills a lab in the middle of its commits, several times: every
// boot that is marked done has all its samples, and the lock is free again.
func TestKilled(t *testing.T) {
	var names []string
	for i := range killedBoots {
		names = append(names, fmt.Sprintf("boot%04d", i))
	}
	r := create(t, names...)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	before := 0
	for round := range 4 {
		killChild(t, r.Dir())
		again, err := Open(r.Dir())
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		done := killedBoots - len(again.Pending())
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
		_, samples, err := Load(r.Dir())
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if done <= before || len(samples) != 20*done {
			t.Errorf("round %d: %d boots done after %d, %d samples", round, done, before, len(samples))
		}
		before = done
	}
}

// killChild lets a child commit a few boots and kills it. The sample file grows
// before the manifest is replaced, so that the kill falls anywhere in a commit.
func killChild(t *testing.T, dir string) {
	t.Helper()
	samples := filepath.Join(dir, SamplesName)
	start := size(t, samples)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childRun+"="+dir)
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	for size(t, samples) < start+100*250 { // some five boots
		select {
		case err := <-ended:
			t.Fatalf("the child ended by itself: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended // an error: it was killed
}

func size(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestFailedWrite: a commit that cannot be written leaves the boot planned, and
// the next attempt stores it whole.
func TestFailedWrite(t *testing.T) {
	r := create(t, "a")
	good := r.samples
	broken, err := os.Open(filepath.Join(r.Dir(), SamplesName)) // read-only
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	r.samples = broken
	if err := r.Commit(done("a"), []Sample{sample("a", 0)}); err == nil {
		t.Fatal("writing to a read-only file succeeded")
	}
	if len(r.Pending()) != 1 {
		t.Error("the boot is done without its samples")
	}
	r.samples = good
	if _, err := good.Write([]byte("half a li")); err != nil { // what a full disk leaves
		t.Fatal(err)
	}
	commit(t, r, "a", 2)
	if got := loadReps(t, r.Dir()); len(got) != 2 {
		t.Errorf("got %v", got)
	}
}
