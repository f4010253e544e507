// Package run is the loop from a plan to a stored, reported run: it builds the
// kernels, boots the VMs side by side, stores every boot before the next, and
// prints what came of it.
package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

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
	"splicelab/workloads/wire"
)

// Request is what to run.
type Request struct {
	// Config is the effective configuration; Resume, if set, names a run's
	// folder that has its own.
	Config config.Config
	Resume string
	Known  config.Known
	// Command repeats the run, in the shell's notation.
	Command string
	// Revision is the lab's own version.
	Revision string
	// Expected tells what kernels declare; nil means images.Expected.
	Expected Expected
	// Builder builds the kernels; nil means one on the configuration's cache.
	Builder Builder
	// Out takes the reports, Err the progress.
	Out, Err    io.Writer
	Interactive bool
}

// Builder builds kernels, as *kernel.Builder does.
type Builder interface {
	Build(context.Context, kernel.Spec) (*kernel.Image, error)
	// Check finds what of a spec can't be built without building it.
	Check(context.Context, kernel.Spec) error
}

// session is one run in the making.
type session struct {
	cfg      config.Config
	run      *store.Run
	resumed  bool
	progress *progress
	out      io.Writer
	builder  Builder
	own      map[string][]kernel.Series // the user's, by kernel
	notes    []string                   // for the manifest, of before it is there
	initrd   initrd.Initramfs
	// programs are the initramfs of the user's own programs, by workload.
	programs map[string]initrd.Initramfs
	qemu     string // version
	// samples is written, and compared with, even where samples are not to be
	// taken from it.
	samples store.Cache
	tmp     string
	cancel  context.CancelCauseFunc

	mu      sync.Mutex
	changed *sync.Cond // a kernel is there, or failed; the queue moved; the end
	queue   []store.Boot
	kernels map[string]*kernel.Image
	failed  map[string]error
	// verdicts are of the kernels that were verified: store.OK, or what is
	// wrong; empty while one is at work.
	verdicts map[string]string
	expected Expected
	first    bool // the first comparison was printed
	stopped  bool
}

// Run does the request: everything it measures is on disk when it returns,
// whatever it returns. Errors carry the process's exit status.
func Run(ctx context.Context, req Request) error {
	s, err := open(ctx, req)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.work(ctx); err != nil {
		if ctx.Err() != nil || errors.Is(err, context.Canceled) {
			return exit.Errorf(exit.Wrong, "interrupted: every finished boot is stored; go on with: lab run --resume %s", s.run.Dir())
		}
		return err
	}
	return s.finish()
}

// open makes or opens the run's folder and what all boots share.
func open(ctx context.Context, req Request) (_ *session, err error) {
	s := &session{
		cfg: req.Config, out: req.Out, progress: newProgress(req.Err, req.Interactive),
		kernels: map[string]*kernel.Image{}, failed: map[string]error{},
		verdicts: map[string]string{}, expected: req.Expected, builder: req.Builder,
		programs: map[string]initrd.Initramfs{},
	}
	if s.expected == nil {
		s.expected = images.Expected
	}
	s.changed = sync.NewCond(&s.mu)
	if req.Resume != "" {
		if err := s.reopen(req); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	cache, err := s.cfg.CacheDir()
	if err != nil {
		return nil, err
	}
	if s.qemu, err = vm.Version(ctx); err != nil {
		return nil, err
	}
	if s.builder == nil {
		if s.builder, err = newBuilder(s.cfg, s.progress.kernel); err != nil {
			return nil, err
		}
	}
	if !s.resumed {
		if err := s.checkPatches(ctx); err != nil {
			return nil, err
		}
	}
	guest, err := s.image(ctx, cache)
	if err != nil {
		return nil, err
	}
	if s.tmp, err = os.MkdirTemp("", "splicelab-"); err != nil {
		return nil, hostError("make a temporary folder", err)
	}
	s.samples = store.Cache{Dir: filepath.Join(cache, "samples")}
	if s.resumed {
		if err := s.keptPrograms(cache); err != nil {
			return s, err
		}
		return s, s.sameImage(guest)
	}
	own, err := s.ownPrograms(ctx, cache)
	if err != nil {
		return s, err
	}
	return s, s.create(req, guest, own)
}

// image builds the agent and the initramfs.
func (s *session) image(ctx context.Context, cache string) (initrd.Guest, error) {
	s.progress.say("building the guest's agent and initramfs")
	guest, err := buildGuest(ctx, cache)
	if err != nil {
		return initrd.Guest{}, err
	}
	s.initrd, err = initrd.Build(ctx, cache, guest)
	return guest, err
}

func (s *session) create(req Request, guest initrd.Guest, own []store.Program) error {
	m, err := newManifest(s, req, guest)
	if err != nil {
		return err
	}
	m.Programs = own
	dir := s.cfg.Out
	if dir == "" {
		dir = filepath.Join("results", "runs", store.FolderName(m.Started, m.Name))
	}
	if s.run, err = store.Create(dir, m); err != nil {
		return storeError(err)
	}
	if s.cfg.Out == "" {
		if err := store.LinkLatest(dir); err != nil {
			return storeError(err)
		}
	}
	s.progress.say(fmt.Sprintf("run %s: %d boots of %d kernels", dir, len(m.Boots), len(s.cfg.Kernels)))
	return nil
}

func (s *session) close() {
	s.progress.clear()
	if s.run != nil {
		s.run.Close()
	}
	if s.tmp != "" {
		os.RemoveAll(s.tmp)
	}
}

// work builds and boots until nothing is left. The first error ends both.
func (s *session) work(ctx context.Context) error {
	ctx, s.cancel = context.WithCancelCause(ctx)
	defer s.cancel(nil)
	s.queue = s.run.Pending()
	s.progress.boots(len(s.queue))
	stop := context.AfterFunc(ctx, s.stop)
	defer stop()

	var all sync.WaitGroup
	all.Go(func() { s.build(ctx) })
	for worker := range jobs(s.cfg) {
		all.Go(func() { s.boot(ctx, worker) })
	}
	all.Wait()
	return context.Cause(ctx)
}

// stop wakes whoever waits for a kernel.
func (s *session) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.changed.Broadcast()
}

// finish closes the books: what is wrong with the run, the reports, the exit
// status.
func (s *session) finish() error {
	err := s.run.Update(func(m *store.Manifest) {
		m.Finished = time.Now().UTC().Truncate(time.Second)
	})
	if err != nil {
		return storeError(err)
	}
	s.progress.clear()
	m, samples, err := store.Load(s.run.Dir())
	if err != nil {
		return storeError(err)
	}
	result := stats.Count(m, samples)
	if _, err := report.WriteFiles(s.run.Dir(), m, result); err != nil {
		return storeError(err)
	}
	if err := report.Write(s.out, "term", m, result); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	// The terminal is left on the answer.
	fmt.Fprintf(s.out, "\nIn short\n========\n\n")
	if err := report.Headline(s.out, m, result); err != nil {
		return fmt.Errorf("print the headline: %w", err)
	}
	s.progress.say(ownShare(time.Since(s.progress.started)))
	fmt.Fprintf(s.out, "\nThe whole report and all samples: %s (report.txt, .md, .csv, .json)\n", s.run.Dir())
	return verdict(m, result)
}

// ownShare says how much CPU time this process took itself, without QEMU and
// make, beside the wall time that it ran.
func ownShare(wall time.Duration) string {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return fmt.Sprintf("the lab's own CPU time: %v", err)
	}
	own := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	return fmt.Sprintf("the lab itself took %.1f s of CPU time in %.0f s, %.1f %% (without QEMU and make)", own.Seconds(), wall.Seconds(), 100*own.Seconds()/wall.Seconds())
}

// verdict is the exit status of a run that was finished.
func verdict(m store.Manifest, result *stats.Result) error {
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(m.Failed)) {
		wrong = append(wrong, "kernel "+name+" could not be built")
	}
	for _, n := range result.Notes {
		if n.Kind.Wrong() {
			wrong = append(wrong, n.Text)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return exit.Errorf(exit.Wrong, "the run is finished, but: %s", strings.Join(wrong, "; "))
}

// hostError is a fault of this host, with its exit status.
func hostError(what string, err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return exit.Errorf(exit.Host, "%s: no space left: free some, then resume: %w", what, err)
	}
	return exit.Errorf(exit.Host, "%s: %w", what, err)
}

// storeError gives an error of the run's folder its status: a full disk is the
// host's, a folder that is taken or damaged is the user's.
func storeError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return hostError("store the run", err)
	}
	return exit.With(exit.Usage, err)
}

// wirePlan is what the guest is told for a boot, as the bytes of its file.
func (s *session) wirePlan(b store.Boot) ([]byte, error) { return plan.Wire(s.cfg, b).Encode() }

// samplesOf turns a verified stream into the store's samples.
func samplesOf(c config.Config, b store.Boot, stream wire.Stream) []store.Sample {
	var list []store.Sample
	mode := cmp.Or(b.Mode, c.Mode)
	for _, w := range stream.Samples {
		outcome := store.OK
		if w.Error != "" {
			outcome = w.Error
		}
		list = append(list, store.Sample{
			Kernel: b.Kernel, Workload: w.Path, Schedule: w.Schedule, Sink: w.Sink, CPUModel: b.Condition,
			Profile: c.Profile, Chunk: w.Chunk, Bytes: w.Bytes, Mode: mode, Boot: b.Name, Rep: w.Rep,
			Seed: b.Seed, Metrics: w.Metrics, Benchmarks: w.Benchmarks, Outcome: outcome,
		})
	}
	return list
}
