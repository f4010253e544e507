package run

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"splicelab/images"
	"splicelab/images/initrd"
	"splicelab/images/kernel"
	"splicelab/lab/config"
	"splicelab/lab/plan"
	"splicelab/lab/vm"
	"splicelab/results/store"
	"splicelab/workloads/wire"
)

// Expected returns what a kernel of these series, and with these declarations of
// its own, declares; declared is false for one that declares nothing. It is
// images.Expected.
type Expected func(series []string, own map[string]string) (values map[string]string, declared bool, err error)

// verifier boots a kernel once and lets the probes look at it.
type verifier struct {
	cfg      config.Config
	initrd   initrd.Initramfs
	qemu     string // version
	samples  store.Cache
	tmp      string
	console  func(boot string) string
	expected Expected
	say      func(line string)
}

// verify returns what the probes saw of a kernel, now or in an earlier boot
// with the same inputs. What the kernel does is never an error.
func (v *verifier) verify(ctx context.Context, k config.Kernel, img *kernel.Image) (found store.Verification, err error) {
	found.Kernel = k.Name
	own := ownSource(img)
	if found.Declared, err = v.declared(k, own); err != nil {
		return found, err
	}
	found.Partial = !own && found.Declared != nil
	b := verifyBoot(v.cfg, k)
	r, err := v.boot(ctx, b, verifyPlan(b), img)
	if err != nil {
		return found, err
	}
	found.Outcome, found.Detail, found.Taints = r.outcome, r.detail, r.taints
	found.Observed, found.Cached = r.stream.Observations, r.cached
	if at := oopsed(found.Observed); len(at) > 0 {
		found.Detail = strings.Join(at, ", ") + ": " + found.Detail
	}
	return found, nil
}

// ownSource reports whether a kernel is built from its line's own source: Debian's
// package of any version, or a tarball of one of the line's releases. A tree or
// a git revision may hold anything.
func ownSource(img *kernel.Image) bool {
	switch img.Source.Spec.Kind {
	case kernel.SourceGit, kernel.SourceTree:
		return false
	}
	line := img.Spec.Line
	return img.Release == line || strings.HasPrefix(img.Release, line+".") || strings.HasPrefix(img.Release, line+"-")
}

// foreignNote says what is not known of a source; empty for the line's own.
func foreignNote(img *kernel.Image) string {
	if ownSource(img) {
		return ""
	}
	return fmt.Sprintf("%s (%s) isn't line %s's own source: base is described, other kernels are held against what their series change; copies are counted and held against nothing",
		img.Source.Spec, img.Release, img.Spec.Line)
}

// declared is what a kernel declares of the probes; nil when it is described
// only, as one with the user's own patches whose entry says nothing. What base
// shows is known of the line's own source; on another a kernel is held against
// what its series change, and base against nothing.
func (v *verifier) declared(k config.Kernel, ownSource bool) (map[string]string, error) {
	own := k.Declares()
	if len(k.Patches) > 0 && own == nil {
		return nil, nil
	}
	if !ownSource {
		return images.Changed(k.Series, own)
	}
	values, declared, err := v.expected(k.Series, own)
	if err != nil || !declared {
		return nil, err
	}
	return values, nil
}

// booted is what came of one boot, now or earlier.
type booted struct {
	outcome, detail string // as store.Boot's
	taints          []string
	stream          wire.Stream
	cached          bool
}

// boot runs a VM, or takes the stream of an earlier boot with the same inputs.
func (v *verifier) boot(ctx context.Context, b store.Boot, p wire.Plan, img *kernel.Image) (booted, error) {
	file, err := p.Encode()
	if err != nil {
		return booted{}, err
	}
	key, err := bootKey(v.cfg, b, file, img, v.initrd, v.qemu)
	if err != nil {
		return booted{}, err
	}
	if stream := earlier(v.samples, key, v.say); stream != nil && v.cfg.SampleCache {
		if parsed, err := wire.Parse(bytes.NewReader(stream)); err == nil {
			return booted{outcome: store.OK, stream: parsed, cached: true}, nil
		}
	}
	spec := vmBoot(v.cfg, b, img.BzImage, v.tmp, v.console(b.Name))
	defer os.Remove(spec.Initrd)
	defer os.Remove(spec.Results)
	if err := initrd.WithPlan(spec.Initrd, v.initrd, file); err != nil {
		return booted{}, hostError("write an initramfs", err)
	}
	result, err := vm.Run(ctx, spec)
	if err != nil {
		return booted{}, err
	}
	r := booted{outcome: string(result.Outcome), detail: result.Detail, taints: result.Taints, stream: result.Stream}
	if result.Outcome != vm.OK {
		v.say(fmt.Sprintf("boot %s: %s: %s\n%s", b.Name, result.Outcome, result.Detail, result.Tail))
		return r, nil
	}
	if len(result.Taints) > 0 { // not one to be reused silently
		return r, nil
	}
	stream, err := os.ReadFile(spec.Results)
	if err != nil {
		return r, hostError("read a result stream", err)
	}
	if err := v.samples.Put(key, stream); err != nil {
		return r, hostError("keep a boot's stream in the cache", err)
	}
	return r, nil
}

// oopsed are the probes under which the kernel oopsed.
func oopsed(list []wire.Observation) []string {
	var probes []string
	for _, o := range list {
		if o.Value == wire.ProbeOopsed && !slices.Contains(probes, o.Probe) {
			probes = append(probes, o.Probe)
		}
	}
	return probes
}

// probeDeadline is how long one probe may take, in seconds of guest time. The
// slowest drains 64 KiB through the smallest of buffers.
const probeDeadline = 10

// verifyBoot is the boot that probes a kernel, under the first condition.
func verifyBoot(c config.Config, k config.Kernel) store.Boot {
	return store.Boot{Name: k.Name + "_verify", Kernel: k.Name, Condition: c.Conditions[0].Name, Seed: 1}
}

func verifyPlan(b store.Boot) wire.Plan {
	return wire.Plan{Version: wire.Version, Kind: wire.KindVerify, Seed: b.Seed, CellDeadline: probeDeadline}
}

// verifier shares the run's parts.
func (s *session) verifier() *verifier {
	return &verifier{
		cfg: s.cfg, initrd: s.initrd, qemu: s.qemu, samples: s.samples, tmp: s.tmp,
		console: s.run.Console, expected: s.expected, say: s.progress.say,
	}
}

// unproven returns the first kernel of the queue that is there and was not
// looked at yet; empty when there is none. The caller holds the lock.
func (s *session) unproven() string {
	for _, b := range s.queue {
		if _, begun := s.verdicts[b.Kernel]; !begun && s.kernels[b.Kernel] != nil {
			return b.Kernel
		}
	}
	return ""
}

// prove verifies a kernel and lets its boots go, or not.
func (s *session) prove(ctx context.Context, worker int, name string, img *kernel.Image) error {
	s.progress.proving(worker, name)
	defer s.progress.rested(worker)
	k, _ := s.cfg.Kernel(name)
	found, err := s.verifier().verify(ctx, k, img)
	if err != nil {
		return err
	}
	verdict := found.Verdict()
	if verdict != store.OK {
		what := "it is not measured (--force measures it)"
		if s.cfg.Force {
			what = "it is measured all the same"
		}
		s.progress.say(fmt.Sprintf("kernel %s is %s: %s", name, verdict, what))
	}
	if err := s.run.Update(func(m *store.Manifest) { m.Verifications = append(m.Verifications, found) }); err != nil {
		return storeError(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verdicts[name] = verdict
	s.changed.Broadcast()
	return nil
}

// barred says why a kernel isn't measured; empty when it is.
func (s *session) barred(kernel string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if verdict := s.verdicts[kernel]; verdict != store.OK && !s.cfg.Force {
		return verdict
	}
	return ""
}

// printVerifications prints the boots of a dry run that verify kernels.
func printVerifications(w io.Writer, c config.Config) error {
	for _, k := range plan.BuildOrder(c) {
		b := verifyBoot(c, k)
		args, err := vm.Args(dryBoot(c, b))
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "boot %s: the probes, %s\n  qemu-system-x86_64 %s\n", b.Name, b.Condition, strings.Join(shellWords(args), " "))
	}
	return nil
}

func shellWords(args []string) []string {
	words := slices.Clone(args)
	for i, a := range words {
		words[i] = shellWord(a)
	}
	return words
}
