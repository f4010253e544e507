package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"splicelab/workloads/copypath"
	"splicelab/workloads/wire"
)

// sourceDir is where the source file lies: tmpfs, so that the page cache is
// the file.
const (
	sourceDir  = "/tmp"
	sourcePath = sourceDir + "/source"
)

// sysctls are set before anything is measured. They stand in the result stream.
func sysctls() []copypath.Setting {
	return append([]copypath.Setting{
		// Addresses at random would make alignment part of every figure.
		{Name: "kernel/randomize_va_space", Value: "0"},
		// Nothing is written back beside a measurement.
		{Name: "vm/dirty_writeback_centisecs", Value: "0"},
	}, copypath.NetworkSettings()...)
}

func setUp() (settings map[string]string, err error) {
	for _, m := range []struct{ fs, at string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", sourceDir}, {"debugfs", "/sys/kernel/debug"},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return nil, fmt.Errorf("make a mount point: %w", err)
		}
		// The kernel may have mounted devtmpfs itself.
		if err := unix.Mount(m.fs, m.at, m.fs, 0, ""); err != nil && err != unix.EBUSY {
			return nil, fmt.Errorf("mount %s on %s: %w", m.fs, m.at, err)
		}
	}
	settings = map[string]string{
		"SO_SNDBUFFORCE, SO_RCVBUFFORCE": fmt.Sprintf("%d, or two chunks where that is more", copypath.SocketBuffer),
		"TCP_NODELAY":                    "on in lockstep and pingpong, off in stream",
	}
	for _, s := range sysctls() {
		if err := s.Set(); err != nil {
			return nil, err
		}
		settings[strings.ReplaceAll(s.Name, "/", ".")] = s.Value
	}
	if settings["net.ipv4.tcp_congestion_control"], err = readLine("/proc/sys/net/ipv4/tcp_congestion_control"); err != nil {
		return nil, err
	}
	if settings["CPU vulnerabilities"], err = vulnerabilities("/sys/devices/system/cpu/vulnerabilities"); err != nil {
		return nil, err
	}
	return settings, loopbackUp()
}

// loopbackUp brings lo up; the kernel gives it 127.0.0.1 by itself
// (inetdev_event).
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket for lo: %w", err)
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("lo: %w", err)
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	return nil
}

// openPort opens a serial port for bytes as they are: no newline is turned
// into another.
func openPort(name string) (*os.File, error) {
	port, err := os.OpenFile(name, os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("open the result port: %w", err)
	}
	t, err := unix.IoctlGetTermios(int(port.Fd()), unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("result port %s: %w", name, err)
	}
	t.Oflag &^= unix.OPOST
	if err := unix.IoctlSetTermios(int(port.Fd()), unix.TCSETS, t); err != nil {
		return nil, fmt.Errorf("result port %s: %w", name, err)
	}
	return port, nil
}

// drain waits until the port has sent what was written.
func drain(port *os.File) error {
	if err := unix.IoctlSetInt(int(port.Fd()), unix.TCSBRK, 1); err != nil {
		return fmt.Errorf("drain the result port: %w", err)
	}
	return nil
}

func sayHello(settings map[string]string) (wire.Hello, error) {
	h := wire.Hello{Version: wire.Version, Settings: settings}
	for _, f := range []struct {
		into *string
		name string
	}{
		{&h.Release, "/proc/sys/kernel/osrelease"},
		{&h.Banner, "/proc/version"},
		{&h.Cmdline, "/proc/cmdline"},
		{&h.UUID, "/proc/sys/kernel/random/uuid"},
		{&h.Clocksource, "/sys/devices/system/clocksource/clocksource0/current_clocksource"},
	} {
		text, err := readLine(f.name)
		if err != nil {
			return h, err
		}
		*f.into = text
	}
	cpu, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return h, fmt.Errorf("the CPU's flags: %w", err)
	}
	h.Flags = cpuFlags(string(cpu))
	return h, nil
}

// cpuFlags returns the first CPU's features, sorted.
func cpuFlags(cpuinfo string) []string {
	for line := range strings.Lines(cpuinfo) {
		name, value, found := strings.Cut(line, ":")
		if found && strings.TrimSpace(name) == "flags" {
			flags := strings.Fields(value)
			slices.Sort(flags)
			return flags
		}
	}
	return nil
}

func readLine(name string) (string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("read a setting: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
