package initrd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/u-root/u-root/pkg/cpio"

	"splicelab/workloads/wire"
)

// Initramfs is an initramfs without a plan, in the cache.
type Initramfs struct {
	Path   string `json:"-"`
	SHA256 string `json:"sha256"` // hex
	Size   int64  `json:"size"`   // bytes
}

// folders are there for the agent to mount on, and /dev for the nodes in it.
var folders = []string{"dev", "mnt", "proc", "run", "sys", "tmp"}

// Build packs guest as /init of an uncompressed newc archive with the mount
// points and the two device nodes that a PID 1 needs. It depends on guest's
// bytes alone: no times, no owners, inode numbers in the order of names. cache
// is the root of the cache.
func Build(ctx context.Context, cache string, guest Guest) (Initramfs, error) {
	if err := ctx.Err(); err != nil {
		return Initramfs{}, err
	}
	agent, err := os.ReadFile(guest.Path)
	if err != nil {
		return Initramfs{}, fmt.Errorf("the agent's binary: %w", err)
	}
	if sum(agent) != guest.SHA256 {
		return Initramfs{}, fmt.Errorf("%s is not the agent that was built: remove it", guest.Path)
	}
	data, err := pack(records(agent), 1)
	if err != nil {
		return Initramfs{}, fmt.Errorf("initramfs: %w", err)
	}
	return keep(cache, data)
}

// keep puts a packed initramfs into the cache.
func keep(cache string, data []byte) (Initramfs, error) {
	i := Initramfs{SHA256: sum(data), Size: int64(len(data))}
	i.Path = filepath.Join(cache, "initramfs", i.SHA256+".cpio")
	if old, err := os.ReadFile(i.Path); err == nil && bytes.Equal(old, data) {
		return i, nil
	}
	if err := os.MkdirAll(filepath.Dir(i.Path), 0o755); err != nil {
		return Initramfs{}, err
	}
	return i, renameio.WriteFile(i.Path, data, 0o644)
}

// records are the initramfs' files, sorted by name: a folder stands before what
// it holds.
func records(agent []byte) []cpio.Record {
	files := []cpio.Record{
		cpio.Directory("dev", 0o755),
		cpio.CharDev("dev/console", 0o600, 5, 1),
		cpio.CharDev("dev/null", 0o666, 1, 3),
		cpio.StaticFile("init", string(agent), 0o755),
	}
	for _, name := range folders[1:] {
		files = append(files, cpio.Directory(name, 0o755))
	}
	return files
}

// pack writes records as a newc archive, their inode numbers counted from
// first. Its length is a multiple of four, so that another may follow.
func pack(files []cpio.Record, first uint64) ([]byte, error) {
	var out bytes.Buffer
	w := cpio.Newc.Writer(&out)
	for n, f := range files {
		f = cpio.MakeReproducible(f)
		f.Ino, f.NLink = first+uint64(n), 1
		if err := w.WriteRecord(f); err != nil {
			return nil, err
		}
	}
	err := cpio.WriteTrailer(w)
	return out.Bytes(), err
}

// File is a regular file for an initramfs.
type File struct {
	Path string // absolute
	Mode uint64 // permissions
	Data []byte
}

// With packs an initramfs with files behind it, and the folders that they lie
// in; dirs are further folders. It depends on base and these alone.
func With(ctx context.Context, cache string, base Initramfs, dirs []string, files []File) (Initramfs, error) {
	if err := ctx.Err(); err != nil {
		return Initramfs{}, err
	}
	data, err := base.read()
	if err != nil {
		return Initramfs{}, err
	}
	more, err := pack(fileRecords(dirs, files), 1)
	if err != nil {
		return Initramfs{}, fmt.Errorf("initramfs: %w", err)
	}
	return keep(cache, append(data, more...))
}

// fileRecords are files with the folders above them, sorted by name: a folder
// stands before what it holds.
func fileRecords(dirs []string, files []File) []cpio.Record {
	records := map[string]cpio.Record{}
	addFolders := func(dir string) {
		for ; dir != "/" && dir != "."; dir = path.Dir(dir) {
			name := strings.TrimPrefix(dir, "/")
			records[name] = cpio.Directory(name, 0o755)
		}
	}
	for _, dir := range dirs {
		addFolders(path.Clean(dir))
	}
	for _, f := range files {
		addFolders(path.Dir(f.Path))
		name := strings.TrimPrefix(f.Path, "/")
		records[name] = cpio.StaticFile(name, string(f.Data), f.Mode)
	}
	var list []cpio.Record
	for _, name := range slices.Sorted(maps.Keys(records)) {
		list = append(list, records[name])
	}
	return list
}

// Cached returns the initramfs of that hash, if the cache still has it whole.
func Cached(cache, sha256 string) (Initramfs, error) {
	i := Initramfs{Path: filepath.Join(cache, "initramfs", sha256+".cpio"), SHA256: sha256}
	data, err := i.read()
	i.Size = int64(len(data))
	return i, err
}

// read returns the bytes of an initramfs, which are those that were packed.
func (i Initramfs) read() ([]byte, error) {
	data, err := os.ReadFile(i.Path)
	if err != nil {
		return nil, fmt.Errorf("initramfs: %w", err)
	}
	if sum(data) != i.SHA256 {
		return nil, fmt.Errorf("initramfs %s is damaged: remove it", i.Path)
	}
	return data, nil
}

// WithPlan writes to the file dst the initramfs followed by a second archive
// that holds plan as wire.PlanPath alone; the kernel unpacks both. For plans of
// one size (wire.PlanSize) dst's size is constant, so that no plan moves a page
// of the guest's memory.
func WithPlan(dst string, initramfs Initramfs, plan []byte) error {
	if len(plan) != wire.PlanSize {
		return fmt.Errorf("%w: %d bytes, want %d", wire.ErrPlan, len(plan), wire.PlanSize)
	}
	base, err := initramfs.read()
	if err != nil {
		return err
	}
	name := strings.TrimPrefix(wire.PlanPath, "/")
	second, err := pack([]cpio.Record{cpio.StaticFile(name, string(plan), 0o444)}, 1)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("initramfs with plan: %w", err)
	}
	_, err = out.Write(base)
	if err == nil {
		_, err = out.Write(second)
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("initramfs with plan: %w", err)
	}
	return nil
}

// writeSynced writes a file, and the folders above it, to the disk.
func writeSynced(path string, data []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
