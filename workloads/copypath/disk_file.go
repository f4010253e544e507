package copypath

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"splicelab/workloads/sourcefs"
)

// ext4Ext4 is file-file on a file system with a journal and page cache of its
// own. Nothing is written to the device in a timed region: what is measured is
// the way into the page cache, over pages that are dirty already.
func ext4Ext4() Family {
	f := fileFile()
	f.Name, f.FS, f.Writes = "ext4-ext4", sourcefs.Ext4, true
	f.About = "a file in the page cache (ext4) to another one on the same file system, over what it has; nothing is written back"
	return f
}

// xfsXFS is the same on a file system that shares blocks between files: the
// chunk's place in the sink comes to the source's blocks, and no byte moves. What
// it costs instead is the journal's (xfs_reflink_remap_extent).
func xfsXFS() Family {
	f := fileFile()
	f.Name, f.FS, f.Writes = "xfs-xfs", sourcefs.XFS, true
	f.About = "a file in the page cache (XFS with reflink) to another one on the same file system, over what it has; nothing is written back"
	f.Block, f.NotTaken = 4096, "XFS shares whole blocks of 4 KiB alone"
	f.Methods = append(f.Methods, Method{Name: "ficlonerange", About: "ioctl(2) FICLONERANGE: the files share the blocks", send: cloneRange})
	for i := range f.Methods {
		if m := &f.Methods[i]; m.Name == "copy_file_range" {
			m.About = "copy_file_range(2) from file to file: the files share the blocks"
		}
	}
	return f
}

// cloneRange shares whole blocks alone (generic_remap_check_len).
func cloneRange(c *Cell, off, n int64) Status {
	r := unix.FileCloneRange{Src_fd: int64(c.src.File), Src_offset: uint64(off), Src_length: uint64(n), Dest_offset: uint64(off)}
	if r := syscall6(unix.SYS_IOCTL, uintptr(c.out), unix.FICLONERANGE, uintptr(unsafe.Pointer(&r)), 0, 0, 0); r < 0 {
		return Status{Op: "FICLONERANGE", Errno: unix.Errno(-r)}
	}
	return ok
}
