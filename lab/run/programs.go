package run

import (
	"context"
	"path/filepath"

	"splicelab/images/bundle"
	"splicelab/images/initrd"
	"splicelab/lab/config"
	"splicelab/lab/exit"
	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// ownPrograms makes the initramfs of each of the user's own programs that is
// shown: the lab's, and the program's files behind it, so that the boots of copy
// paths keep theirs. It returns what the manifest says of them.
func (s *session) ownPrograms(ctx context.Context, cache string) ([]store.Program, error) {
	var list []store.Program
	for _, p := range s.cfg.Programs {
		if !s.cfg.Shows(p.Path()) {
			continue
		}
		program, image, err := ownProgram(ctx, s.cfg, p, cache, s.initrd, s.progress.say)
		if err != nil {
			return nil, err
		}
		s.programs[p.Path()] = image
		list = append(list, program)
	}
	return list, nil
}

func ownProgram(ctx context.Context, c config.Config, p config.Program, cache string, base initrd.Initramfs, say func(string)) (store.Program, initrd.Initramfs, error) {
	files, err := bundle.Collect(ctx, cache, bundle.Program{Name: p.Name, Command: p.Command, Files: p.Files, Packages: p.Packages}, say)
	if err != nil {
		return store.Program{}, initrd.Initramfs{}, err
	}
	program := store.Program{Name: p.Name, About: p.About, Command: p.Command}
	var plain []initrd.File
	size := 0
	for _, f := range files {
		plain = append(plain, f.File)
		size += len(f.Data)
		program.Files = append(program.Files, store.ProgramFile{
			File: store.File{Name: f.Path, SHA256: f.SHA256, Size: int64(len(f.Data))}, From: f.From,
		})
	}
	// The archive and what is unpacked from it are in memory at once.
	if room := c.MemoryMiB << 20 / 4; size > room {
		return program, initrd.Initramfs{}, exit.Errorf(exit.Usage, "program %s: its files are %d MiB, a VM of %d MiB has room for %d: raise memory_mib", p.Name, size>>20, c.MemoryMiB, room>>20)
	}
	image, err := initrd.With(ctx, cache, base, []string{wire.ProgramDir}, plain)
	if err != nil {
		return program, image, hostError("make a program's initramfs", err)
	}
	program.Initramfs = store.File{Name: "initramfs", SHA256: image.SHA256, Size: image.Size}
	return program, image, nil
}

// keptPrograms are those of a resumed run, whose files may be others by now.
func (s *session) keptPrograms(cache string) error {
	for _, p := range s.run.Manifest().Programs {
		image, err := initrd.Cached(cache, p.Initramfs.SHA256)
		if err != nil {
			return exit.Errorf(exit.Usage, "%s: the initramfs of program %s is gone from %s: start a new run", s.run.Dir(), p.Name, filepath.Dir(image.Path))
		}
		s.programs[config.Program{Name: p.Name}.Path()] = image
	}
	return nil
}

// initramfs is what a boot boots with, without the plan.
func (s *session) initramfs(b store.Boot) initrd.Initramfs {
	if image, ok := s.programs[b.Family]; ok {
		return image
	}
	return s.initrd
}
