package probe

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// short is the size of a file that ends within a page, in bytes.
const short = 10_000

// sendfileProbes are about what sendfile to a socket returns at its edges: no
// series but one that takes it away, or lays another path, has reason to change
// any of it.
func sendfileProbes() []Probe {
	return []Probe{
		{ID: "O1", About: "64 KiB of a file of 10000 bytes, twice", OnFile: true, run: endOfFile},
		{ID: "O2", About: "from behind the file's end", OnFile: true, run: behindTheEnd},
		{ID: "O3", About: "no offset: the file's own moves by", OnFile: true, run: ownOffset},
		{ID: "O4", About: "to a full O_NONBLOCK socket", OnFile: true, run: fullSocket},
		{ID: "O5", About: "a signal, some bytes sent; none sent", OnFile: true, run: signalled},
		{ID: "O6", About: "a hole between data", OnFile: true, run: hole},
		{ID: "O7", About: "truncated to a page while it blocks", OnFile: true, run: truncatedWhileBlocked},
		{ID: "O8", About: "UDP from offset 100: 64 KiB, 65500 bytes", OnFile: true, run: unalignedDatagrams},
		{ID: "O9", About: "0 bytes; a negative offset", OnFile: true, run: nothingWanted},
		{ID: "O10", About: "4 GiB wanted; at the largest offset", OnFile: true, run: tooMuchWanted},
		{ID: "O11", About: "AF_UNIX datagrams, SEQPACKET: 100 KiB", OnFile: true, run: records},
		{ID: "O12", About: "the file ends early: TCP, UDP send at once", OnFile: true, run: flushedAtTheEnd},
		{ID: "O13", About: "a file that isn't in the page cache", OnFile: true, run: coldFile},
	}
}

// moved is what a call returned, and what something else moved by that had to
// move with it, where it didn't.
func moved(n int, err error, by int64) string {
	if err == nil && int64(n) != by {
		return fmt.Sprintf("%d, moved by %d", n, by)
	}
	if err != nil && by != 0 {
		return fmt.Sprintf("%s, moved by %d", result(n, err), by)
	}
	return result(n, err)
}

// sendAt is a sendfile at an offset, with what became of the offset.
func sendAt(to, from int, offset int64, size int) string {
	at := offset
	n, err := unix.Sendfile(to, from, &at, size)
	return moved(n, err, at-offset)
}

func endOfFile(b *bench) string {
	f := b.file(short)
	tx, _ := b.tcp(0)
	return sendAt(tx, f, 0, step) + "," + sendAt(tx, f, short, step)
}

func behindTheEnd(b *bench) string {
	f := b.file(short)
	tx, _ := b.tcp(0)
	return sendAt(tx, f, 2*short, step)
}

func ownOffset(b *bench) string {
	const from, size = 1000, 5000
	f := b.file(short)
	tx, _ := b.tcp(0)
	_, err := unix.Seek(f, from, unix.SEEK_SET)
	b.fail("seek", err)
	n, err := unix.Sendfile(tx, f, nil, size)
	at, e := unix.Seek(f, 0, unix.SEEK_CUR)
	b.fail("tell", e)
	return moved(n, err, at-from)
}

// fullSocket: what fits is sent and counted, and then nothing is. How much fits
// depends on how the socket accounts for it.
func fullSocket(b *bench) string {
	f := b.file(4 * step)
	tx, rx := b.tcp(1)
	b.fail("O_NONBLOCK", unix.SetNonblock(tx, true))
	var at int64
	n, err := unix.Sendfile(tx, f, &at, 4*step)
	if err != nil || n <= 0 || n >= 4*step || at != int64(n) {
		return moved(n, err, at)
	}
	seen := "partial," + sendAt(tx, f, at, 4*step)
	return seen + "," + sight(b.read(rx, n))
}

// signalled: with some bytes sent a signal ends the call, with none it begins
// again, because the handler (Go's own) has SA_RESTART.
func signalled(b *bench) string {
	f := b.file(4 * step)
	tx, _ := b.tcp(1)
	if b.err != nil {
		return ""
	}
	return interrupted(b, tx, f) + "," + interrupted(b, tx, f)
}

// interrupted is what a sendfile that blocks returns on a signal.
func interrupted(b *bench, tx, f int) string {
	var at int64
	sending := start(unix.SYS_SENDFILE, func() (int, error) { return unix.Sendfile(tx, f, &at, 4*step) })
	if seen := sending.outcome(b); seen != blocks {
		return seen
	}
	b.fail("signal the call's thread", unix.Tgkill(unix.Getpid(), sending.thread, unix.SIGURG))
	seen := sending.outcome(b)
	if seen == fmt.Sprint(at) && 0 < at && at < 4*step {
		return "partial"
	}
	return seen
}

func hole(b *bench) string {
	f := b.file(page)
	b.overwrite(f, []byte{oldByte}, 4*page)
	tx, rx := b.tcp(0)
	n, err := sendfile(tx, f, step)
	if failed := whole(4*page+1, n, err); failed != "" {
		return failed
	}
	got := b.read(rx, n)
	return strings.Join([]string{sight(got[:page]), sight(got[page : 4*page]), sight(got[4*page:])}, ",")
}

// truncatedWhileBlocked: what was taken before is sent, and then the file ends.
func truncatedWhileBlocked(b *bench) string {
	f := b.file(4 * step)
	tx, rx := b.tcp(1)
	if b.err != nil {
		return ""
	}
	sending := start(unix.SYS_SENDFILE, func() (int, error) { return sendfile(tx, f, 4*step) })
	if seen := sending.outcome(b); seen != blocks {
		return seen
	}
	b.fail("ftruncate", unix.Ftruncate(f, page))
	b.read(rx, step)
	return sending.outcome(b)
}

// unalignedDatagrams: a step ends with its last page, and bytes that are to be
// followed by more wait for them.
func unalignedDatagrams(b *bench) string {
	const from = 100
	f := b.file(2 * step)
	var seen []string
	for _, size := range []int{step, 65_500} {
		tx, rx := b.udp()
		seen = append(seen, withReceived(b, sendAt(tx, f, from, size), rx))
	}
	return strings.Join(seen, ",")
}

// withReceived is what was sent and the sizes of the messages that are there,
// where these are not just what was sent: nothing after an error, or one of all.
func withReceived(b *bench, sent string, rx int) string {
	_, err := strconv.Atoi(sent)
	there := received(b, rx)
	if there == sent || there == "" && err != nil {
		return sent
	}
	return sent + "(" + there + ")"
}

// received are the sizes of the messages that are there.
func received(b *bench, rx int) string {
	var sizes []string
	buf := make([]byte, 4*step)
	for b.err == nil {
		n, _, err := unix.Recvfrom(rx, buf, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			break
		}
		b.fail("recv", err)
		sizes = append(sizes, fmt.Sprint(n))
	}
	return strings.Join(sizes, "+")
}

func nothingWanted(b *bench) string {
	f := b.file(short)
	tx, _ := b.tcp(0)
	return sendAt(tx, f, 0, 0) + "," + sendAt(tx, f, -1, short)
}

func tooMuchWanted(b *bench) string {
	f := b.file(short)
	tx, _ := b.tcp(0)
	return sendAt(tx, f, 0, 4<<30) + "," + sendAt(tx, f, math.MaxInt64-1, short)
}

// records: every step is one. Where both kinds of socket give the same, it is
// said once.
func records(b *bench) string {
	f := b.file(4 * step)
	var seen []string
	for _, kind := range []int{unix.SOCK_DGRAM, unix.SOCK_SEQPACKET} {
		pair, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
		b.fail("socketpair", err)
		if b.err != nil {
			return ""
		}
		seen = append(seen, withReceived(b, sendAt(pair[0], f, 0, 100<<10), pair[1]))
	}
	return strings.Join(slices.Compact(seen), ",")
}

// flushedAtTheEnd: more was announced than the file has, so what was sent waits
// for it (MSG_MORE), until the end of the file shows.
func flushedAtTheEnd(b *bench) string {
	f := b.file(short)
	tx, rx := b.tcp(0)
	n, err := sendfile(tx, f, step)
	there, e := unix.IoctlGetInt(rx, unix.TIOCINQ)
	b.fail("FIONREAD", e)
	seen := moved(n, err, int64(there))
	tx, rx = b.udp()
	n, err = sendfile(tx, f, step/2)
	return seen + "," + withReceived(b, result(n, err), rx)
}

// coldFile: what has to be read in arrives whole and in order.
func coldFile(b *bench) string {
	f := b.file(step)
	content := make([]byte, step)
	for i := range content {
		content[i] = byte(i + i/page)
	}
	b.overwrite(f, content, 0)
	b.fail("fsync", unix.Fsync(f))
	tx, rx := b.unixStream()
	if b.err != nil {
		return ""
	}
	b.fail("drop the page cache", os.WriteFile("/proc/sys/vm/drop_caches", []byte("1"), 0))
	n, err := sendfile(tx, f, step)
	if failed := whole(step, n, err); failed != "" {
		return failed
	}
	return sameAs(content, b.read(rx, step))
}
