// Package bundle collects the files that a user's own program needs in a VM: the
// program, what is to lie beside it, Debian packages, and every shared library
// and interpreter that these name. Nothing of it is run on the host.
package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"splicelab/images/initrd"
	"splicelab/workloads/wire"
)

// Program is what is asked for.
type Program struct {
	Name string
	// Command is run in the VM. A name without a slash is looked for in
	// wire.ProgramPath.
	Command []string
	// Files are HOST or HOST:GUEST; without GUEST a file lies in
	// wire.ProgramDir under its own name.
	Files []string
	// Packages are Debian's, NAME or NAME=VERSION: their programs come with the
	// libraries they need, from the packages they depend on.
	Packages []string
}

// File is one file of a bundle.
type File struct {
	initrd.File
	SHA256 string // hex
	// From is where it came from: a path of the host, or a package and its
	// version.
	From string
}

// Error is a program that can't be made to run in a VM, by fault of its
// configuration.
type Error struct {
	Program string
	Detail  string // what, where, and the way out
}

func (e *Error) Error() string { return "program " + e.Program + ": " + e.Detail }

// ExitStatus is 2.
func (e *Error) ExitStatus() int { return 2 }

// HostError is what this host lacks: a tool, a package.
type HostError struct {
	Program string
	Detail  string
}

func (e *HostError) Error() string { return "program " + e.Program + ": " + e.Detail }

// ExitStatus is 3.
func (e *HostError) ExitStatus() int { return 3 }

// Collect returns a program's files, sorted by path. cache is the root of the
// cache, where packages are kept; say is told what takes long. The errors are an
// *Error, a *HostError, and ctx's.
func Collect(ctx context.Context, cache string, p Program, say func(string)) ([]File, error) {
	c := &collector{program: p, files: map[string]File{}}
	packages, err := fetch(ctx, cache, p, say)
	if err != nil {
		return nil, err
	}
	for _, pkg := range packages {
		c.roots = append(c.roots, pkg.root)
	}
	c.roots = append(c.roots, root{dir: "/"})
	for _, f := range p.Files {
		if err := c.addUser(f); err != nil {
			return nil, err
		}
	}
	for _, pkg := range packages {
		if !pkg.asked {
			continue
		}
		if err := c.addPrograms(pkg.root); err != nil {
			return nil, err
		}
	}
	if err := c.checkCommand(); err != nil {
		return nil, err
	}
	return c.sorted(), nil
}

// root is a tree in which files are looked for: a package's, or the host's.
type root struct {
	dir  string
	from string // the package and its version; empty for the host's tree
}

// open returns where a file of the tree lies, its symbolic links followed as if
// the tree were the whole file system.
func (r root) open(name string) (string, error) {
	done, rest := "/", steps(name)
	for links := 0; len(rest) > 0; {
		next := path.Join(done, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(filepath.Join(r.dir, next))
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			done = next
			continue
		}
		target, err := os.Readlink(filepath.Join(r.dir, next))
		if links++; err != nil || links > 40 { // as many as the kernel follows (MAXSYMLINKS)
			return "", errors.Join(err, fmt.Errorf("%s: too many symbolic links", name))
		}
		if path.IsAbs(target) {
			done = "/"
		}
		rest = slices.Concat(steps(target), rest)
	}
	return filepath.Join(r.dir, done), nil
}

func steps(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
}

// source says where a file of the tree came from.
func (r root) source(host string) string {
	if r.from != "" {
		return r.from
	}
	return host
}

type collector struct {
	program Program
	roots   []root
	files   map[string]File // by path in the guest
}

func (c *collector) wrong(format string, args ...any) error {
	return &Error{c.program.Name, fmt.Sprintf(format, args...)}
}

// addUser adds one of the user's own files, with what it needs.
func (c *collector) addUser(entry string) error {
	host, guest, err := SplitFile(entry)
	if err != nil {
		return c.wrong("files: %v", err)
	}
	return c.add(guest, host, host)
}

// SplitFile splits HOST or HOST:GUEST into both paths.
func SplitFile(entry string) (host, guest string, err error) {
	host, guest, given := strings.Cut(entry, ":")
	switch {
	case host == "" || given && guest == "":
		return "", "", fmt.Errorf("%q is not HOST or HOST:GUEST, such as ./bench or ./data:/own/data", entry)
	case !given:
		guest = path.Join(wire.ProgramDir, filepath.Base(host))
	case !path.IsAbs(guest) || path.Clean(guest) != guest:
		return "", "", fmt.Errorf("%q: %s is no absolute path of the guest, such as /own/data", entry, guest)
	}
	top := steps(guest + "/")[:1]
	if len(top) == 1 && slices.Contains([]string{"dev", "proc", "sys", "tmp", "run", "mnt", "init", "plan"}, top[0]) {
		return "", "", fmt.Errorf("%q: /%s is the guest's own: put it under %s", entry, top[0], wire.ProgramDir)
	}
	return host, guest, nil
}

// addPrograms adds a package's programs.
func (c *collector) addPrograms(r root) error {
	for _, dir := range strings.Split(wire.ProgramPath, ":") {
		entries, err := os.ReadDir(filepath.Join(r.dir, dir))
		if err != nil { // most packages lack most of the folders
			continue
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			host, err := r.open(name)
			if err != nil { // a link into another package
				continue
			}
			if err := c.add(name, host, r.source(host)); err != nil {
				return err
			}
		}
	}
	return nil
}

// add adds the host's file under a path of the guest, and what it needs.
func (c *collector) add(guest, host, from string) error {
	info, err := os.Stat(host)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c.wrong("%s: no such file: build it first, or mend the entry in files", host)
	case err != nil:
		return c.wrong("%v", err)
	case !info.Mode().IsRegular():
		return c.wrong("%s is not a regular file: name each file", host)
	}
	data, err := os.ReadFile(host)
	if err != nil {
		return c.wrong("%v", err)
	}
	sum := sha256.Sum256(data)
	f := File{initrd.File{Path: guest, Mode: 0o644, Data: data}, hex.EncodeToString(sum[:]), from}
	if info.Mode()&0o111 != 0 {
		f.Mode = 0o755
	}
	if old, ok := c.files[guest]; ok {
		if old.SHA256 != f.SHA256 {
			return c.wrong("%s would be both %s and %s: give one of them another path, HOST:GUEST", guest, old.From, from)
		}
		return nil
	}
	c.files[guest] = f
	return c.addNeeded(guest, host, data)
}

// checkCommand makes sure that the command is there and can run.
func (c *collector) checkCommand() error {
	f, ok := c.lookPath(c.program.Command[0])
	if !ok {
		return c.wrong("command: %s is not in the VM: name its file under files, or its package under packages (there is: %s)",
			c.program.Command[0], strings.Join(c.commands(), ", "))
	}
	if f.Mode&0o111 == 0 {
		return c.wrong("%s may not be executed: chmod +x", f.From)
	}
	if line, ok := strings.CutPrefix(firstLine(f.Data), "#!"); ok {
		return c.checkInterpreter(f, strings.TrimSpace(line))
	}
	file, err := readELF(f.Data)
	if err != nil {
		return c.wrong("%s is neither an x86-64 program nor a script: %v", f.From, err)
	}
	return file.Close()
}

func (c *collector) checkInterpreter(script File, line string) error {
	name, _, _ := strings.Cut(line, " ")
	f, ok := c.files[name]
	if ok && f.Mode&0o111 != 0 {
		return nil
	}
	return c.wrong("%s: its interpreter %q is not in the VM, which has no shell of its own: add packages: [busybox-static] and begin it with #!/bin/busybox sh, or name a static one under files, HOST:%s", script.From, name, name)
}

// lookPath finds a command as the guest will.
func (c *collector) lookPath(name string) (File, bool) {
	if strings.Contains(name, "/") {
		f, ok := c.files[path.Join(wire.ProgramDir, name)]
		if path.IsAbs(name) {
			f, ok = c.files[path.Clean(name)]
		}
		return f, ok
	}
	for _, dir := range strings.Split(wire.ProgramPath, ":") {
		if f, ok := c.files[path.Join(dir, name)]; ok {
			return f, true
		}
	}
	return File{}, false
}

// commands are the executables of the bundle, for a message.
func (c *collector) commands() []string {
	var names []string
	for _, f := range c.sorted() {
		if f.Mode&0o111 != 0 && !strings.Contains(path.Base(f.Path), ".so") {
			names = append(names, f.Path)
		}
	}
	if len(names) == 0 {
		return []string{"nothing"}
	}
	return names
}

func (c *collector) sorted() []File {
	var list []File
	for _, f := range c.files {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return list
}

func firstLine(data []byte) string {
	line, _, _ := strings.Cut(string(data[:min(len(data), 256)]), "\n")
	return line
}
