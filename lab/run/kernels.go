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
	builder, err := newBuilder(c, p.kernel)
	if err != nil {
		return err
	}
	order := plan.BuildOrder(c)
	var failed []error
	for i, k := range order {
		p.building(i, len(order))
		spec, err := Spec(c, k)
		if err != nil {
			return err
		}
		img, err := builder.Build(ctx, spec)
		var broken *kernel.CompileError
		if errors.As(err, &broken) {
			failed = append(failed, fmt.Errorf("kernel %s: %w", k.Name, err))
			continue
		}
		if err != nil {
			return fmt.Errorf("kernel %s: %w", k.Name, err)
		}
		p.clear()
		fmt.Fprintf(out, "%s\t%s\t%s\n", k.Name, took(img), img.BzImage)
	}
	return exit.With(exit.Wrong, errors.Join(failed...))
}

func took(img *kernel.Image) string {
	if img.Cached {
		return "cached"
	}
	return img.BuildTime.Round(time.Second).String()
}
