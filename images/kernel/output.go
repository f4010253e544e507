package kernel

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// output is the folder one profile is built into.
type output struct {
	tree *tree
	dir  string
}

// output opens the folder of profile, after repairing what an earlier make that
// was killed left behind in it.
func (t *tree) output(profile string) (*output, error) {
	o := &output{tree: t, dir: filepath.Join(t.dir, "out", profile)}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return nil, err
	}
	return o, o.repair()
}

func (o *output) src() string { return filepath.Join(o.tree.dir, "src") }

// mark is the file that says that a phase of make is under way.
func (o *output) mark(phase string) string { return o.dir + "." + phase }

// begin marks the phase as under way. Each phase's make runs between begin and
// end.
func (o *output) begin(phase string) error { return os.WriteFile(o.mark(phase), nil, 0o644) }

// end says that make ended by itself.
func (o *output) end(phase string) error { return os.Remove(o.mark(phase)) }

// The phases. In phasePrepare every file newer than the mark is distrusted; in
// phaseBuild a target is kept if kbuild had come to write down its command.
const (
	phasePrepare = "preparing"
	phaseBuild   = "building"
)

// repair removes the files that a killed make may have left half written: those
// newer than its mark. kbuild writes .NAME.cmd when NAME is whole, and removes
// .NAME.d when .NAME.cmd is: by these, what had been compiled in phaseBuild is
// kept, and a build cut off goes on where it was.
func (o *output) repair() error {
	for _, phase := range []string{phasePrepare, phaseBuild} {
		mark, err := os.Stat(o.mark(phase))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		// The mark's time is the file system's own, as the files' are.
		if err := o.removeSince(mark.ModTime(), phase == phaseBuild); err != nil {
			return err
		}
		if err := o.end(phase); err != nil {
			return err
		}
	}
	return nil
}

func (o *output) removeSince(since time.Time, keepWhole bool) error {
	var doomed []string
	err := filepath.WalkDir(o.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.ModTime().Before(since) {
			return err
		}
		if keepWhole && (filepath.Ext(name) == ".cmd" || whole(name, info.ModTime())) {
			return nil
		}
		doomed = append(doomed, name)
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range doomed {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// whole reports whether kbuild had done with target, last written at the given
// time.
func whole(target string, written time.Time) bool {
	dir, base := filepath.Split(target)
	cmd, err := os.Stat(dir + "." + base + ".cmd")
	return err == nil && !cmd.ModTime().Before(written) && !exists(dir+"."+base+".d")
}
