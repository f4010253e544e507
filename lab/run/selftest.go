package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"splicelab/images/initrd"
	"splicelab/images/kernel"
	"splicelab/images/selftest"
	"splicelab/lab/config"
	"splicelab/lab/exit"
	"splicelab/lab/vm"
	"splicelab/results/report"
	"splicelab/results/stats"
	"splicelab/results/store"
	guest "splicelab/workloads/selftest"
	"splicelab/workloads/wire"
)

// selftestDeadline is how long one program may take, in seconds of guest time:
// net/tls has a thousand tests, and some wait for seconds.
const selftestDeadline = 1200

// Selftests builds the configuration's kernels and the kernel's own tests of the
// same source, runs these on each and prints what they came to. A test that
// fails is no error, nor is a difference from the baseline: it is what was asked
// for. A kernel that doesn't survive them is.
func Selftests(ctx context.Context, c config.Config, out, progressTo io.Writer, interactive bool) error {
	p := newProgress(progressTo, interactive)
	defer p.clear()
	v, err := newVerifier(ctx, c, p)
	if err != nil {
		return err
	}
	defer os.RemoveAll(v.tmp)
	var list []tested
	lost, err := buildAll(ctx, c, p, func(_ config.Kernel, img *kernel.Image) { list = append(list, tested{image: img}) })
	if err != nil {
		return err
	}
	notes, err := v.addSelftests(ctx, p)
	if err != nil {
		return err
	}
	if err := sideBySide(ctx, c, list, p, (*tested).name, v.selftest); err != nil {
		return err
	}
	p.clear()
	var found []store.Verification
	for _, one := range list {
		found = append(found, one.found)
	}
	if s := stats.CompareSelftests(found, c.Baseline); s != nil {
		if err := report.Selftests(out, s, notes, guest.NotRun()); err != nil {
			return fmt.Errorf("print the selftests: %w", err)
		}
	}
	for _, v := range found {
		if v.Outcome != store.OK {
			lost = append(lost, fmt.Errorf("selftests on kernel %s: %s: %s", v.Kernel, v.Outcome, v.Detail))
		}
	}
	return exit.With(exit.Wrong, errors.Join(lost...))
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
	r, err := v.boot(ctx, b, wire.Plan{Version: wire.Version, Kind: wire.KindSelftest, Seed: b.Seed, CellDeadline: selftestDeadline}, t.image)
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
