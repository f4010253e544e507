package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	splicelab "splicelab"
	"splicelab/images"
	"splicelab/images/initrd"
	"splicelab/images/kernel"
	"splicelab/lab/config"
	"splicelab/lab/exit"
	"splicelab/lab/plan"
	"splicelab/results/store"
)

// buildGuest builds the agent from the source that this program carries.
func buildGuest(ctx context.Context, cache string) (initrd.Guest, error) {
	return initrd.BuildGuest(ctx, cache, splicelab.GuestSource)
}

// Spec returns what a configured kernel is made of.
func Spec(c config.Config, k config.Kernel) (kernel.Spec, error) {
	fragments, err := images.Fragments(c.Line, c.Profile)
	if err != nil {
		return kernel.Spec{}, err
	}
	spec := kernel.Spec{Name: k.Name, Line: c.Line, Profile: c.Profile, Source: c.Source(), Fragments: fragments}
	for _, name := range k.Series {
		series, err := images.Series(c.Line, name)
		if err != nil {
			return kernel.Spec{}, err
		}
		spec.Series = append(spec.Series, series)
	}
	return spec, nil
}

// build builds the kernels in the plan's order and hands each to the boots that
// wait for it. A kernel that doesn't compile is lost with its boots; any other
// failure ends the run.
func (s *session) build(ctx context.Context) {
	builder, err := newBuilder(s.cfg, s.progress.kernel)
	if err != nil {
		s.cancel(err)
		return
	}
	for i, k := range plan.BuildOrder(s.cfg) {
		s.progress.building(i, len(s.cfg.Kernels))
		if err := s.buildOne(ctx, builder, k); err != nil {
			s.cancel(err)
			return
		}
	}
	s.progress.built()
}

func newBuilder(c config.Config, progress func(kernel.Event)) (*kernel.Builder, error) {
	cache, err := c.CacheDir()
	if err != nil {
		return nil, err
	}
	return kernel.NewBuilder(cache, progress), nil
}

func (s *session) buildOne(ctx context.Context, builder *kernel.Builder, k config.Kernel) error {
	spec, err := Spec(s.cfg, k)
	if err != nil {
		return err
	}
	img, err := builder.Build(ctx, spec)
	var broken *kernel.CompileError
	if errors.As(err, &broken) {
		return s.fail(k.Name, err)
	}
	if err != nil {
		return fmt.Errorf("kernel %s: %w", k.Name, err)
	}
	if err := s.record(*img); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kernels[k.Name] = img
	s.changed.Broadcast()
	return nil
}

// fail marks a kernel as one that will not be there.
func (s *session) fail(name string, reason error) error {
	s.progress.say(fmt.Sprintf("kernel %s is left out: %v", name, reason))
	first, _, _ := strings.Cut(reason.Error(), "\n")
	err := s.run.Update(func(m *store.Manifest) {
		if m.Failed == nil {
			m.Failed = map[string]string{}
		}
		m.Failed[name] = first
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed[name] = reason
	s.changed.Broadcast()
	return err
}

// record puts a kernel into the manifest. A resumed run goes on with the very
// same kernels, or not at all.
func (s *session) record(img kernel.Image) error {
	for _, old := range s.run.Manifest().Kernels {
		if old.Spec.Name != img.Spec.Name {
			continue
		}
		if old.BzImageSHA256 != img.BzImageSHA256 {
			return exit.Errorf(exit.Usage, "%s was begun with another kernel %s (bzImage %.12s, now %.12s): start a new run", s.run.Dir(), img.Spec.Name, old.BzImageSHA256, img.BzImageSHA256)
		}
		return nil
	}
	err := s.run.Update(func(m *store.Manifest) {
		m.Kernels = append(m.Kernels, img)
		if missed := img.Source.PinMissed; missed != "" && !slices.Contains(m.Notes, missed) {
			m.Notes = append(m.Notes, missed)
		}
	})
	if err != nil {
		return storeError(err)
	}
	return nil
}
