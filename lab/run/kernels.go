package run

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	for i, k := range order {
		p.building(i, len(order))
		spec, err := Spec(c, k)
		if err != nil {
			return nil, err
		}
		img, err := builder.Build(ctx, spec)
		var broken *kernel.CompileError
		switch {
		case errors.As(err, &broken):
			failed = append(failed, fmt.Errorf("kernel %s: %w", k.Name, err))
		case err != nil:
			return nil, fmt.Errorf("kernel %s: %w", k.Name, err)
		default:
			done(k, img)
		}
	}
	p.built()
	return failed, nil
}

func took(img *kernel.Image) string {
	if img.Cached {
		return "cached"
	}
	return img.BuildTime.Round(time.Second).String()
}
