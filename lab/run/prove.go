package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"splicelab/images"
	"splicelab/images/initrd"
	"splicelab/images/kernel"
	"splicelab/lab/config"
	"splicelab/lab/exit"
	"splicelab/lab/plan"
	"splicelab/lab/vm"
	"splicelab/results/report"
	"splicelab/results/stats"
	"splicelab/results/store"
)

// Verify builds the configuration's kernels, lets the probes look at each,
// counts its copies, and prints what they do beside what they declare. The
// error's status is 1 when a kernel is not what it declares, or doesn't compile.
func Verify(ctx context.Context, c config.Config, known config.Known, out, progressTo io.Writer, interactive bool) error {
	return onKernels(ctx, c, progressTo, interactive, func(v *verifier, built []*kernel.Image, p *progress) ([]error, error) {
		proof, err := v.manifest()
		if err != nil {
			return nil, err
		}
		found, err := v.all(ctx, v.proofs(built, c.Families(known.Paths)), p)
		if err != nil {
			return nil, err
		}
		p.clear()
		result := stats.Count(proof.with(found))
		if err := report.Verification(out, result); err != nil {
			return nil, fmt.Errorf("print what was seen: %w", err)
		}
		return wrong(result), nil
	})
}

// onKernels builds the configuration's kernels and looks at those that compile.
// What look finds wrong of them, and those that don't compile, are an error of
// status 1.
func onKernels(
	ctx context.Context, c config.Config, progressTo io.Writer, interactive bool,
	look func(v *verifier, built []*kernel.Image, p *progress) (wrong []error, err error),
) error {
	p := newProgress(progressTo, interactive)
	defer p.clear()
	v, err := newVerifier(ctx, c, p)
	if err != nil {
		return err
	}
	defer os.RemoveAll(v.tmp)
	var built []*kernel.Image
	lost, err := buildAll(ctx, c, p, func(_ config.Kernel, img *kernel.Image) { built = append(built, img) })
	if err != nil {
		return err
	}
	wrong, err := look(v, built, p)
	if err != nil {
		return err
	}
	return exit.With(exit.Wrong, errors.Join(append(lost, wrong...)...))
}

// wrong is what of the proofs fails, an error a note.
func wrong(r *stats.Result) []error {
	var all []error
	if r.Proof != nil {
		for _, k := range r.Proof.Kernels {
			if k.Verdict != store.OK {
				all = append(all, fmt.Errorf("kernel %s is %s: %s", k.Name, k.Verdict, k.Why))
			}
		}
	}
	for _, n := range r.Notes {
		if n.Kind.Wrong() && n.Kind != stats.Undeclared { // the verdicts say it
			all = append(all, errors.New(n.Text))
		}
	}
	return all
}

func newVerifier(ctx context.Context, c config.Config, p *progress) (*verifier, error) {
	cache, err := c.CacheDir()
	if err != nil {
		return nil, err
	}
	v := &verifier{cfg: c, samples: store.Cache{Dir: filepath.Join(cache, "samples")}, expected: images.Expected, say: p.say}
	if v.qemu, err = vm.Version(ctx); err != nil {
		return nil, err
	}
	guest, err := buildGuest(ctx, cache)
	if err != nil {
		return nil, err
	}
	if v.initrd, err = initrd.Build(ctx, cache, guest); err != nil {
		return nil, err
	}
	if v.tmp, err = os.MkdirTemp("", "splicelab-"); err != nil {
		return nil, hostError("make a temporary folder", err)
	}
	v.console = func(boot string) string { return filepath.Join(v.tmp, boot+".log") }
	return v, nil
}

// proof is one boot that shows what a kernel does: the probes, or the account of
// one family. Its results are in seen or in samples.
type proof struct {
	boot    store.Boot
	image   *kernel.Image
	seen    *store.Verification
	samples []store.Sample
}

// proofs are all boots, kernel by kernel.
func (v *verifier) proofs(built []*kernel.Image, families []string) []proof {
	var list []proof
	for _, img := range built {
		k, _ := v.cfg.Kernel(img.Spec.Name)
		list = append(list, proof{boot: verifyBoot(v.cfg, k), image: img})
		if v.cfg.Account {
			for _, b := range plan.Accounts(v.cfg, k, families) {
				list = append(list, proof{boot: b, image: img})
			}
		}
	}
	return list
}

// all runs the boots side by side and fills in what came of them.
func (v *verifier) all(ctx context.Context, list []proof, p *progress) ([]proof, error) {
	return list, sideBySide(ctx, v.cfg, list, p, func(one *proof) string { return one.boot.Name }, v.prove)
}

// sideBySide does something with each of a list, as many at a time as the
// configuration says. The first error ends it.
func sideBySide[T any](ctx context.Context, c config.Config, list []T, p *progress, name func(*T) string, do func(context.Context, *T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.boots(len(list))
	next := make(chan *T)
	var workers sync.WaitGroup
	for worker := range jobs(c) {
		workers.Go(func() {
			for one := range next {
				if ctx.Err() != nil {
					continue
				}
				worker, began := p.booting(worker, name(one))
				if err := do(ctx, one); err != nil {
					cancel(err)
				}
				p.booted(worker, began)
			}
		})
	}
	for i := range list {
		next <- &list[i]
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}

// prove runs one boot.
func (v *verifier) prove(ctx context.Context, one *proof) error {
	if one.boot.Mode != store.ModeAccount {
		k, _ := v.cfg.Kernel(one.boot.Kernel)
		seen, err := v.verify(ctx, k, one.image)
		one.seen = &seen
		return err
	}
	r, err := v.boot(ctx, one.boot, plan.Wire(v.cfg, one.boot), one.image)
	b := &one.boot
	b.Outcome, b.Detail, b.Taints, b.Cached, b.UUID = r.outcome, r.detail, r.taints, r.cached, r.stream.Hello.UUID
	if r.outcome == store.OK {
		one.samples = samplesOf(v.cfg, *b, r.stream)
	} else {
		b.Detail += uncounted(*b)
	}
	return err
}

// books are what a report is made from.
type books store.Manifest

// manifest is what the proofs are held against.
func (v *verifier) manifest() (books, error) {
	c := v.cfg
	copies, err := declaredCopies(c)
	return books{
		Baseline: c.Baseline, Control: c.Control, Conditions: plan.Conditions(c), Workloads: c.Workloads, Copies: copies,
	}, err
}

// with enters what was found.
func (m books) with(list []proof) (store.Manifest, []store.Sample) {
	var samples []store.Sample
	for _, one := range list {
		if one.seen != nil {
			m.Kernels = append(m.Kernels, *one.image)
			if !ownSource(one.image) {
				delete(m.Copies, one.image.Spec.Name)
			}
			m.Verifications = append(m.Verifications, *one.seen)
			continue
		}
		m.Boots = append(m.Boots, one.boot)
		samples = append(samples, one.samples...)
	}
	return store.Manifest(m), samples
}
