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

// Spec returns what a configured kernel is made of; the user's own patches are
// read from their files.
func Spec(c config.Config, k config.Kernel) (kernel.Spec, error) {
	own, _, _, err := ownSeries(k)
	if err != nil {
		return kernel.Spec{}, err
	}
	return specOf(c, k, own)
}

// specOf is Spec with the user's own series at hand.
func specOf(c config.Config, k config.Kernel, own []kernel.Series) (kernel.Spec, error) {
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
	spec.Series = append(spec.Series, own...)
	return spec, nil
}

// build builds the kernels in the plan's order and hands each to the boots that
// wait for it. A kernel that doesn't compile is lost with its boots; any other
// failure ends the run.
func (s *session) build(ctx context.Context) {
	for i, k := range plan.BuildOrder(s.cfg) {
		s.progress.building(i, len(s.cfg.Kernels))
		if err := s.buildOne(ctx, k); err != nil {
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

func (s *session) buildOne(ctx context.Context, k config.Kernel) error {
	spec, err := specOf(s.cfg, k, s.own[k.Name])
	if err != nil {
		return err
	}
	img, err := s.builder.Build(ctx, spec)
	var broken *kernel.CompileError
	if errors.As(err, &broken) {
		return s.fail(k.Name, err)
	}
	if err != nil {
		return fmt.Errorf("kernel %s: %w", k.Name, err)
	}
	s.mu.Lock()
	base := s.kernels[s.cfg.Baseline]
	s.mu.Unlock()
	same, err := unchanged(base, img)
	if err != nil {
		return err
	}
	if err := s.record(*img, same); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kernels[k.Name] = img
	s.changed.Broadcast()
	return nil
}

// fail marks a kernel as one that will not be there. It returns the reason when
// nothing is left to compare the baseline with.
func (s *session) fail(name string, reason error) error {
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
	if err == nil && !s.comparable() {
		return reason
	}
	s.progress.say(exit.Text(fmt.Errorf("kernel %s is left out: %w", name, reason)))
	return err
}

// comparable reports whether there is, or may still be, a kernel beside the
// baseline and the control. s.mu is held.
func (s *session) comparable() bool {
	return slices.ContainsFunc(s.cfg.Kernels, func(k config.Kernel) bool {
		return k.Name != s.cfg.Baseline && k.Name != s.cfg.Control && s.failed[k.Name] == nil
	})
}

// record puts a kernel into the manifest. A resumed run goes on with the very
// same kernels, or not at all. same is a note that its patches change nothing,
// or empty.
func (s *session) record(img kernel.Image, same string) error {
	for _, old := range s.run.Manifest().Kernels {
		if old.Spec.Name != img.Spec.Name {
			continue
		}
		if old.BzImageSHA256 != img.BzImageSHA256 {
			return exit.Errorf(exit.Usage, "%s was begun with another kernel %s (bzImage %.12s, now %.12s): start a new run", s.run.Dir(), img.Spec.Name, old.BzImageSHA256, img.BzImageSHA256)
		}
		return nil
	}
	if same != "" {
		s.progress.say(same)
	}
	err := s.run.Update(func(m *store.Manifest) {
		m.Kernels = append(m.Kernels, img)
		foreign := foreignNote(&img)
		if foreign != "" { // what base copies is known of the line's own source
			delete(m.Copies, img.Spec.Name)
		}
		for _, note := range []string{img.Source.PinMissed, foreign, same} {
			if note != "" && !slices.Contains(m.Notes, note) {
				m.Notes = append(m.Notes, note)
			}
		}
	})
	if err != nil {
		return storeError(err)
	}
	return nil
}
