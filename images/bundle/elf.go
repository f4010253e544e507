package bundle

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"splicelab/workloads/wire"
)

// libraryDirs are where the dynamic loader looks by itself: Debian's multiarch
// folders, those of other distributions, musl's.
var libraryDirs = []string{"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"}

// errForeign: an ELF file that the VM can't run.
var errForeign = errors.New("another architecture")

// readELF reads an x86-64 program or library.
func readELF(data []byte) (*elf.File, error) {
	if !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
		return nil, errors.New("no ELF file, and its first line isn't that of a script")
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("a damaged ELF file: %w", err)
	}
	switch {
	case f.Machine != elf.EM_X86_64 || f.Class != elf.ELFCLASS64:
		return nil, fmt.Errorf("%w: it is for %v, %v", errForeign, f.Machine, f.Class)
	case f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN:
		return nil, fmt.Errorf("an ELF file of type %v: link it", f.Type)
	}
	return f, nil
}

// addNeeded adds the interpreter and the libraries that a file names, if it is
// a program or a library for the VM. Of others nothing is known.
func (c *collector) addNeeded(guest, host string, data []byte) error {
	f, err := readELF(data)
	if err != nil {
		return nil
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		name := make([]byte, min(p.Filesz, 4096))
		if _, err := p.ReadAt(name, 0); err != nil {
			return c.wrong("%s: a damaged ELF file: %v", host, err)
		}
		interpreter := string(bytes.TrimRight(name, "\x00"))
		switch found, err := c.addFrom(interpreter); {
		case err != nil:
			return err
		case !found:
			return c.wrong("%s needs the loader %s, which isn't here: link it statically, or name the loader under files, HOST:%s", host, interpreter, interpreter)
		}
	}
	libraries, err := f.ImportedLibraries()
	if err != nil {
		return c.wrong("%s: a damaged ELF file: %v", host, err)
	}
	dirs, err := runPath(f)
	if err != nil {
		return c.wrong("%s: a damaged ELF file: %v", host, err)
	}
	for _, library := range libraries {
		if err := c.addLibrary(library, guest, host, dirs); err != nil {
			return err
		}
	}
	return nil
}

// runPath returns the folders in which a file asks for its libraries.
func runPath(f *elf.File) ([]string, error) {
	var dirs []string
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		values, err := f.DynString(tag)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			dirs = append(dirs, strings.Split(v, ":")...)
		}
	}
	return dirs, nil
}

// addLibrary finds a library as the loader will: beside the program, which is
// LD_LIBRARY_PATH in the guest, where the file asks for it, then in the usual
// folders.
func (c *collector) addLibrary(name, guest, host string, dirs []string) error {
	if _, ok := c.files[path.Join(wire.ProgramDir, name)]; ok {
		return nil
	}
	var folders []string
	for _, dir := range dirs {
		if rest, ok := cutOrigin(dir); ok {
			// The guest hasn't the host's folder: what lies there goes beside.
			near := filepath.Join(filepath.Dir(host)+rest, name)
			if isLibrary(near) {
				return c.add(path.Join(wire.ProgramDir, name), near, near)
			}
			dir = path.Dir(guest) + rest
		}
		folders = append(folders, dir)
	}
	var places []string
	for _, dir := range append(folders, libraryDirs...) {
		places = append(places, path.Join(dir, name))
	}
	if strings.Contains(name, "/") { // the loader takes it for a path
		places = []string{name}
	}
	if found, err := c.addFrom(places...); found || err != nil {
		return err
	}
	return c.wrong("%s needs the library %s, which isn't here: name it under files, its package under packages, or link statically", host, name)
}

// cutOrigin takes $ORIGIN, the folder of the file itself, off a run path.
func cutOrigin(dir string) (rest string, ok bool) {
	if rest, ok = strings.CutPrefix(dir, "$ORIGIN"); ok {
		return rest, true
	}
	return strings.CutPrefix(dir, "${ORIGIN}")
}

// addFrom adds a library or loader, which may be at one of several places, from
// the first tree that has it for this architecture, under the path it has there:
// the packages' go before the host's.
func (c *collector) addFrom(places ...string) (found bool, err error) {
	for _, r := range c.roots {
		for _, name := range places {
			if !path.IsAbs(name) {
				continue
			}
			if host, err := r.open(name); err == nil && isLibrary(host) {
				return true, c.add(name, host, r.source(host))
			}
		}
	}
	return false, nil
}

func isLibrary(host string) bool {
	data, err := os.ReadFile(host)
	if err != nil {
		return false
	}
	f, err := readELF(data)
	return err == nil && f.Close() == nil
}
