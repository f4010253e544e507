package copypath

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// fileUDPDummy sends datagrams that nobody gets: a dummy device drops what it
// is to send. It is the sender's half of a network card, without the card.
func fileUDPDummy() Family {
	link := new(dummyLink)
	methods := fileMethods()
	for i := range methods {
		methods[i].send, methods[i].check = counted(methods[i].send), link.check
	}
	return Family{
		Name:      "file-udp-dummy",
		About:     "a file in the page cache (tmpfs) to a UDP socket over a dummy device, a datagram a chunk; nobody receives, only the device's count of packets and bytes is checked",
		Sinks:     []string{""},
		Schedules: alone(),
		MaxChunk:  maxDatagram,
		NotTaken:  datagramTooLarge,
		Methods:   methods,
		setUp:     link.up,
		connect:   link.connect,
	}
}

// counted adds what a method sent to the cell's own count.
func counted(send func(c *Cell, off, n int64) Status) func(c *Cell, off, n int64) Status {
	return func(c *Cell, off, n int64) Status {
		st := send(c, off, n)
		c.sent += n
		return st
	}
}

// dummyLink is a network namespace with a dummy device. It is there as long as
// the process.
type dummyLink struct {
	ns             netns
	counters       int // /proc/net/dev of the namespace
	packets, bytes int64
}

func (l *dummyLink) up() error {
	dev := device{name: "dummy0", ip: [4]byte{10, 0, 0, 1}}
	var err error
	l.ns, err = newNetns(func() error {
		if err := newDummy(dev, 64<<10); err != nil {
			return err
		}
		if err := dev.up(nil); err != nil {
			return err
		}
		// The file shows the namespace that it was opened in.
		l.counters, err = unix.Open("/proc/thread-self/net/dev", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open the device's counters: %w", err)
		}
		return nil
	})
	return err
}

func (l *dummyLink) connect(c *Cell) error {
	err := l.ns.do(func() (err error) {
		c.tx, err = c.datagramSocket()
		return err
	})
	if err != nil {
		return err
	}
	const discard = 9 // the port
	if err := unix.Connect(c.tx, &unix.SockaddrInet4{Addr: [4]byte{10, 0, 0, 2}, Port: discard}); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	l.packets, l.bytes, err = l.count()
	return err
}

// check holds the device's counters against what the cell sent since the last
// check: a packet a chunk, each with the headers of UDP, IPv4 and Ethernet.
func (l *dummyLink) check(c *Cell, _, _ int64) error {
	const headers = 8 + 20 + 14
	packets, bytes, err := l.count()
	if err != nil {
		return err
	}
	wantPackets := c.sent / c.chunk
	if got, want := packets-l.packets, wantPackets; got != want {
		return fmt.Errorf("%w: the device has sent %d packets, want %d", ErrIntegrity, got, want)
	}
	if got, want := bytes-l.bytes, c.sent+headers*wantPackets; got != want {
		return fmt.Errorf("%w: the device has sent %d bytes, want %d", ErrIntegrity, got, want)
	}
	l.packets, l.bytes, c.sent = packets, bytes, 0
	return nil
}

func (l *dummyLink) count() (packets, bytes int64, err error) {
	var buf [4096]byte
	n, err := unix.Pread(l.counters, buf[:], 0)
	if err != nil {
		return 0, 0, fmt.Errorf("read the device's counters: %w", err)
	}
	return deviceCounters(string(buf[:n]), "dummy0")
}
