package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"splicelab/images/internal/command"
)

// tree is one source, unpacked, under its lock. All kernels of a source are
// built from this one path into one output path a profile, so that only what a
// patch touches is compiled again (absolute paths are in the command lines that
// kbuild compares).
//
//	lock        held by whoever builds, and by the compilers it started
//	state.json  which files patches have changed: the journal
//	src/        the tree, patched
//	pristine/   the files of the journal as they were
//	stage/      where patches are applied, and where files wait for their rename
//	out/        kbuild's output, a folder a profile
type tree struct {
	dir   string
	root  *os.Root // dir; nothing below follows a link out of it
	lock  *os.File
	state state
	// repository is the git tree that the source is a revision of; empty when it
	// is none.
	repository string
	// merged are the patches of the last apply that needed a three-way merge.
	merged []string
}

// state says which files of src may differ from the tarball's. It is on the
// disk, with their pristine copies, before the first of them is changed: after
// a kill in the middle, the next switch compares each with what it should be.
type state struct {
	SHA256  string           `json:"sha256"` // the source's
	Touched map[string]saved `json:"touched"`
}

// saved is how a touched file was.
type saved struct {
	Absent bool        `json:"absent,omitempty"`
	Mode   fs.FileMode `json:"mode,omitempty"`
}

// file is a file's content, or that there is none.
type file struct {
	absent bool
	mode   fs.FileMode
	data   []byte
}

func (f file) equal(g file) bool {
	return f.absent == g.absent && f.mode == g.mode && string(f.data) == string(g.data)
}

func (b *Builder) treePath(sum string) string { return filepath.Join(b.Cache, "trees", sum[:16]) }

// openTree locks the tree of src and unpacks it if need be.
func (b *Builder) openTree(ctx context.Context, name string, src Source) (*tree, error) {
	dir := b.treePath(src.SHA256)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := acquire(ctx, filepath.Join(dir, "lock"), func() {
		b.event(Event{Kernel: name, Step: StepWait, Detail: "another build uses the tree in " + dir})
	})
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		lock.Close()
		return nil, err
	}
	t := &tree{dir: dir, root: root, lock: lock}
	if src.Spec.Kind == SourceGit {
		t.repository = src.Spec.Path
	}
	if err := t.load(src.SHA256); err != nil {
		b.event(Event{Kernel: name, Step: StepUnpack, Detail: src.Spec.String()})
		if err := t.unpack(ctx, src); err != nil {
			t.close()
			return nil, err
		}
	}
	return t, nil
}

func (t *tree) close() {
	t.root.Close()
	t.lock.Close()
}

func (t *tree) load(sum string) error {
	text, err := t.root.ReadFile("state.json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &t.state); err != nil {
		return err
	}
	if t.state.SHA256 != sum {
		return fmt.Errorf("the tree is that of %s", t.state.SHA256)
	}
	_, err = t.root.Stat("src")
	return err
}

// unpack makes the tree anew. Its output goes with it: kbuild goes by times,
// and the tarball's are older than any object.
func (t *tree) unpack(ctx context.Context, src Source) error {
	for _, old := range []string{"state.json", "out", "src", "new", "pristine", "stage"} {
		if err := t.root.RemoveAll(old); err != nil {
			return err
		}
	}
	if err := t.root.Mkdir("new", 0o755); err != nil {
		return err
	}
	if got, err := hashFile(src.Tarball); err != nil {
		return err
	} else if got != src.SHA256 {
		return &SourceError{Detail: fmt.Sprintf("%s is damaged (its sha256 is %s): remove it", src.Tarball, got)}
	}
	err := command.Run(ctx, command.Cmd{
		Args: []string{"tar", "--extract", "--no-same-owner", "--strip-components=1", "--file", src.Tarball, "--directory", filepath.Join(t.dir, "new")},
		Env:  command.CleanEnv(),
	})
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	// One sync for all: a tree that a power cut emptied would be compiled.
	if err := unix.Syncfs(int(t.lock.Fd())); err != nil {
		return fmt.Errorf("sync %s: %w", t.dir, err)
	}
	if err := t.root.Rename("new", "src"); err != nil {
		return err
	}
	t.state = state{SHA256: src.SHA256, Touched: map[string]saved{}}
	return t.save()
}

func (t *tree) save() error {
	text, err := json.MarshalIndent(t.state, "", " ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(t.dir, "state.json"), text, 0o644)
}

// apply makes src what the tarball holds with series applied, in order. Files
// that are right already aren't written: their times stay. It either applies
// all or changes nothing.
func (t *tree) apply(ctx context.Context, series []Series) error {
	want, err := t.patched(ctx, series)
	if err != nil {
		return err
	}
	return t.become(want)
}

// patched applies series to copies of the files they touch and returns what
// becomes of these files.
func (t *tree) patched(ctx context.Context, series []Series) (map[string]file, error) {
	if err := t.cleanStage(); err != nil {
		return nil, err
	}
	t.merged = nil
	want := make(map[string]file)
	for _, s := range series {
		for _, p := range s.Patches {
			if err := t.patchStage(ctx, s.Name, p, want); err != nil {
				return nil, err
			}
		}
	}
	for name := range want {
		f, err := t.read(path.Join("stage", name))
		if err != nil {
			return nil, err
		}
		want[name] = f
	}
	return want, nil
}

func (t *tree) cleanStage() error {
	if err := t.root.RemoveAll("stage"); err != nil {
		return err
	}
	return t.root.Mkdir("stage", 0o755)
}

// patchStage applies one patch in the stage, after bringing there what it
// touches and is not yet in want.
func (t *tree) patchStage(ctx context.Context, series string, p Text, want map[string]file) error {
	heads, err := parsePatch(p.Text)
	if err != nil {
		return &PatchError{Series: series, Patch: p.Name, Detail: err.Error()}
	}
	for _, name := range heads.names {
		if _, ok := want[name]; ok {
			continue
		}
		f, err := t.pristine(name)
		if err != nil {
			return &PatchError{Series: series, Patch: p.Name, File: name, Detail: err.Error()}
		}
		want[name] = f
		if err := t.write(path.Join("stage", name), f); err != nil {
			return err
		}
	}
	merged, err := t.gitApply(ctx, series, p, heads)
	if merged {
		t.merged = append(t.merged, series+"/"+p.Name)
	}
	return err
}

// pristine returns a file as the tarball has it.
func (t *tree) pristine(name string) (file, error) {
	s, ok := t.state.Touched[name]
	if !ok {
		return t.read(path.Join("src", name))
	}
	if s.Absent {
		return file{absent: true}, nil
	}
	f, err := t.read(path.Join("pristine", name))
	if err == nil && f.absent {
		err = fmt.Errorf("the pristine copy of %s is gone: remove %s", name, t.dir)
	}
	f.mode = s.Mode
	return f, err
}

// become writes want over the tree, and the pristine contents of what was
// touched before and isn't in want.
func (t *tree) become(want map[string]file) error {
	next := maps.Clone(want)
	for name := range t.state.Touched {
		if _, ok := next[name]; ok {
			continue
		}
		f, err := t.pristine(name)
		if err != nil {
			return err
		}
		next[name] = f
	}
	if err := t.journal(want); err != nil {
		return err
	}
	for name, f := range next {
		if err := t.place(name, f); err != nil {
			return err
		}
	}
	return t.forget(want)
}

// journal puts the files of want on the disk as they are, and into the journal,
// if they aren't in it yet. After it they may be changed.
func (t *tree) journal(want map[string]file) error {
	touched := maps.Clone(t.state.Touched)
	for name := range want {
		if _, ok := touched[name]; ok {
			continue
		}
		f, err := t.pristine(name)
		if err != nil {
			return err
		}
		if err := t.write(path.Join("pristine", name), f); err != nil {
			return err
		}
		touched[name] = saved{Absent: f.absent, Mode: f.mode}
	}
	if len(touched) == len(t.state.Touched) {
		return nil
	}
	t.state.Touched = touched
	return t.save()
}

// forget takes the files that are pristine again out of the journal.
func (t *tree) forget(want map[string]file) error {
	var gone []string
	for name := range t.state.Touched {
		if _, ok := want[name]; !ok {
			gone = append(gone, name)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	for _, name := range gone {
		delete(t.state.Touched, name)
	}
	if err := t.save(); err != nil {
		return err
	}
	for _, name := range gone {
		if err := t.root.RemoveAll(path.Join("pristine", name)); err != nil {
			return err
		}
	}
	return nil
}

// place makes one file of src what it should be, in one step.
func (t *tree) place(name string, want file) error {
	dst := path.Join("src", name)
	have, err := t.read(dst)
	if err != nil {
		return err
	}
	switch {
	case want.absent:
		return t.remove(dst, have)
	case have.equal(want):
		return nil
	}
	const waiting = "stage/.placing"
	if err := t.write(waiting, want); err != nil {
		return err
	}
	if err := t.root.MkdirAll(path.Dir(dst), 0o755); err != nil {
		return err
	}
	return t.root.Rename(waiting, dst)
}

// remove removes a file and the folders that it leaves empty, those too that an
// earlier remove was killed before.
func (t *tree) remove(name string, have file) error {
	if !have.absent {
		if err := t.root.Remove(name); err != nil {
			return err
		}
	}
	for dir := path.Dir(name); dir != "src"; dir = path.Dir(dir) {
		err := t.root.Remove(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // not empty
			break
		}
	}
	return nil
}

// read returns a regular file below the tree's folder.
func (t *tree) read(name string) (file, error) {
	info, err := t.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return file{absent: true}, nil
	}
	if err != nil {
		return file{}, err
	}
	if !info.Mode().IsRegular() {
		return file{}, fmt.Errorf("%s is not a regular file", name)
	}
	data, err := t.root.ReadFile(name)
	// The umask of whoever unpacked doesn't matter, the executable bit does.
	mode := fs.FileMode(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	return file{mode: mode, data: data}, err
}

// write writes f to the disk, if it is there at all. Its time is the present:
// make must see it as newer than what was compiled.
func (t *tree) write(name string, f file) error {
	if f.absent {
		return nil
	}
	if err := t.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	out, err := t.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, f.mode)
	if err != nil {
		return err
	}
	_, err = out.Write(f.data)
	return errors.Join(err, out.Chmod(f.mode), out.Sync(), out.Close())
}

// touched lists the journal's files, for messages and tests.
func (t *tree) touched() []string {
	return slices.Sorted(maps.Keys(t.state.Touched))
}
