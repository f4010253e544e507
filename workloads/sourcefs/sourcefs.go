// Package sourcefs is the file systems on which a copy path's source may lie,
// beside tmpfs: those whose splice_read and read_iter are the page cache's own.
//
// Each lies on a RAM disk: whatever a block device of QEMU's does completes
// when the host is done (facts.md, section 7, trap 8).
package sourcefs

import (
	"bytes"
	"compress/gzip"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Making an image needs programs that not every host has, and a static PID 1
// cannot run: they were made once, as the programs make them by default, and
// are shipped. Nearly all of an image is zeroes, of which one gzip still leaves
// a thousandth. mkfs.xfs gives its inodes random generation numbers, so that
// making it again makes another image.
//
//go:generate sh -c "truncate -s 64M ext4.img && E2FSPROGS_FAKE_TIME=1767225600 mke2fs -q -F -t ext4 -b 4096 -m 0 -U 73706c69-6365-6c61-6200-000000000003 -E hash_seed=73706c69-6365-6c61-6200-000000000004,lazy_itable_init=0,nodiscard ext4.img && gzip -9nf ext4.img && gzip -9nf ext4.img.gz"
//go:generate sh -c "truncate -s 64M xfs.img && mkfs.xfs -q -f --unsupported -m uuid=73706c69-6365-6c61-6200-000000000005 xfs.img && gzip -9nf xfs.img && gzip -9nf xfs.img.gz"
//go:embed ext4.img.gz.gz xfs.img.gz.gz
var images embed.FS

// The file systems, as mount(2) names them.
const (
	Ext4 = "ext4"
	XFS  = "xfs"
)

// ErrUnknown: there is no image of such a file system.
var ErrUnknown = errors.New("unknown file system")

// Open returns an empty file system as the bytes of its block device. The error
// is ErrUnknown for one that isn't among the constants.
func Open(name string) (io.Reader, error) {
	packed, err := images.ReadFile(name + ".img.gz.gz")
	if err != nil {
		return nil, fmt.Errorf("%w %q", ErrUnknown, name)
	}
	outer, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("the shipped %s: %w", name, err)
	}
	inner, err := gzip.NewReader(outer)
	if err != nil {
		return nil, fmt.Errorf("the shipped %s: %w", name, err)
	}
	return inner, nil
}

// Mount puts an empty file system on the RAM disk device and mounts it.
func Mount(name, device, at string) error {
	image, err := Open(name)
	if err != nil {
		return err
	}
	if err := write(device, image); err != nil {
		return fmt.Errorf("fill the RAM disk %s: %w", device, err)
	}
	if err := os.MkdirAll(at, 0o755); err != nil {
		return fmt.Errorf("make a mount point: %w", err)
	}
	options, err := still(name)
	if err != nil {
		return err
	}
	if err := unix.Mount(device, at, name, 0, options); err != nil {
		return fmt.Errorf("mount %s: %w", name, err)
	}
	return nil
}

// still keeps a file system's own threads from writing what nobody asked for, as
// long as a boot lasts, by mount options or a setting that is read at mount: ext4
// commits its journal every 5 s (JBD2_DEFAULT_MAX_COMMIT_AGE), XFS covers its
// log every 30 s (xfs_log_worker).
func still(name string) (options string, err error) {
	const xfsLog = "/proc/sys/fs/xfs/xfssyncd_centisecs"
	switch name {
	case Ext4:
		return "commit=7200", nil
	case XFS:
		if err := os.WriteFile(xfsLog, []byte("720000"), 0); err != nil { // the most it takes
			return "", fmt.Errorf("keep the log of XFS still: %w", err)
		}
	}
	return "", nil
}

// Freeze makes the file system at a mount point read-only. No file on it may be
// open for writing. What was written is on the device then, and neither
// writeback nor the journal nor an access time is left to run beside a
// measurement.
func Freeze(at string) error {
	if err := unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("make %s read-only: %w", at, err)
	}
	return nil
}

// write fills a device with an image. Zeroes are left out: a RAM disk holds
// only what was written to it, and reads as zeroes elsewhere (brd.c).
func write(device string, image io.Reader) error {
	out, err := os.OpenFile(device, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = copySparse(out, image)
	return errors.Join(err, out.Close())
}

func copySparse(out io.WriterAt, image io.Reader) error {
	block, zeroes := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); ; {
		n, err := io.ReadFull(image, block)
		if !bytes.Equal(block[:n], zeroes[:n]) {
			if _, err := out.WriteAt(block[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
