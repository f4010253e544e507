package probe

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// sourceProbes splice from what isn't a plain file. Most have a splice_read of
// their own, and trace_pipe and /dev/fuse no read_iter that could stand in for
// it (facts.md, section 5).
func sourceProbes() []Probe {
	return []Probe{
		{ID: "S1", About: "splice trace_pipe_raw→pipe", run: tracePage},
		{ID: "S2", About: "splice trace_pipe→pipe", run: traceText},
		{ID: "S3", About: "splice /dev/fuse→pipe, two requests", run: fuseRequests},
		{ID: "S4", About: "slots that 16 KiB take, splice TCP→pipe", run: slotsOfSocket},
		{ID: "S5", About: "T2 from a file on overlayfs", OnFile: true, run: func(b *bench) string {
			return fromOverlay(b, throughPipe)
		}},
		{ID: "S5t", About: "T1 from a file on overlayfs", OnFile: true, run: func(b *bench) string {
			return fromOverlay(b, throughTCP)
		}},
		{ID: "S6", About: "T2 from an O_DIRECT file", OnFile: true, run: func(b *bench) string {
			return fromDirect(b, throughPipe)
		}},
		{ID: "S6t", About: "T1 from an O_DIRECT file", OnFile: true, run: func(b *bench) string {
			return fromDirect(b, throughTCP)
		}},
		{ID: "S7", About: "splice /proc/version→pipe", run: procToPipe},
		{ID: "S7t", About: "sendfile /proc/version→TCP", run: procToTCP},
		{ID: "S7e", About: "splice from procfs without a read_iter", run: func(b *bench) string {
			_, w := b.pipe(0)
			// Its f_op is proc_reg_file_ops, without splice_read too.
			return result(spliceFile(w, b.open("/proc/self/auxv", unix.O_RDONLY), page))
		}},
	}
}

// mount mounts a file system where no other process sees it, so that it goes
// with this one. Of this process only the calling thread sees it.
func (b *bench) mount(fstype, at, options string) {
	if b.err != nil {
		return
	}
	runtime.LockOSThread() // never unlocked: its mounts are the thread's own
	b.fail("unshare the mounts", unix.Unshare(unix.CLONE_NEWNS))
	b.fail("make the mounts private", unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	if b.err == nil {
		b.fail("mount "+fstype, unix.Mount(fstype, at, fstype, 0, options))
	}
}

// folder is a new folder among the probe's files.
func (b *bench) folder(name string) string {
	dir := filepath.Join(b.dir, name)
	b.fail("make a folder", os.Mkdir(dir, 0o700))
	return dir
}

func (b *bench) open(name string, flags int) int {
	if b.err != nil {
		return -1
	}
	fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
	b.fail("open "+name, err)
	return fd
}

// tracefs is where the kernel has a mount point for it.
const tracefs = "/sys/kernel/tracing/"

// mark is what the trace is filled with; it stands in it as it is.
var mark = bytes.Repeat([]byte("splicelab "), 100)

// traced puts marks into the trace and opens one of its files. clear empties
// the trace, which is the whole kernel's.
func traced(b *bench, name string, marks int) (file int, clear func()) {
	b.mount("tracefs", tracefs, "")
	// An oops under an earlier probe has switched it off (oops_enter).
	on := b.open(tracefs+"tracing_on", unix.O_WRONLY)
	if b.err == nil {
		_, err := unix.Write(on, []byte("1"))
		b.fail("switch tracing on", err)
	}
	marker := b.open(tracefs+"trace_marker", unix.O_WRONLY)
	for range marks {
		if b.err != nil {
			return -1, func() {}
		}
		_, err := unix.Write(marker, mark)
		b.fail("write to the trace", err)
	}
	clear = func() { b.open(tracefs+"trace", unix.O_WRONLY|unix.O_TRUNC) }
	return b.open(tracefs+name, unix.O_RDONLY|unix.O_NONBLOCK), clear
}

// tracePage takes a whole page of the ring buffer, as trace-cmd does:
// tracing_buffers_splice_read hands out full pages only.
func tracePage(b *bench) string {
	raw, clear := traced(b, "per_cpu/cpu0/trace_pipe_raw", 4*page/len(mark))
	defer clear()
	return spliceMarks(b, raw, page)
}

func traceText(b *bench) string {
	text, clear := traced(b, "trace_pipe", 1)
	defer clear()
	return spliceMarks(b, text, 4*page)
}

// spliceMarks splices up to size bytes of the trace and looks for a mark.
func spliceMarks(b *bench, trace, size int) string {
	r, w := b.pipe(unix.O_NONBLOCK)
	if b.err != nil {
		return ""
	}
	n, err := unix.Splice(trace, nil, w, nil, size, unix.SPLICE_F_NONBLOCK)
	if err != nil || n == 0 {
		return result(int(n), err)
	}
	if !bytes.Contains(b.read(r, int(n)), mark[:len(mark)/2]) {
		return "other bytes"
	}
	return works
}

// slotsOfSocket: what was sent lies in pages that hang together, and by
// reference takes one slot of the pipe; a copy takes a slot a page.
func slotsOfSocket(b *bench) string {
	tx, rx := b.tcp(0)
	r, w := b.pipe(0)
	b.write(tx, payload)
	if b.err != nil {
		return ""
	}
	n, err := unix.Splice(rx, nil, w, nil, payload, 0)
	if failed := whole(payload, int(n), err); failed != "" {
		return failed
	}
	slots := 1
	for ; slots < payload/page; slots *= 2 {
		// A pipe can't be made smaller than what it holds (pipe_resize_ring).
		if _, err := unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, slots*page); err == nil {
			break
		} else if err != unix.EBUSY {
			b.fail("F_SETPIPE_SZ", err)
			return ""
		}
	}
	if seen := sight(b.read(r, payload)); seen != "old" {
		return seen
	}
	return fmt.Sprint(slots)
}

// A transfer takes a file and changes it by another descriptor.
type transfer func(b *bench, from, by int) string

func throughTCP(b *bench, from, by int) string {
	return throughSocket(b, from, by, func() (tx, rx int) { return b.tcp(0) })
}

// fromOverlay takes a file that was copied up: overlayfs promises nothing of
// one that changes below it.
func fromOverlay(b *bench, through transfer) string {
	lower, upper, work, at := b.folder("lower"), b.folder("upper"), b.folder("work"), b.folder("overlay")
	defer func() {
		for _, dir := range []string{lower, upper, work, at} {
			b.fail("remove what overlayfs lay on", os.RemoveAll(dir))
		}
	}()
	if b.err == nil {
		b.fail("create the lower file", os.WriteFile(filepath.Join(lower, "source"), bytes.Repeat([]byte{oldByte}, payload), 0o600))
	}
	b.mount("overlay", at, "lowerdir="+lower+",upperdir="+upper+",workdir="+work)
	defer func() { b.fail("unmount overlayfs", unix.Unmount(at, unix.MNT_DETACH)) }()
	f := b.open(filepath.Join(at, "source"), unix.O_RDWR)
	if b.err != nil {
		return ""
	}
	return through(b, f, f)
}

func fromDirect(b *bench, through transfer) string {
	f := b.file(payload)
	direct := b.open(filepath.Join(b.dir, "source"), unix.O_RDONLY|unix.O_DIRECT)
	if b.err != nil {
		return ""
	}
	return through(b, direct, f)
}

// version is a file of seq_file's, which has no page cache.
const version = "/proc/version"

func procToPipe(b *bench) string {
	r, w := b.pipe(0)
	return fromProc(b, spliceFile, w, r)
}

func procToTCP(b *bench) string {
	tx, rx := b.tcp(0)
	return fromProc(b, sendfile, tx, rx)
}

func fromProc(b *bench, move func(to, from, size int) (int, error), tx, rx int) string {
	want, err := os.ReadFile(version)
	b.fail("read "+version, err)
	from := b.open(version, unix.O_RDONLY)
	if b.err != nil {
		return ""
	}
	n, err := move(tx, from, page)
	if failed := whole(len(want), n, err); failed != "" {
		return failed
	}
	return sameAs(want, b.read(rx, len(want)))
}
