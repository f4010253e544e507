package probe

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// What of the FUSE protocol a server needs that knows no file
// (include/uapi/linux/fuse.h).
type (
	fuseInHeader struct {
		Len, Opcode     uint32
		Unique, NodeID  uint64
		UID, GID, PID   uint32
		ExtLen, Padding uint16
	}
	fuseOutHeader struct {
		Len    uint32
		Error  int32
		Unique uint64
	}
	fuseInitOut struct {
		Major, Minor, MaxReadahead, Flags uint32
		MaxBackground, Congestion         uint16
		MaxWrite, TimeGran                uint32
		MaxPages, MapAlignment            uint16
		Flags2, MaxStackDepth             uint32
		Unused                            [6]uint32
	}
)

const (
	fuseLookup = 1
	fuseInit   = 26
)

var fuseOpcodes = map[uint32]string{fuseLookup: "LOOKUP", fuseInit: "INIT"}

// fuseRequests serves a mount by splicing the requests off /dev/fuse, as
// libfuse does: the kernel's greeting, and the lookup of a file, which isn't
// there.
func fuseRequests(b *bench) string {
	dev := b.open("/dev/fuse", unix.O_RDWR)
	at := b.folder("fuse")
	b.mount("fuse", at, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", dev))
	defer func() {
		b.fail("unmount FUSE", unix.Unmount(at, unix.MNT_DETACH))
		b.fail("remove its folder", unix.Rmdir(at))
	}()
	// Other threads don't see the mount; O_PATH asks the server nothing.
	root := b.open(at, unix.O_PATH|unix.O_DIRECTORY)
	if b.err != nil {
		return ""
	}
	greeting, failed := fuseRequest(b, dev)
	if failed != "" {
		return failed
	}
	fuseReply(b, dev, greeting, 0, fuseInitOut{Major: 7, Minor: 31, MaxWrite: page, TimeGran: 1})
	lookup := start(unix.SYS_NEWFSTATAT, func() (int, error) {
		return 0, unix.Fstatat(root, "file", &unix.Stat_t{}, 0)
	})
	request, failed := fuseRequest(b, dev)
	if failed != "" {
		return failed
	}
	fuseReply(b, dev, request, unix.ENOENT, nil)
	return fuseOpcodes[greeting.Opcode] + "," + fuseOpcodes[request.Opcode] + "," + lookup.outcome(b)
}

// fuseRequest takes the next request by way of a pipe; failed is what the
// splice came to instead.
func fuseRequest(b *bench, dev int) (h fuseInHeader, failed string) {
	r, w := b.pipe(0)
	if b.err != nil {
		return h, ""
	}
	n, err := unix.Splice(dev, nil, w, nil, 16*page, 0)
	if err != nil || n == 0 {
		return h, result(int(n), err)
	}
	text := b.read(r, int(n))
	b.fail("understand a FUSE request", binary.Read(bytes.NewReader(text), binary.NativeEndian, &h))
	if b.err == nil && int(h.Len) != len(text) {
		return h, fmt.Sprintf("short: %d of %d", len(text), h.Len)
	}
	return h, ""
}

// fuseReply answers a request: by an error, or by body.
func fuseReply(b *bench, dev int, to fuseInHeader, refusal unix.Errno, body any) {
	if b.err != nil {
		return
	}
	head := fuseOutHeader{Error: -int32(refusal), Unique: to.Unique}
	head.Len = uint32(binary.Size(head))
	if body != nil {
		head.Len += uint32(binary.Size(body))
	}
	var out bytes.Buffer
	b.fail("write a FUSE reply", binary.Write(&out, binary.NativeEndian, head))
	if body != nil {
		b.fail("write a FUSE reply", binary.Write(&out, binary.NativeEndian, body))
	}
	_, err := unix.Write(dev, out.Bytes())
	b.fail("answer the kernel", err)
}
