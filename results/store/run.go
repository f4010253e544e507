package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
)

// Run is a run's folder, open for writing. Its methods may be called from
// several goroutines.
type Run struct {
	dir   string
	lock  *flock.Flock
	notes []string

	mu       sync.Mutex
	manifest Manifest
	samples  *os.File
	// size is the length of the sample file's good part, in bytes.
	size int64
}

// FolderName is the name of a run's folder below results/runs: the time in
// UTC, to the second, and the run's name with everything but letters, digits,
// dots and underscores turned into dashes. Names sort by time.
func FolderName(started time.Time, name string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_':
			return r
		}
		return '-'
	}, name)
	return started.UTC().Format("20060102T150405Z") + "-" + safe
}

// LinkLatest points the link "latest" beside dir at dir, atomically.
func LinkLatest(dir string) error {
	link := filepath.Join(filepath.Dir(dir), "latest")
	if info, err := os.Lstat(link); err == nil && info.Mode()&fs.ModeSymlink == 0 {
		return fmt.Errorf("link the newest run: %s is not a link: move it away", link)
	}
	if err := renameio.Symlink(filepath.Base(dir), link); err != nil {
		return fmt.Errorf("link the newest run: %w", err)
	}
	return nil
}

// Create makes dir, writes the manifest into it and holds the run's lock until
// Close. It sets m.Version. ErrExists: dir holds a run already.
func Create(dir string, m Manifest) (*Run, error) {
	if err := os.MkdirAll(filepath.Join(dir, ConsoleName), 0o755); err != nil {
		return nil, fmt.Errorf("create run: %w: name another folder (--out)", err)
	}
	r, err := lockRun(dir)
	if err != nil {
		return nil, err
	}
	if err := r.create(m); err != nil {
		r.lock.Close()
		return nil, err
	}
	return r, nil
}

func (r *Run) create(m Manifest) error {
	for _, name := range []string{ManifestName, SamplesName} {
		if _, err := os.Lstat(filepath.Join(r.dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w: resume it, or name another folder", r.dir, ErrExists)
		}
	}
	m.Version = ManifestVersion
	f, err := os.OpenFile(filepath.Join(r.dir, SamplesName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("create run: %w", err)
	}
	r.manifest, r.samples = m, f
	if err := writeManifest(r.dir, m); err != nil {
		f.Close()
		return err
	}
	return syncDir(r.dir)
}

// Open opens a run for going on with it, and holds its lock until Close.
// Samples of boots that are not marked done, and a torn last line, are dropped;
// Notes says so, and those boots are measured again. ErrLocked: another process
// holds the run. ErrNoRun, ErrDamaged: see there.
func Open(dir string) (*Run, error) {
	if _, err := os.Stat(filepath.Join(dir, ManifestName)); err != nil {
		return nil, fmt.Errorf("%s: %w: it has no %s: name a folder that lab run wrote", dir, ErrNoRun, ManifestName)
	}
	r, err := lockRun(dir)
	if err != nil {
		return nil, err
	}
	if err := r.open(); err != nil {
		r.lock.Close()
		return nil, err
	}
	return r, nil
}

func (r *Run) open() error {
	if err := r.removeTemporaries(); err != nil {
		return err
	}
	m, err := readManifest(r.dir)
	if err != nil {
		return err
	}
	found, err := readSamples(r.dir, m)
	if err != nil {
		return err
	}
	r.manifest = m
	if found.dropped > 0 {
		r.notes = append(r.notes, fmt.Sprintf("%s: dropped %d sample lines of boots that were cut off; they are measured again",
			filepath.Join(r.dir, SamplesName), found.dropped))
	}
	return r.replaceSamples(bytes.Join(found.kept, nil), found.dropped > 0)
}

// replaceSamples opens the sample file for appending, after writing it anew
// with the lines kept if it was changed.
func (r *Run) replaceSamples(kept []byte, changed bool) error {
	name := filepath.Join(r.dir, SamplesName)
	if changed {
		if err := renameio.WriteFile(name, kept, 0o644); err != nil {
			return fmt.Errorf("drop samples: %w", err)
		}
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open samples: %w", err)
	}
	if r.samples != nil {
		r.samples.Close()
	}
	r.samples, r.size = f, int64(len(kept))
	return nil
}

// lockRun takes dir's lock. The lock is the kernel's and ends with the
// process, however it ends.
func lockRun(dir string) (*Run, error) {
	lock := flock.New(filepath.Join(dir, lockName))
	got, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock run: %w", err)
	}
	if !got {
		lock.Close()
		return nil, fmt.Errorf("%s: %w: wait until it has ended, or name another folder", dir, ErrLocked)
	}
	return &Run{dir: dir, lock: lock}, nil
}

// removeTemporaries removes what an atomic replacement leaves behind when the
// process is killed in it.
func (r *Run) removeTemporaries() error {
	for _, name := range []string{ManifestName, SamplesName} {
		left, err := filepath.Glob(filepath.Join(r.dir, "."+name+"*"))
		if err != nil {
			return fmt.Errorf("look for leftovers: %w", err)
		}
		for _, file := range left {
			if err := os.Remove(file); err != nil {
				return fmt.Errorf("remove leftover: %w", err)
			}
		}
	}
	return nil
}

// Close ends writing and gives the lock back.
func (r *Run) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.samples.Close(), r.lock.Close())
}

// Dir is the run's folder.
func (r *Run) Dir() string { return r.dir }

// Notes are what Open had to repair, one line each.
func (r *Run) Notes() []string { return slices.Clone(r.notes) }

// Manifest is the manifest as it stands. What it refers to is not to be
// changed: use Update.
func (r *Run) Manifest() Manifest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.manifest
}

// Pending are the boots that are still to be run, in the plan's order.
func (r *Run) Pending() []Boot {
	var out []Boot
	for _, b := range r.Manifest().Boots {
		if !b.Done() {
			out = append(out, b)
		}
	}
	return out
}

// Console is the file that a boot's console goes to.
func (r *Run) Console(boot string) string {
	safe := strings.Map(func(c rune) rune {
		if c == '/' || c == ' ' || c == 0 {
			return '-'
		}
		return c
	}, boot)
	return filepath.Join(r.dir, ConsoleName, safe+".log")
}

// Commit stores what became of a planned boot. When it returns nil the samples
// are on disk and the boot is marked done; the process may be killed at any
// moment before, and the boot is then measured again. b.Outcome must be set;
// b.Samples and b.SamplesSHA256 are set here. ErrBoot: the manifest has no such
// boot, or it is done already.
func (r *Run) Commit(b Boot, samples []Sample) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := slices.IndexFunc(r.manifest.Boots, func(have Boot) bool { return have.Name == b.Name })
	switch {
	case at < 0:
		return fmt.Errorf("commit: %w: %q is not planned", ErrBoot, b.Name)
	case r.manifest.Boots[at].Done():
		return fmt.Errorf("commit: %w: %q is done already", ErrBoot, b.Name)
	case !b.Done():
		return fmt.Errorf("commit: %w: %q has no outcome", ErrBoot, b.Name)
	}
	lines, sum, err := encodeSamples(b.Name, samples)
	if err != nil {
		return err
	}
	if err := r.appendLines(lines); err != nil {
		return err
	}
	b.Samples, b.SamplesSHA256 = len(samples), ""
	if len(samples) > 0 {
		b.SamplesSHA256 = sum
	}
	next := r.manifest
	next.Boots = slices.Clone(next.Boots) // a caller may hold the old ones
	next.Boots[at] = b
	if err := writeManifest(r.dir, next); err != nil {
		return err
	}
	r.manifest = next
	r.size += int64(len(lines))
	return nil
}

// appendLines puts lines behind the good part of the sample file, on disk.
// Writing at an offset makes a failed attempt harmless: the next one
// overwrites it.
func (r *Run) appendLines(lines []byte) error {
	if err := r.samples.Truncate(r.size); err != nil {
		return fmt.Errorf("write samples: %w", err)
	}
	if _, err := r.samples.WriteAt(lines, r.size); err != nil {
		return fmt.Errorf("write samples: %w", err)
	}
	if err := r.samples.Sync(); err != nil {
		return fmt.Errorf("write samples: %w", err)
	}
	return nil
}

// Update changes the manifest under the run's lock and replaces it on disk
// atomically. f gets a copy; if it cannot be written, nothing has changed. The
// boots' state is Commit's and Forget's: ErrBoot when f changes a boot that is
// done, or marks one done.
func (r *Run) Update(f func(*Manifest)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next, err := clone(r.manifest)
	if err != nil {
		return err
	}
	f(&next)
	if err := sameDone(r.manifest.Boots, next.Boots); err != nil {
		return err
	}
	if err := writeManifest(r.dir, next); err != nil {
		return err
	}
	r.manifest = next
	return nil
}

// sameDone refuses a change of what Commit wrote about a boot's samples.
func sameDone(before, after []Boot) error {
	type state struct {
		outcome, sum string
		samples      int
	}
	done := func(boots []Boot) map[string]state {
		out := map[string]state{}
		for _, b := range boots {
			if b.Done() {
				out[b.Name] = state{b.Outcome, b.SamplesSHA256, b.Samples}
			}
		}
		return out
	}
	old, now := done(before), done(after)
	for _, boots := range [][]Boot{before, after} {
		for _, b := range boots {
			if old[b.Name] != now[b.Name] {
				return fmt.Errorf("update: %w: the outcome of %q is set by Commit alone", ErrBoot, b.Name)
			}
		}
	}
	return nil
}

func clone(m Manifest) (Manifest, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return Manifest{}, fmt.Errorf("copy manifest: %w", err)
	}
	var out Manifest
	if err := json.Unmarshal(text, &out); err != nil {
		return Manifest{}, fmt.Errorf("copy manifest: %w", err)
	}
	return out, nil
}

// Forget marks boots as planned again, such as lost ones of a run that is
// resumed, and drops their samples. ErrBoot: the manifest has no such boot.
func (r *Run) Forget(boots ...string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.manifest
	next.Boots = slices.Clone(next.Boots)
	for _, name := range boots {
		at := slices.IndexFunc(next.Boots, func(b Boot) bool { return b.Name == name })
		if at < 0 {
			return fmt.Errorf("forget: %w: %q is not planned", ErrBoot, name)
		}
		next.Boots[at] = next.Boots[at].planned()
	}
	// The manifest first: a kill in between leaves samples of a boot that is
	// not done, which Open drops.
	if err := writeManifest(r.dir, next); err != nil {
		return err
	}
	r.manifest = next
	found, err := readSamples(r.dir, next)
	if err != nil {
		return err
	}
	return r.replaceSamples(bytes.Join(found.kept, nil), found.dropped > 0)
}

// Load reads a run, also while it is being written: it then holds the boots
// that are done. ErrNoRun, ErrDamaged: see there.
func Load(dir string) (Manifest, []Sample, error) {
	var before []byte
	for {
		m, err := readManifest(dir)
		if err != nil {
			return Manifest{}, nil, err
		}
		found, err := readSamples(dir, m)
		if err == nil {
			return m, found.samples, nil
		}
		// Forget may have run between the two reads: an error stands only if
		// the manifest is still the same.
		now, encodeErr := encodeManifest(m)
		if encodeErr != nil || bytes.Equal(before, now) {
			return Manifest{}, nil, err
		}
		before = now
	}
}

// syncDir makes the names in dir last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
