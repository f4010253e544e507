package account

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// proofBytes is copied to prove a probe: no multiple of a page, so that a
// function which is called once a page and one which is called once differ.
const proofBytes = 5*4096 + 123

// prove copies a known number of bytes by way of each leaf. A compiler that
// inlined one into its caller, or a leaf that calls another, shows here.
func (a *Account) prove(dir string) error {
	buf := make([]byte, proofBytes)
	file, err := unix.Open(filepath.Join(dir, "proof"), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("prove the account: %w", err)
	}
	defer unix.Close(file)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("prove the account: %w", err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	send, stop, err := zerocopy()
	if err != nil {
		return err
	}
	defer stop()
	for _, p := range []struct {
		function string
		user     int64
		copy     func() (int, error)
	}{
		{a.line.leaves[2].function, proofBytes, func() (int, error) { return unix.Pwrite(file, buf, 0) }},
		{a.line.leaves[0].function, proofBytes, func() (int, error) { return unix.Pread(file, buf, 0) }},
		{a.line.leaves[1].function, proofBytes, func() (int, error) { return unix.Write(pipe[1], buf) }},
		{orphaner, 0, func() (int, error) { return send(buf) }},
	} {
		if err := a.proveOne(p.function, p.user, p.copy); err != nil {
			return fmt.Errorf("the account of %s is not to be trusted: %w", p.function, err)
		}
	}
	return nil
}

func (a *Account) proveOne(function string, user int64, copy func() (int, error)) error {
	if err := a.Start(); err != nil {
		return err
	}
	n, err := copy()
	c, stopErr := a.Stop()
	if err := errors.Join(err, stopErr); err != nil {
		return err
	}
	if n != proofBytes || len(c.ByFunction) != 1 || c.ByFunction[function] != proofBytes || c.User != user {
		return fmt.Errorf("%d bytes were copied, %d of user memory, and it counts: %v", n, user, c)
	}
	return nil
}

// wordsOfSkb is how much of a struct sk_buff is searched, in words of 4 bytes:
// more than it has.
const wordsOfSkb = 80

// findDataLen returns the offset of data_len in struct sk_buff. It depends on
// the configuration, and the kernel has no type information to ask: so two
// messages of known size are sent, and the one word that has both sizes is it.
func findDataLen() (int, error) {
	const event = "find"
	definition := "r:" + group + "/" + event + " " + orphaner
	for i := range wordsOfSkb {
		definition += fmt.Sprintf(" o%d=+%d($arg1):u32", 4*i, 4*i)
	}
	if err := command("kprobe_events", definition); err != nil {
		return 0, fmt.Errorf("no probe on %s, which this kernel's line copies with: %w", orphaner, err)
	}
	enable := filepath.Join("events", group, event, "enable")
	if err := command(enable, "1"); err != nil {
		return 0, err
	}
	sizes := []int{12345, 23456}
	sendErr := sendAll(sizes)
	text, err := read("trace")
	if err := errors.Join(sendErr, err, command(enable, "0"), command("kprobe_events", "-:"+group+"/"+event)); err != nil {
		return 0, err
	}
	records, err := parseFetched(text, event)
	if err != nil {
		return 0, err
	}
	return dataLen(records, sizes)
}

func sendAll(sizes []int) error {
	send, stop, err := zerocopy()
	if err != nil {
		return err
	}
	defer stop()
	for _, size := range sizes {
		if n, err := send(make([]byte, size)); err != nil || n != size {
			return fmt.Errorf("send %d bytes without a copy: %d, %w", size, n, err)
		}
	}
	return nil
}

// dataLen returns the one offset at which each record has its size.
func dataLen(records []map[string]int64, sizes []int) (int, error) {
	if len(records) != len(sizes) {
		return 0, fmt.Errorf("where data_len lies in struct sk_buff: %d messages were copied by %s, want %d", len(records), orphaner, len(sizes))
	}
	var found []int
	for i := range wordsOfSkb {
		name := fmt.Sprintf("o%d", 4*i)
		differs := func(r int) bool { return records[r][name] != int64(sizes[r]) }
		if !slices.ContainsFunc([]int{0, 1}, differs) {
			found = append(found, 4*i)
		}
	}
	if len(found) != 1 {
		return 0, fmt.Errorf("where data_len lies in struct sk_buff: offsets %v fit, want one", found)
	}
	return found[0], nil
}

// zerocopy opens a TCP connection over loopback. What send sends by
// MSG_ZEROCOPY is copied on reception, since loopback must not hold on to a
// sender's pages (skb_orphan_frags_rx).
func zerocopy() (send func([]byte) (int, error), stop func(), err error) {
	var fds []int
	stop = func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("a connection for MSG_ZEROCOPY: %w", err)
			stop()
		}
	}()
	for range 2 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, stop, err
		}
		fds = append(fds, fd)
	}
	listener, tx := fds[0], fds[1]
	if err := unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, stop, err
	}
	if err := unix.Listen(listener, 1); err != nil {
		return nil, stop, err
	}
	at, err := unix.Getsockname(listener)
	if err != nil {
		return nil, stop, err
	}
	if err := unix.SetsockoptInt(tx, unix.SOL_SOCKET, unix.SO_ZEROCOPY, 1); err != nil {
		return nil, stop, err
	}
	if err := unix.Connect(tx, at); err != nil {
		return nil, stop, err
	}
	rx, _, err := unix.Accept(listener)
	if err != nil {
		return nil, stop, err
	}
	fds = append(fds, rx)
	return func(b []byte) (int, error) { return unix.SendmsgN(tx, b, nil, nil, unix.MSG_ZEROCOPY) }, stop, nil
}
