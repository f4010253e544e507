package initrd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// WithPlan writes to the file dst the initramfs followed by a second archive
// that holds plan as wire.PlanPath alone; the kernel unpacks both. For plans of
// one size (wire.PlanSize) dst's size is constant, so that no plan moves a page
// of the guest's memory.
func WithPlan(dst string, initramfs Initramfs, plan []byte) error {
	if len(plan) != wire.PlanSize {
		return fmt.Errorf("%w: %d bytes, want %d", wire.ErrPlan, len(plan), wire.PlanSize)
	}
	base, err := os.ReadFile(initramfs.Path)
	if err != nil {
		return fmt.Errorf("initramfs: %w", err)
	}
	if sum(base) != initramfs.SHA256 {
		return fmt.Errorf("initramfs %s is damaged: remove it", initramfs.Path)
	}
	name := strings.TrimPrefix(wire.PlanPath, "/")
	second, err := pack([]cpio.Record{cpio.StaticFile(name, string(plan), 0o444)}, 1)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	if err := os.WriteFile(dst, append(base, second...), 0o644); err != nil {
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
