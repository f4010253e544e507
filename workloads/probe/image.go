package probe

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
)

// ext4 is an empty ext4 of 1 MiB, made once and shipped: making it needs
// mke2fs, which not every host has, and a static PID 1 cannot. It has no
// journal, so that nothing runs beside the probes.
//
//go:generate sh -c "truncate -s 1M ext4.img && E2FSPROGS_FAKE_TIME=1767225600 mke2fs -q -F -t ext4 -b 4096 -N 64 -m 0 -O ^has_journal,^resize_inode,^metadata_csum,^dir_index -U 73706c69-6365-6c61-6200-000000000001 -E hash_seed=73706c69-6365-6c61-6200-000000000002,lazy_itable_init=0,nodiscard ext4.img && gzip -9nf ext4.img"
//go:embed ext4.img.gz
var ext4 []byte

// Ext4Image returns the bytes of a block device with an empty ext4 of 1 MiB.
func Ext4Image() ([]byte, error) {
	in, err := gzip.NewReader(bytes.NewReader(ext4))
	if err != nil {
		return nil, fmt.Errorf("the shipped ext4: %w", err)
	}
	image, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("the shipped ext4: %w", err)
	}
	return image, nil
}
