package copypath

// fileVeth is nearer to a wire than loopback: packets of an MTU of 1,500 bytes
// leave one network namespace and enter another. What TCP builds passes as it
// is, up to 64 KiB at a time, since veth claims to segment and to gather.
func fileVeth() Family {
	return vethFamily("file-veth", "a file in the page cache (tmpfs) to a TCP socket in another network namespace, over veth with SG and TSO", true)
}

// fileVethNoSG is the same through a device that can do neither: the kernel
// cuts what TCP built into packets, and copies it for that (skb_segment).
func fileVethNoSG() Family {
	return vethFamily("file-veth-nosg", "file-veth without SG and TSO: the kernel segments, which copies once more", false)
}

func vethFamily(name, about string, offload bool) Family {
	link := &vethLink{offload: offload}
	return Family{
		Name:    name,
		About:   about,
		Sinks:   socketSinks(),
		Duplex:  true,
		Methods: fileMethods(),
		setUp:   link.up,
		connect: link.connect,
		tune:    tuneTCP,
		receive: receiveSocket,
	}
}

// vethLink is two network namespaces and a veth pair between them. It is there
// as long as the process.
type vethLink struct {
	offload   bool
	near, far netns
}

// The devices and addresses of the pair. The hardware addresses are fixed:
// random ones would be part of a boot's digits.
func nearEnd() device {
	return device{name: "near0", ip: [4]byte{10, 0, 0, 1}, mac: [6]byte{2, 0, 0, 0, 0, 1}}
}

func farEnd() device {
	return device{name: "far0", ip: [4]byte{10, 0, 0, 2}, mac: [6]byte{2, 0, 0, 0, 0, 2}}
}

func (l *vethLink) up() error {
	var err error
	if l.far, err = newNetns(nil); err != nil {
		return err
	}
	near, far := nearEnd(), farEnd()
	l.near, err = newNetns(func() error {
		if err := newVeth(near, far, l.far); err != nil {
			return err
		}
		return near.up(&far)
	})
	if err != nil {
		return err
	}
	if err := l.far.do(func() error { return far.up(&near) }); err != nil {
		return err
	}
	if l.offload {
		return nil
	}
	return l.near.do(near.withoutOffload)
}

func (l *vethLink) connect(c *Cell) error {
	var listener int
	err := l.far.do(func() (err error) {
		listener, err = c.listen(farEnd().ip)
		return err
	})
	if err != nil {
		return err
	}
	return l.near.do(func() error { return c.dial(listener) })
}
