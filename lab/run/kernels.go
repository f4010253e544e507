package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"splicelab/images/kernel"
	"splicelab/lab/config"
	"splicelab/lab/exit"
	"splicelab/lab/plan"
)

// Build builds the configuration's kernels and prints where each is. One that
// doesn't compile stops no other.
func Build(ctx context.Context, c config.Config, out, progressTo io.Writer, interactive bool) error {
	p := newProgress(progressTo, interactive)
	defer p.clear()
	failed, err := buildAll(ctx, c, p, func(k config.Kernel, img *kernel.Image) {
		p.clear()
		fmt.Fprintf(out, "%s\t%s\t%s\n", k.Name, took(img), img.BzImage)
	})
	if err != nil {
		return err
	}
	return exit.With(exit.Wrong, errors.Join(failed...))
}

// buildAll builds the configuration's kernels and hands each to done. Those that
// don't compile are failed, and stop no other.
func buildAll(ctx context.Context, c config.Config, p *progress, done func(config.Kernel, *kernel.Image)) (failed []error, err error) {
	builder, err := newBuilder(c, p.kernel)
	if err != nil {
		return nil, err
	}
	order := plan.BuildOrder(c)
	specs, err := checkedSpecs(ctx, builder, c, order, p)
	if err != nil {
		return nil, err
	}
	var base *kernel.Image
	for i, k := range order {
		p.building(i, len(order))
		img, err := builder.Build(ctx, specs[i])
		var broken *kernel.CompileError
		if errors.As(err, &broken) {
			failed = append(failed, fmt.Errorf("kernel %s: %w", k.Name, err))
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("kernel %s: %w", k.Name, err)
		}
		done(k, img)
		if k.Name == c.Baseline {
			base = img
		}
		same, err := unchanged(base, img)
		if err != nil {
			return nil, err
		}
		if same != "" {
			p.say(same)
		}
	}
	p.built()
	return failed, nil
}

// checkedSpecs are the kernels' specs. The user's own patches are known to
// apply, before minutes go into the baseline.
func checkedSpecs(ctx context.Context, b *kernel.Builder, c config.Config, order []config.Kernel, p *progress) ([]kernel.Spec, error) {
	var specs []kernel.Spec
	for _, k := range order {
		own, notes, surprises, err := ownSeries(k)
		if err != nil {
			return nil, err
		}
		for _, n := range slices.Concat(notes, surprises) {
			p.say(n)
		}
		spec, err := specOf(c, k, own)
		if err != nil {
			return nil, err
		}
		specs = append(specs, spec)
		if len(own) == 0 {
			continue
		}
		if err := b.Check(ctx, spec); err != nil {
			return nil, fmt.Errorf("kernel %s: %w", k.Name, err)
		}
	}
	return specs, nil
}

func took(img *kernel.Image) string {
	if img.Cached {
		return "cached"
	}
	return img.BuildTime.Round(time.Second).String()
}
