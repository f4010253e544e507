package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"

	"golang.org/x/sys/unix"

	"splicelab/workloads/copypath"
)

// order is what the worker asks of the receiver; the connection's file
// descriptor comes with it.
type order struct {
	Family string `json:"family"`
	Method string `json:"method"`
	Chunk  int64  `json:"chunk"`
	Bytes  int64  `json:"bytes"`
	Sink   string `json:"sink"`
	// Rounds makes it a ping-pong: the receiver asks once more than this.
	Rounds int `json:"rounds,omitempty"`
}

// reply is the receiver's answer once all bytes are there.
type reply struct {
	Error string `json:"error,omitempty"`
	Tail  []byte `json:"tail,omitempty"`
	Waits waits  `json:"waits,omitzero"`
}

// waits are a ping-pong's, in instructions.
type waits struct {
	P50 int64 `json:"p50"`
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`
}

// summary is the smallest waits that so many of all are not longer than. It
// sorts all.
func summary(all []int64) waits {
	slices.Sort(all)
	n := len(all)
	return waits{P50: all[(n+1)/2-1], P99: all[(99*n+99)/100-1], Max: all[n-1]}
}

// controlFD is the inherited socket that orders come on.
const controlFD = 3

// maxMessage bounds an order or a reply: a tail of 4 KiB in base64, and air.
const maxMessage = 16 << 10

// receive is the receiver's role: it serves orders until the worker closes the
// control socket.
func receive() error {
	if err := ownFiles(); err != nil {
		return err
	}
	buf, oob := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4))
	for {
		n, oobn, _, _, err := unix.Recvmsg(controlFD, buf, oob, 0)
		if err != nil {
			return fmt.Errorf("receiver: wait for an order: %w", err)
		}
		if n == 0 {
			return uncollected()
		}
		r := serve(buf[:n], oob[:oobn])
		text, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("receiver: %w", err)
		}
		if _, err := unix.Write(controlFD, text); err != nil {
			return fmt.Errorf("receiver: answer: %w", err)
		}
	}
}

func serve(text, oob []byte) reply {
	var o order
	if err := json.Unmarshal(text, &o); err != nil {
		return reply{Error: err.Error()}
	}
	fd, err := passedFD(oob)
	if err != nil {
		return reply{Error: err.Error()}
	}
	f, err := copypath.Lookup(o.Family)
	if err != nil {
		return reply{Error: errors.Join(err, unix.Close(fd)).Error()}
	}
	m, err := f.Method(o.Method)
	if err != nil {
		return reply{Error: errors.Join(err, unix.Close(fd)).Error()}
	}
	r, err := copypath.NewReceiver(f, m, fd, o.Chunk)
	if err != nil {
		return reply{Error: err.Error()}
	}
	defer r.Close()
	var answer reply
	if o.Rounds > 0 {
		all := make([]int64, o.Rounds)
		clear(all) // so that no page of it is new in the region
		err = r.Ask(all, o.Sink).Err()
		answer.Waits = summary(all)
	} else {
		err = r.Receive(o.Bytes, o.Sink).Err()
	}
	if err != nil {
		return reply{Error: err.Error()}
	}
	answer.Tail = slices.Clone(r.Tail()) // Close unmaps it
	return answer
}

func passedFD(oob []byte) (int, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return -1, fmt.Errorf("order without a connection: %w", err)
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err == nil && len(fds) == 1 {
			return fds[0], nil
		}
	}
	return -1, errors.New("order without a connection")
}

// peer is the receiver as the worker holds it.
type peer struct {
	cmd     *exec.Cmd
	control int
}

// startPeer starts the receiver's process. There is one for all cells, so that
// the second cell finds the machine as the first did.
func startPeer() (*peer, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "control")
	defer theirs.Close()
	cmd := exec.Command("/proc/self/exe", roleReceiver)
	cmd.Env = os.Environ()
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the receiver: %w", err)
	}
	return &peer{cmd: cmd, control: pair[0]}, nil
}

// ask sends an order with the receiving end of a connection.
func (p *peer) ask(o order, fd int) error {
	text, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("order: %w", err)
	}
	if err := unix.Sendmsg(p.control, text, unix.UnixRights(fd), nil, 0); err != nil {
		return fmt.Errorf("order to the receiver: %w", err)
	}
	return nil
}

// wait blocks until the receiver has answered. It is the end of a timed
// region, so it leaves the decoding to decode.
func (p *peer) wait(buf []byte) (int, error) {
	for {
		n, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(p.control), bufAddr(buf), uintptr(len(buf)))
		switch {
		case e == unix.EINTR:
		case e != 0:
			return 0, fmt.Errorf("the receiver's answer: %w", e)
		case n == 0:
			return 0, fmt.Errorf("the receiver's answer: %w", io.ErrUnexpectedEOF)
		default:
			return int(n), nil
		}
	}
}

// decode returns what the receiver saw.
func decode(text []byte) (reply, error) {
	var r reply
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("the receiver's answer: %w", err)
	}
	if r.Error != "" {
		return r, fmt.Errorf("receiver: %s", r.Error)
	}
	return r, nil
}

// stop ends the receiver. The socket is open in another table of files, too
// (ownFiles), so that closing it here alone would end nothing.
func (p *peer) stop() error {
	return errors.Join(unix.Shutdown(p.control, unix.SHUT_RDWR), unix.Close(p.control), p.cmd.Wait())
}
