package run

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"splicelab/images/kernel"
	"splicelab/images/patchset"
	"splicelab/lab/config"
	"splicelab/lab/exit"
	"splicelab/results/store"
)

// ownSeries reads the user's own series of a kernel. notes say what was taken,
// surprises what of it isn't what one would expect; the second stay with the
// run.
func ownSeries(k config.Kernel) (series []kernel.Series, notes, surprises []string, err error) {
	for _, path := range k.Patches {
		set, err := patchset.Read(path, k.PatchVersion)
		if err != nil {
			return nil, nil, nil, err
		}
		s := kernel.Series{Name: set.Name, Patches: set.Patches, Origin: set.Origin}
		series = append(series, s)
		notes = append(notes, fmt.Sprintf("kernel %s: %s", k.Name, set.Origin))
		surprises = append(surprises, set.Notes...)
	}
	return series, notes, surprises, nil
}

// checkPatches reads the user's patches and tries whether they apply, before
// anything is built. Where the source isn't the configured line's own package,
// the lab's series are tried too; a control that doesn't apply there is left
// out.
func (s *session) checkPatches(ctx context.Context) error {
	s.own = map[string][]kernel.Series{}
	for _, k := range s.cfg.Kernels {
		series, notes, surprises, err := ownSeries(k)
		if err != nil {
			return err
		}
		if len(series) > 0 {
			s.own[k.Name] = series
		}
		for _, n := range slices.Concat(notes, surprises) {
			s.progress.say(n)
		}
		s.notes = append(s.notes, surprises...)
	}
	foreign := s.cfg.Source().Kind != kernel.SourceDebian
	for _, k := range s.cfg.Kernels {
		if len(s.own[k.Name]) == 0 && !(foreign && len(k.Series) > 0) {
			continue
		}
		spec, err := specOf(s.cfg, k, s.own[k.Name])
		if err != nil {
			return err
		}
		err = s.builder.Check(ctx, spec)
		var patch *kernel.PatchError
		if errors.As(err, &patch) && k.Name == s.cfg.Control {
			s.dropControl(patch)
			continue
		}
		if err != nil {
			return fmt.Errorf("kernel %s: %w", k.Name, err)
		}
	}
	s.progress.built()
	return nil
}

// dropControl goes on without the control: the user's own source isn't the one
// that its patches were made for.
func (s *session) dropControl(why *kernel.PatchError) {
	note := fmt.Sprintf("the control %s is left out, its patches don't apply to %s: %v", s.cfg.Control, s.cfg.Source(), why)
	s.progress.say(note)
	s.notes = append(s.notes, note)
	s.cfg = s.cfg.WithoutControl()
}

// keptSeries are the user's series as a stored run has them: the files may be
// gone.
func keptSeries(c config.Config, m store.Manifest) (map[string][]kernel.Series, error) {
	for _, k := range c.Kernels {
		if len(k.Patches) != len(m.Patches[k.Name]) {
			return nil, exit.Errorf(exit.Usage, "%s: it names %d series of patches for kernel %s and holds %d: start a new run",
				store.ManifestName, len(k.Patches), k.Name, len(m.Patches[k.Name]))
		}
	}
	return m.Patches, nil
}

// warningLines is the section of BUG's and WARN's places. A comment that is a
// line longer moves the line numbers in it.
const warningLines = "__bug_table"

// unchanged says that a kernel's patches changed nothing; empty when they did,
// or when the baseline isn't there to tell.
func unchanged(base, img *kernel.Image) (string, error) {
	if base == nil || len(img.Spec.Series) == 0 {
		return "", nil
	}
	differ, err := kernel.Differences(base, img)
	switch {
	case err != nil:
		return "", err
	case len(differ) == 0:
		return fmt.Sprintf("kernel %s is %s: its patches change no byte of code or data", img.Spec.Name, base.Spec.Name), nil
	case slices.Equal(differ, []string{warningLines}):
		return fmt.Sprintf("kernel %s is %s: its patches change nothing but line numbers of warnings (section %s)", img.Spec.Name, base.Spec.Name, warningLines), nil
	}
	return "", nil
}
