package copypath

import "splicelab/workloads/sourcefs"

// ext4TCP is file-tcp from a file system whose folios are single pages
// (ext4_set_inode_flags, 6.12), read by the page cache's own functions.
func ext4TCP() Family {
	f := fileTCP()
	f.Name, f.FS = "ext4-tcp", sourcefs.Ext4
	f.About = "a file in the page cache (ext4, its folios a page each) to a TCP socket over loopback"
	return f
}

// xfsTCP is file-tcp from a file system with large folios
// (xfs_setup_inode), and with a lock around reads of its own.
func xfsTCP() Family {
	f := fileTCP()
	f.Name, f.FS = "xfs-tcp", sourcefs.XFS
	f.About = "a file in the page cache (XFS, large folios) to a TCP socket over loopback"
	return f
}
