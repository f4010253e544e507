package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// groupRoot is where the control groups are mounted.
const groupRoot = "/sys/fs/cgroup"

// makeGroup makes a control group with memory accounting for the worker, as a
// service manager does for every service: the root group is not charged
// (mm/memcontrol.c, mem_cgroup_is_root), so that work in it would cost less than
// it does anywhere. It returns the group's folder; empty where the kernel has no
// such accounting.
func makeGroup() (string, error) {
	if err := unix.Mount("cgroup2", groupRoot, "cgroup2", 0, ""); err != nil && err != unix.EBUSY {
		return "", fmt.Errorf("mount cgroup2 on %s: %w", groupRoot, err)
	}
	controllers, err := readLine(filepath.Join(groupRoot, "cgroup.controllers"))
	if err != nil || !slices.Contains(strings.Fields(controllers), "memory") {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(groupRoot, "cgroup.subtree_control"), []byte("+memory"), 0); err != nil {
		return "", fmt.Errorf("switch memory accounting on: %w", err)
	}
	group := filepath.Join(groupRoot, "worker")
	if err := os.Mkdir(group, 0o755); err != nil {
		return "", fmt.Errorf("make the worker's group: %w", err)
	}
	return group, nil
}

// vulnerabilities says what the kernel thinks of this CPU, and what it does
// about it, by the files in dir: mitigations are chosen at boot. What the CPU
// isn't affected by is left out. Without the folder nothing is known.
func vulnerabilities(dir string) (string, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("the CPU's vulnerabilities: %w", err)
	}
	var list []string
	for _, f := range files {
		text, err := readLine(filepath.Join(dir, f.Name()))
		if err != nil {
			return "", err
		}
		if text != "Not affected" {
			list = append(list, f.Name()+": "+text)
		}
	}
	return strings.Join(list, "; "), nil
}
