package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Builder builds kernels and keeps them by content. Several may use one cache,
// in one process or in many: builds from one tree wait for each other.
//
// The cache holds
//
//	sources/   tarballs, by SHA-256
//	trees/     a source each: the tree, what patches changed in it, its output
//	kernels/   what was built, by Image.Key
//	logs/      make's output, a file a build
type Builder struct {
	// Cache is the root of the cache, an absolute path. kbuild accepts neither
	// blanks nor colons in it.
	Cache string
	// Progress, if set, is called for every step, never concurrently by one
	// Build; concurrent Builds call it concurrently.
	Progress func(Event)
	// Jobs is make's -j; 0 means one a CPU.
	Jobs int

	keyrings []string // where the keys of Debian's archive may lie
	mu       sync.Mutex
	resolved map[SourceSpec]Source
	tools    *toolchain
}

// NewBuilder returns a Builder on the cache below folder cache.
func NewBuilder(cache string, progress func(Event)) *Builder {
	return &Builder{Cache: cache, Progress: progress, Jobs: runtime.NumCPU(), keyrings: debianKeyrings()}
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*$`)

// check refuses what would end in a riddle from make.
func (b *Builder) check() error {
	switch {
	case !filepath.IsAbs(b.Cache):
		return &SourceError{Detail: fmt.Sprintf("cache folder %q is not an absolute path", b.Cache)}
	case strings.ContainsAny(b.Cache, " \t\n:"):
		return &SourceError{Detail: fmt.Sprintf("cache folder %q holds a blank or a colon, which the kernel's makefiles refuse: set SPLICELAB_CACHE to another", b.Cache)}
	}
	return nil
}

// Build returns the kernel of spec, from the cache or newly built. Errors that
// a caller may tell apart: *HostError, *SourceError, *PatchError,
// *ConfigError, *CompileError, and ctx's.
func (b *Builder) Build(ctx context.Context, spec Spec) (*Image, error) {
	img, err := b.build(ctx, spec)
	if err != nil {
		return nil, explainSpace(err, b.Cache)
	}
	return img, nil
}

// Check tells whether the patches of spec apply, without building anything: nil,
// or an error as Build's. What the cache has needs no check.
func (b *Builder) Check(ctx context.Context, spec Spec) error {
	return explainSpace(b.tryPatches(ctx, spec), b.Cache)
}

func (b *Builder) tryPatches(ctx context.Context, spec Spec) error {
	j, err := b.newJob(ctx, spec)
	if err != nil || exists(j.entry()) {
		return err
	}
	t, err := b.openTree(ctx, spec.Name, j.src)
	if err != nil {
		return err
	}
	defer t.close()
	j.event(Event{Step: StepPatch})
	_, err = t.patched(ctx, spec.Series)
	return err
}

// newJob finds out what a build of spec is made of.
func (b *Builder) newJob(ctx context.Context, spec Spec) (*job, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	for _, name := range []string{spec.Name, spec.Profile} {
		if !plainName.MatchString(name) {
			return nil, &ConfigError{Problems: []string{fmt.Sprintf("%q can't be the name of a kernel or a profile: letters, digits, dots and dashes can", name)}}
		}
	}
	tools, err := b.toolchain(ctx)
	if err != nil {
		return nil, err
	}
	src, err := b.Resolve(ctx, spec.Source)
	if err != nil {
		return nil, err
	}
	id, err := key(spec, src, tools.id)
	if err != nil {
		return nil, err
	}
	return &job{Builder: b, spec: spec, src: src, tools: tools, key: id}, nil
}

func (b *Builder) build(ctx context.Context, spec Spec) (*Image, error) {
	j, err := b.newJob(ctx, spec)
	if err != nil {
		return nil, err
	}
	if img := j.load(); img != nil {
		return img, nil
	}
	t, err := b.openTree(ctx, spec.Name, j.src)
	if err != nil {
		return nil, err
	}
	defer t.close()
	// Another process may have built it while this one waited.
	if img := j.load(); img != nil {
		return img, nil
	}
	return j.run(ctx, t)
}

// job is one kernel being built.
type job struct {
	*Builder
	spec  Spec
	src   Source
	tools *toolchain
	key   string
	log   *os.File // make's output; set by run
	// merged is for Image.Merged; set by run
	merged []string
}

func (j *job) event(e Event) {
	e.Kernel = j.spec.Name
	j.Builder.event(e)
}

// run builds the kernel in t, whose lock is held, and stores it.
func (j *job) run(ctx context.Context, t *tree) (*Image, error) {
	start := time.Now()
	logs := filepath.Join(j.Cache, "logs")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return nil, err
	}
	var err error
	if j.log, err = os.Create(filepath.Join(logs, j.spec.Name+"-"+j.key[:16]+".log")); err != nil {
		return nil, err
	}
	defer j.log.Close()

	j.event(Event{Step: StepPatch})
	if err := t.apply(ctx, j.spec.Series); err != nil {
		return nil, err
	}
	j.merged = t.merged
	for _, p := range j.merged {
		j.event(Event{Step: StepNote, Detail: "patch " + p + " applies by a three-way merge only: it was made on another version of the files"})
	}
	o, err := t.output(j.spec.Profile)
	if err != nil {
		return nil, err
	}
	if err := j.configure(ctx, o); err != nil {
		return nil, err
	}
	if err := j.compile(ctx, o); err != nil {
		return nil, err
	}
	j.event(Event{Step: StepStore})
	img, err := j.store(o)
	if err != nil {
		return nil, err
	}
	img.BuildTime = time.Since(start)
	j.event(Event{Step: StepDone, Detail: img.BuildTime.Round(time.Second).String()})
	return img, nil
}

// exists reports whether path is there at all.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
