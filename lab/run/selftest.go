package run

import (
	"context"
	"fmt"
	"io"

	"splicelab/images"
	"splicelab/images/initrd"
	"splicelab/images/kernel"
	"splicelab/images/selftest"
	"splicelab/lab/config"
	"splicelab/lab/vm"
	"splicelab/results/report"
	"splicelab/results/stats"
	"splicelab/results/store"
	guest "splicelab/workloads/selftest"
	"splicelab/workloads/wire"
)

// Selftests builds the configuration's kernels and the kernel's own tests of the
// same source, runs these on each and prints what they came to beside the
// baseline. A test that fails is no error: the error's status is 1 when a kernel
// differs from the baseline otherwise than its series declare, and when it
// doesn't survive the tests.
func Selftests(ctx context.Context, c config.Config, out, progressTo io.Writer, interactive bool) error {
	return onKernels(ctx, c, progressTo, interactive, func(v *verifier, built []*kernel.Image, p *progress) ([]error, error) {
		notes, err := v.addSelftests(ctx, p)
		if err != nil {
			return nil, err
		}
		var list []tested
		for _, img := range built {
			list = append(list, tested{image: img})
		}
		if err := sideBySide(ctx, c, list, p, (*tested).name, v.selftest); err != nil {
			return nil, err
		}
		p.clear()
		s, err := compareSelftests(c, list)
		if err != nil || s == nil {
			return nil, err
		}
		if err := report.Selftests(out, s, notes, guest.NotRun()); err != nil {
			return nil, fmt.Errorf("print the selftests: %w", err)
		}
		return failedSelftests(s), nil
	})
}

// compareSelftests holds what the tests came to against the baseline, and the
// difference against what each kernel declares.
func compareSelftests(c config.Config, list []tested) (*stats.Selftests, error) {
	var found []store.Verification
	declared := stats.TestChanges{}
	for _, one := range list {
		found = append(found, one.found)
		k, _ := c.Kernel(one.found.Kernel)
		if len(k.Patches) > 0 {
			continue
		}
		changes, known, err := images.SelftestChanges(k.Series)
		if err != nil {
			return nil, err
		}
		if known {
			declared[k.Name] = changes
		}
	}
	return stats.CompareSelftests(found, c.Baseline, declared), nil
}

// failedSelftests are an error a kernel that isn't what it declares, or that
// didn't survive the tests.
func failedSelftests(s *stats.Selftests) []error {
	var all []error
	for _, k := range s.Kernels {
		if k.Why != "" {
			all = append(all, fmt.Errorf("selftests on kernel %s: %s", k.Name, k.Why))
		}
		if wrong := k.Unexpected(); len(wrong) > 0 {
			all = append(all, fmt.Errorf("selftests on kernel %s: %d of them not as declared, the first %s", k.Name, len(wrong), wrong[0]))
		}
	}
	return all
}

// addSelftests puts the tests into the initramfs, and returns what is to be
// said of them.
func (v *verifier) addSelftests(ctx context.Context, p *progress) (notes []string, err error) {
	cache, err := v.cfg.CacheDir()
	if err != nil {
		return nil, err
	}
	src, err := kernel.NewBuilder(cache, p.kernel).Resolve(ctx, v.cfg.Source())
	if err != nil {
		return nil, err
	}
	p.say("building the kernel's selftests")
	list, err := selftest.Build(ctx, cache, src)
	if err != nil {
		return nil, err
	}
	var files []initrd.File
	for _, b := range list {
		if b.Failed != "" {
			notes = append(notes, fmt.Sprintf("%s doesn't compile: %s.", b.Name, b.Failed))
			continue
		}
		if b.Note != "" {
			notes = append(notes, b.Note+".")
		}
		files = append(files, initrd.File{Path: guest.File(b.Name), Mode: 0o755, Data: b.Data})
	}
	v.initrd, err = initrd.With(ctx, cache, v.initrd, nil, files)
	return notes, err
}

// tested is a kernel, and what its tests came to.
type tested struct {
	image *kernel.Image
	found store.Verification
}

func (t *tested) name() string { return t.image.Spec.Name + "_selftest" }

// selftest runs the tests on a kernel.
func (v *verifier) selftest(ctx context.Context, t *tested) error {
	k, _ := v.cfg.Kernel(t.image.Spec.Name)
	b := verifyBoot(v.cfg, k)
	b.Name = t.name()
	r, err := v.boot(ctx, b, wire.Plan{Version: wire.Version, Kind: wire.KindSelftest, Seed: b.Seed}, t.image)
	if err != nil {
		return err
	}
	t.found = store.Verification{
		Kernel: k.Name, Outcome: r.outcome, Detail: r.detail, Taints: r.taints, Observed: r.stream.Observations, Cached: r.cached,
	}
	if r.outcome == store.OK && len(t.found.Observed) == 0 {
		t.found.Outcome, t.found.Detail = string(vm.AgentError), "no test was run"
	}
	return nil
}
