package kernel

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// key is the hash of all that a kernel's bytes depend on. A kernel's name, its
// fragments' comments and the grouping of its patches aren't.
func key(spec Spec, src Source, compiler string) (string, error) {
	options, err := mergeFragments(spec.Fragments)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	add := func(parts ...string) {
		for _, p := range parts {
			fmt.Fprintf(h, "%d:%s,", len(p), p)
		}
	}
	add(recipe, src.SHA256, compiler, configText(options))
	for _, s := range spec.Series {
		for _, p := range s.Patches {
			add(p.Text)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (j *job) entry() string { return filepath.Join(j.Cache, "kernels", j.key) }

// imageFile describes an entry; it is written last.
const imageFile = "image.json"

// load returns the kernel from the cache, or nil. An entry whose files aren't
// what it says is removed.
func (j *job) load() *Image {
	img, err := readEntry(j.entry(), j.key)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !exists(j.entry()):
		return nil
	case err != nil:
		j.event(Event{Step: StepNote, Detail: fmt.Sprintf("kernel %s in the cache is damaged (%v): removed, to be built again", j.spec.Name, err)})
		if err := os.RemoveAll(j.entry()); err != nil {
			j.event(Event{Step: StepNote, Detail: err.Error()})
		}
		return nil
	}
	img.Spec, img.Source, img.Cached = j.spec, j.src, true
	j.event(Event{Step: StepCached})
	return img
}

func readEntry(dir, key string) (*Image, error) {
	text, err := os.ReadFile(filepath.Join(dir, imageFile))
	if err != nil {
		return nil, err
	}
	img := new(Image)
	if err := json.Unmarshal(text, img); err != nil {
		return nil, fmt.Errorf("%s: %w", imageFile, err)
	}
	if img.Key != key {
		return nil, fmt.Errorf("%s: it is the entry of another key", imageFile)
	}
	img.BzImage, img.Vmlinux = filepath.Join(dir, "bzImage"), filepath.Join(dir, "vmlinux")
	for _, f := range []struct{ path, want string }{{img.BzImage, img.BzImageSHA256}, {img.Vmlinux, img.VmlinuxSHA256}} {
		got, err := hashFile(f.path)
		if err != nil {
			return nil, err
		}
		if got != f.want {
			return nil, fmt.Errorf("%s has another hash than it had", filepath.Base(f.path))
		}
	}
	return img, nil
}

// built are the files of an entry, by their place in kbuild's output.
var built = []struct{ from, to string }{
	{"arch/x86/boot/bzImage", "bzImage"},
	{"vmlinux", "vmlinux"},
	{"System.map", "System.map"},
	{".config", "config"},
}

// store puts what o holds into the cache: under its own name only when all of
// it is on the disk.
func (j *job) store(o *output) (*Image, error) {
	// The tree's lock keeps others off this name.
	fresh := filepath.Join(j.Cache, "kernels", ".new-"+j.key)
	if err := os.RemoveAll(fresh); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(fresh, 0o755); err != nil {
		return nil, err
	}
	defer os.RemoveAll(fresh)
	for _, f := range built {
		if err := copyFile(filepath.Join(o.dir, f.from), filepath.Join(fresh, f.to)); err != nil {
			return nil, err
		}
	}
	img, err := j.describe(fresh, o)
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(img, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := writeFrom(filepath.Join(fresh, imageFile), bytes.NewReader(text)); err != nil {
		return nil, err
	}
	if err := syncDir(fresh); err != nil {
		return nil, err
	}
	if err := os.Rename(fresh, j.entry()); err != nil {
		return nil, err
	}
	img.BzImage, img.Vmlinux = filepath.Join(j.entry(), "bzImage"), filepath.Join(j.entry(), "vmlinux")
	return img, syncDir(filepath.Dir(j.entry()))
}

// describe hashes the files in dir.
func (j *job) describe(dir string, o *output) (*Image, error) {
	img := &Image{Spec: j.spec, Source: j.src, Key: j.key, Compiler: j.tools.id, Merged: j.merged}
	release, err := os.ReadFile(filepath.Join(o.dir, "include", "config", "kernel.release"))
	if err != nil {
		return nil, err
	}
	img.Release = strings.TrimSpace(string(release))
	config, err := os.ReadFile(filepath.Join(dir, "config"))
	if err != nil {
		return nil, err
	}
	img.Config = string(config)
	if img.BzImageSHA256, err = hashFile(filepath.Join(dir, "bzImage")); err != nil {
		return nil, err
	}
	if img.VmlinuxSHA256, err = hashFile(filepath.Join(dir, "vmlinux")); err != nil {
		return nil, err
	}
	img.Signature, err = signature(filepath.Join(dir, "vmlinux"))
	return img, err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Fsync(int(d.Fd())), d.Close())
}

// signature is the SHA-256, in hex, over what of an ELF file is loaded: names,
// addresses and bytes of its SHF_ALLOC sections. Notes are left out: the build
// id in them is a hash of the whole file, symbol table and all.
func signature(path string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", fmt.Errorf("signature of %s: %w", path, err)
	}
	defer f.Close()
	h := sha256.New()
	for _, s := range f.Sections {
		if err := hashSection(h, s); err != nil {
			return "", fmt.Errorf("signature of %s, section %s: %w", path, s.Name, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// hashSection writes what of a section is loaded to h.
func hashSection(h io.Writer, s *elf.Section) error {
	if s.Flags&elf.SHF_ALLOC == 0 || s.Type == elf.SHT_NOTE {
		return nil
	}
	fmt.Fprintf(h, "%s %x %x\n", s.Name, s.Addr, s.Size)
	if s.Type == elf.SHT_NOBITS {
		return nil
	}
	_, err := io.Copy(h, s.Open())
	return err
}

// Differences names the sections whose loaded bytes differ between two kernels
// that Build returned; none where their Signatures are equal.
func Differences(a, b *Image) ([]string, error) {
	if a.Signature == b.Signature {
		return nil, nil
	}
	var sums [2]map[string]string
	var names []string
	for i, path := range []string{a.Vmlinux, b.Vmlinux} {
		f, err := elf.Open(path)
		if err != nil {
			return nil, fmt.Errorf("compare %s: %w", path, err)
		}
		defer f.Close()
		sums[i] = map[string]string{}
		for _, s := range f.Sections {
			if s.Flags&elf.SHF_ALLOC == 0 {
				continue
			}
			h := sha256.New()
			if err := hashSection(h, s); err != nil {
				return nil, fmt.Errorf("compare %s, section %s: %w", path, s.Name, err)
			}
			sums[i][s.Name] = string(h.Sum(nil))
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return sums[0][name] == sums[1][name] }), nil
}
