package copypath

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// device is a network device of the current namespace.
type device struct {
	name string
	ip   [4]byte // in a network of 24 bits
	mac  [6]byte
}

// newVeth makes a pair of devices, the second of them in another namespace.
func newVeth(near, far device, other netns) error {
	peer := attribute(unix.IFLA_IFNAME, []byte(far.name+"\x00"))
	peer = append(peer, attribute(unix.IFLA_ADDRESS, far.mac[:])...)
	peer = append(peer, attribute(unix.IFLA_NET_NS_FD, binary.NativeEndian.AppendUint32(nil, uint32(other)))...)
	data := attribute(vethInfoPeer, append(make([]byte, unix.SizeofIfInfomsg), peer...))
	link := attribute(unix.IFLA_IFNAME, []byte(near.name+"\x00"))
	link = append(link, attribute(unix.IFLA_ADDRESS, near.mac[:])...)
	return newLink("veth", link, data)
}

// newDummy makes a dummy device, which drops what it is to send; mtu is in
// bytes.
func newDummy(d device, mtu uint32) error {
	link := attribute(unix.IFLA_IFNAME, []byte(d.name+"\x00"))
	link = append(link, attribute(unix.IFLA_MTU, binary.NativeEndian.AppendUint32(nil, mtu))...)
	return newLink("dummy", link, nil)
}

// vethInfoPeer is VETH_INFO_PEER (include/uapi/linux/veth.h).
const vethInfoPeer = 1

// newLink asks rtnetlink for a device of a kind: link are its attributes, data
// what its kind needs.
func newLink(kind string, link, data []byte) error {
	info := attribute(unix.IFLA_INFO_KIND, []byte(kind))
	if data != nil {
		info = append(info, attribute(unix.IFLA_INFO_DATA, data)...)
	}
	body := append(make([]byte, unix.SizeofIfInfomsg), link...)
	body = append(body, attribute(unix.IFLA_LINKINFO, info)...)
	if err := rtnetlink(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, body); err != nil {
		return fmt.Errorf("make a %s device: %w", kind, err)
	}
	return nil
}

// attribute is a struct rtattr and its value, padded to 4 bytes.
func attribute(typ uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofRtAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// rtnetlink makes one request and waits for its acknowledgement.
func rtnetlink(typ, flags uint16, body []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("rtnetlink: %w", err)
	}
	defer unix.Close(fd)
	request := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	request = binary.NativeEndian.AppendUint16(request, typ)
	request = binary.NativeEndian.AppendUint16(request, flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	request = append(append(request, make([]byte, 8)...), body...) // number and port: 0
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("rtnetlink: %w", err)
	}
	answer := make([]byte, 8<<10)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return fmt.Errorf("rtnetlink's answer: %w", err)
	}
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("rtnetlink's answer has %d bytes and is no acknowledgement", n)
	}
	// A struct nlmsgerr begins with the negative error, 0 for none.
	if errno := -int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])); errno != 0 {
		return fmt.Errorf("rtnetlink: %w", unix.Errno(errno))
	}
	return nil
}

// up gives the device its address and brings it up. peer is whom it talks to,
// if hardware addresses mean anything to it: a permanent entry keeps the
// neighbour's own timers and requests out of the figures.
func (d device) up(peer *device) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket for %s: %w", d.name, err)
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(d.name)
	if err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	for _, set := range []struct {
		request uint
		ip      [4]byte
	}{{unix.SIOCSIFADDR, d.ip}, {unix.SIOCSIFNETMASK, [4]byte{255, 255, 255, 0}}} {
		if err := req.SetInet4Addr(set.ip[:]); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		if err := unix.IoctlIfreq(fd, set.request, req); err != nil {
			return fmt.Errorf("set the address of %s: %w", d.name, err)
		}
	}
	// A dummy device is one without ARP, and is to stay one.
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req); err != nil {
		return fmt.Errorf("the flags of %s: %w", d.name, err)
	}
	req.SetUint16(req.Uint16() | unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("bring %s up: %w", d.name, err)
	}
	if peer == nil {
		return nil
	}
	return d.addNeighbour(fd, *peer)
}

// arpRequest is a struct arpreq (include/uapi/linux/if_arp.h).
type arpRequest struct {
	ip, hardware unix.RawSockaddr
	flags        int32
	netmask      unix.RawSockaddr
	device       [16]byte
}

func (d device) addNeighbour(fd int, peer device) error {
	const complete, permanent = 0x02, 0x04 // ATF_COM, ATF_PERM
	r := arpRequest{flags: complete | permanent}
	r.ip.Family, r.hardware.Family = unix.AF_INET, unix.ARPHRD_ETHER
	for i, b := range peer.ip { // behind the port
		r.ip.Data[2+i] = int8(b)
	}
	for i, b := range peer.mac {
		r.hardware.Data[i] = int8(b)
	}
	copy(r.device[:], d.name)
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSARP, uintptr(unsafe.Pointer(&r))); e != 0 {
		return fmt.Errorf("name the neighbour of %s: %w", d.name, e)
	}
	return nil
}

// withoutOffload takes scatter-gather from the device, and with it TSO.
func (d device) withoutOffload() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket for %s: %w", d.name, err)
	}
	defer unix.Close(fd)
	for _, command := range []uint32{unix.ETHTOOL_STSO, unix.ETHTOOL_SSG} {
		value := struct{ command, data uint32 }{command, 0}
		req := struct {
			name [16]byte
			data unsafe.Pointer
			_    [16]byte // a struct ifreq has 40 bytes
		}{data: unsafe.Pointer(&value)}
		copy(req.name[:], d.name)
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); e != 0 {
			return fmt.Errorf("take the offloads from %s: %w", d.name, e)
		}
	}
	return nil
}

// deviceCounters finds how many packets and bytes a device has sent in the text
// of /proc/net/dev (dev_seq_printf_stats).
func deviceCounters(text, device string) (packets, bytes int64, err error) {
	const sentBytes, sentPackets, columns = 8, 9, 16
	for line := range strings.Lines(text) {
		name, counters, found := strings.Cut(line, ":")
		fields := strings.Fields(counters)
		if !found || strings.TrimSpace(name) != device || len(fields) != columns {
			continue
		}
		if packets, err = strconv.ParseInt(fields[sentPackets], 10, 64); err != nil {
			return 0, 0, fmt.Errorf("the counters of %s: %w", device, err)
		}
		if bytes, err = strconv.ParseInt(fields[sentBytes], 10, 64); err != nil {
			return 0, 0, fmt.Errorf("the counters of %s: %w", device, err)
		}
		return packets, bytes, nil
	}
	return 0, 0, fmt.Errorf("no counters of %s in /proc/net/dev", device)
}
