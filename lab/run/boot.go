package run

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"splicelab/images/initrd"
	"splicelab/images/kernel"
	"splicelab/lab/config"
	"splicelab/lab/vm"
	"splicelab/results/report"
	"splicelab/results/stats"
	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// boot is one worker: it runs boots until none is left.
func (s *session) boot(ctx context.Context, worker int) {
	for {
		t, ok := s.next()
		if !ok || ctx.Err() != nil {
			return
		}
		var err error
		if t.verify {
			err = s.prove(ctx, worker, t.boot.Kernel, t.image)
		} else {
			err = s.trial(ctx, worker, t.boot, t.image)
		}
		if err != nil {
			s.cancel(err)
			return
		}
		s.firstComparison()
	}
}

// task is what a worker does next.
type task struct {
	boot store.Boot
	// image is nil when the kernel could not be built.
	image *kernel.Image
	// verify says that the boot's kernel is to be verified first.
	verify bool
}

// next returns the first boot of the queue whose kernel is there and verified,
// and waits for one if need be. A kernel that is there and not verified yet goes
// before all boots.
func (s *session) next() (t task, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.stopped && len(s.queue) > 0 {
		if name := s.unproven(); name != "" {
			s.verdicts[name] = "" // begun
			return task{boot: store.Boot{Kernel: name}, image: s.kernels[name], verify: true}, true
		}
		i := slices.IndexFunc(s.queue, func(b store.Boot) bool {
			// A resumed run has verdicts before its kernels are there.
			return s.kernels[b.Kernel] != nil && s.verdicts[b.Kernel] != "" || s.failed[b.Kernel] != nil
		})
		if i < 0 {
			s.changed.Wait()
			continue
		}
		b := s.queue[i]
		s.queue = slices.Delete(slices.Clone(s.queue), i, i+1)
		return task{boot: b, image: s.kernels[b.Kernel]}, true
	}
	return task{}, false
}

// trial runs one boot, or takes the samples of an equal one, and stores it.
func (s *session) trial(ctx context.Context, worker int, b store.Boot, img *kernel.Image) error {
	defer s.progress.booted(s.progress.booting(worker, b.Name))
	if img == nil {
		b.Outcome, b.Detail = "kernel not built", "see failed"
		return s.commit(b, nil)
	}
	if verdict := s.barred(b.Kernel); verdict != "" {
		b.Outcome, b.Detail = verdict, "see what the probes saw"
		return s.commit(b, nil)
	}
	spec, err := s.spec(b, img)
	if err != nil {
		return err
	}
	defer os.Remove(spec.Initrd)
	defer os.Remove(spec.Results)
	key, err := s.key(b, img)
	if err != nil {
		return err
	}
	known := earlier(s.samples, key, s.progress.say)
	if known != nil && b.Repeat == 0 && s.cfg.SampleCache {
		if stream, err := wire.Parse(bytes.NewReader(known)); err == nil {
			b.Cached = true
			return s.done(b, known, stream)
		}
	}
	result, err := vm.Run(ctx, spec)
	if err != nil {
		return err
	}
	b.HostCPU = result.CPU.Round(10 * time.Millisecond).Seconds()
	if result.Outcome != vm.OK {
		b.Outcome, b.Detail, b.Taints = string(result.Outcome), result.Detail+uncounted(b), result.Taints
		s.progress.say(fmt.Sprintf("boot %s: %s: %s (console: %s)", b.Name, b.Outcome, b.Detail, spec.Console))
		return s.commit(b, nil)
	}
	b.Taints = result.Taints
	stream, err := os.ReadFile(spec.Results)
	if err != nil {
		return hostError("read a result stream", err)
	}
	return s.keep(b, key, known, stream, result.Stream)
}

// uncounted says what is lost with an account boot; empty for any other.
func uncounted(b store.Boot) string {
	if b.Mode != store.ModeAccount {
		return ""
	}
	return "; no copies are counted of " + strings.Join(b.Families, ", ")
}

// keep stores a boot's own samples, and in the sample cache. The digest of an
// earlier, equal boot stands beside its own: where they differ, determinism is
// broken.
func (s *session) keep(b store.Boot, key string, known, stream []byte, parsed wire.Stream) error {
	if known != nil {
		b.Earlier = digest(known)
	}
	// A boot with a warning in its log isn't one to be reused silently.
	if len(b.Taints) == 0 {
		if err := s.samples.Put(key, stream); err != nil {
			return hostError("keep samples in the cache", err)
		}
	}
	return s.done(b, stream, parsed)
}

func (s *session) done(b store.Boot, stream []byte, parsed wire.Stream) error {
	b.Outcome, b.UUID, b.Digest = store.OK, parsed.Hello.UUID, digest(stream)
	if s.run.Manifest().Settings == nil {
		settings := parsed.Hello.Settings
		if err := s.run.Update(func(m *store.Manifest) { m.Settings = settings }); err != nil {
			return storeError(err)
		}
	}
	return s.commit(b, samplesOf(s.cfg, b, parsed))
}

func (s *session) commit(b store.Boot, samples []store.Sample) error {
	if err := s.run.Commit(b, samples); err != nil {
		return storeError(err)
	}
	return nil
}

func digest(stream []byte) string {
	sum := sha256.Sum256(stream)
	return hex.EncodeToString(sum[:])
}

// spec is the VM of a boot. Its files lie in the run's own temporary folder
// until they are stored.
func (s *session) spec(b store.Boot, img *kernel.Image) (vm.Boot, error) {
	file, err := s.wirePlan(b)
	if err != nil {
		return vm.Boot{}, err
	}
	spec := vmBoot(s.cfg, b, img.BzImage, s.tmp, s.run.Console(b.Name))
	if err := initrd.WithPlan(spec.Initrd, s.initramfs(b), file); err != nil {
		return vm.Boot{}, hostError("write an initramfs", err)
	}
	return spec, nil
}

// vmBoot is the VM of a boot, with its files in dir.
func vmBoot(c config.Config, b store.Boot, bzImage, dir, console string) vm.Boot {
	families := time.Duration(max(1, len(b.Families)))
	return vm.Boot{
		Machine: machine(c, b),
		Kernel:  bzImage,
		Initrd:  filepath.Join(dir, b.Name+".cpio"),
		Console: console,
		Results: filepath.Join(dir, b.Name+".results"),

		CPUDeadline: c.BootCPUDeadline * families, WallDeadline: c.BootWallDeadline * families,
	}
}

func machine(c config.Config, b store.Boot) vm.Machine {
	cond := c.Condition(b.Condition)
	return vm.Machine{
		CPUModel: cond.CPU, MemoryMiB: c.MemoryMiB, Seed: b.Seed, Count: true,
		Cmdline: vm.Cmdline(true, cond.BootOptions()...),
	}
}

// key is the hash of all that a count boot depends on.
func (s *session) key(b store.Boot, img *kernel.Image) (string, error) {
	file, err := s.wirePlan(b)
	if err != nil {
		return "", err
	}
	return bootKey(s.cfg, b, file, img, s.initramfs(b), s.qemu)
}

// bootKey is the hash of all that a boot with this plan depends on.
func bootKey(c config.Config, b store.Boot, plan []byte, img *kernel.Image, i initrd.Initramfs, qemu string) (string, error) {
	args, err := vm.Args(vmBoot(c, store.Boot{Name: "boot", Condition: b.Condition, Seed: b.Seed}, "bzImage", "", "console"))
	if err != nil {
		return "", err
	}
	return store.Key(img.BzImageSHA256, i.SHA256, string(plan), qemu, strings.Join(args, "\x00")), nil
}

// earlier returns the stream of an earlier, equal boot, nil when there is none.
// A damaged entry is none, and said.
func earlier(samples store.Cache, key string, say func(string)) []byte {
	stream, ok, err := samples.Get(key)
	if errors.Is(err, store.ErrCache) {
		say(fmt.Sprintf("%v: measured again", err))
		return nil
	}
	if err != nil || !ok {
		return nil
	}
	return stream
}

// firstComparison prints the baseline against the first other kernel as soon
// as both have all boots of the first condition, while the rest is still at
// work. It is printed once, and not when it would be the whole report.
func (s *session) firstComparison() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first {
		return
	}
	m := s.run.Manifest()
	if len(m.Kernels) < 2 || !slices.ContainsFunc(m.Boots, func(b store.Boot) bool { return !b.Done() }) {
		return
	}
	second := m.Kernels[1].Spec.Name
	for _, b := range m.Boots {
		if (b.Kernel == m.Baseline || b.Kernel == second) && b.Condition == m.Conditions[0].Name && !b.Done() {
			return
		}
	}
	m, samples, err := store.Load(s.run.Dir())
	if err != nil {
		s.progress.say(err.Error())
		return
	}
	s.first = true
	s.progress.clear()
	if err := report.First(s.out, stats.Count(m, samples), second); err != nil {
		s.progress.say(err.Error())
	}
}
