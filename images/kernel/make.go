package kernel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"splicelab/images/internal/command"
)

// recipe is part of every key: it changes whenever make is called in another
// way that changes the kernel.
const recipe = "1"

// buildEnv is fixed because the kernel carries it: two builds, wherever and
// whenever, are the same bytes. The empty LOCALVERSION keeps a "+" for an
// untagged git tree out of the release.
var buildEnv = []string{
	"KBUILD_BUILD_USER=splicelab",
	"KBUILD_BUILD_HOST=splicelab",
	"KBUILD_BUILD_VERSION=1",
	"KBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 2026",
	"LOCALVERSION=",
}

// buildVars hide programs that the configuration would ask for their version
// and then carry it, though nothing here uses them.
var buildVars = []string{"PAHOLE=none", "RUSTC=none", "BINDGEN=none"}

// makeTimeout bounds one make: a full build takes 15 minutes of one CPU.
const makeTimeout = 3 * time.Hour

// firstBuildObjects is how many objects a full build of the minimal profile
// compiled (6.12.117, 651 options on); later builds remember their own count.
const firstBuildObjects = 1239

// makeRun is one call of make.
type makeRun struct {
	targets []string
	env     []string
	line    func(string) // gets each line of standard output
}

// make runs make in o; what it says goes to the log.
func (j *job) make(ctx context.Context, o *output, r makeRun) error {
	jobs := j.Jobs
	if jobs <= 0 {
		jobs = runtime.NumCPU()
	}
	args := []string{"make", "--no-print-directory", fmt.Sprintf("-j%d", jobs), "-C", o.src(), "O=" + o.dir}
	args = append(append(args, buildVars...), r.targets...)
	var stdout io.Writer = j.log
	if r.line != nil {
		stdout = io.MultiWriter(j.log, &lineWriter{line: r.line})
	}
	err := command.Run(ctx, command.Cmd{
		Args:    args,
		Env:     append(command.CleanEnv(buildEnv...), r.env...),
		Stdout:  stdout,
		Stderr:  j.log,
		Inherit: []*os.File{o.tree.lock},
		Timeout: makeTimeout,
	})
	return j.explainMake(err, o)
}

// lineWriter calls line for every whole line written to it.
type lineWriter struct {
	line func(string)
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, ok := bytes.Cut(w.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		w.line(string(line))
		w.rest = rest
	}
}

// compile builds what is configured. On any failure the marks stay, and the
// next build distrusts what this one wrote last.
func (j *job) compile(ctx context.Context, o *output) error {
	p, err := j.newProgress(o)
	if err != nil {
		return err
	}
	if err := o.begin(phaseBuild); err != nil {
		return err
	}
	if err := j.make(ctx, o, makeRun{targets: []string{"bzImage", "vmlinux"}, line: p.line}); err != nil {
		return err
	}
	if err := o.end(phaseBuild); err != nil {
		return err
	}
	return p.remember()
}

// progress counts the objects of one make.
type progress struct {
	job     *job
	file    string // where counts are remembered
	counts  counts
	full    bool
	stale   bool // there are objects of another configuration
	done    int
	linking bool
}

// counts are the objects of the last full build and of the last other one.
type counts struct {
	Full    int `json:"full"`
	Partial int `json:"partial,omitempty"`
}

// newProgress starts to count. A full build that was cut off begins with what it
// had compiled: the objects newer than .config.
func (j *job) newProgress(o *output) (*progress, error) {
	p := &progress{job: j, file: o.dir + ".objects", full: !exists(filepath.Join(o.dir, "vmlinux"))}
	p.counts.Full = firstBuildObjects
	if text, err := os.ReadFile(p.file); err == nil {
		// A file that can't be read costs an estimate, nothing else.
		_ = json.Unmarshal(text, &p.counts)
	}
	if p.full {
		if err := p.countOld(o.dir); err != nil {
			return nil, err
		}
	}
	p.event()
	return p, nil
}

// countOld counts the objects that are there already.
func (p *progress) countOld(dir string) error {
	config, err := os.Stat(filepath.Join(dir, ".config"))
	if err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == filepath.Join(dir, "tools") || name == filepath.Join(dir, "scripts")):
			return fs.SkipDir
		case filepath.Ext(name) != ".o":
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.ModTime().Before(config.ModTime()) {
			p.stale = true
		} else {
			p.done++
		}
		return nil
	})
}

var objectLine = regexp.MustCompile(`^  (?:CC|AS) +(\S+)`)

func (p *progress) line(line string) {
	if strings.HasPrefix(line, "  LD      vmlinux.o") {
		p.linking = true
		p.job.event(Event{Step: StepLink, Full: p.full})
	}
	if objectLine.MatchString(line) {
		p.done++
		if !p.linking {
			p.event()
		}
	}
}

func (p *progress) event() {
	total := p.counts.Full
	if !p.full {
		total = p.counts.Partial
	}
	if total > 0 {
		total = max(total, p.done)
	}
	p.job.event(Event{Step: StepCompile, Done: p.done, Total: total, Full: p.full})
}

func (p *progress) remember() error {
	switch {
	case !p.full:
		p.counts.Partial = p.done
	case !p.stale: // else not all was compiled again
		p.counts.Full = p.done
	}
	text, err := json.Marshal(p.counts)
	if err != nil {
		return err
	}
	return renameio.WriteFile(p.file, text, 0o644)
}

// explainMake says why make failed: the compiler's words, or the host's lack.
func (j *job) explainMake(err error, o *output) error {
	var failed *command.Error
	if !errors.As(err, &failed) || !failed.Exited() {
		return err
	}
	log, readErr := os.ReadFile(j.log.Name())
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	return explainLog(j.spec.Name, strings.ReplaceAll(string(log), o.src()+"/", ""), j.log.Name())
}

// maxErrorLines is how many of the compiler's lines a CompileError carries.
const maxErrorLines = 8

var (
	// compilerError is an error of the compiler, the assembler, the linker,
	// objtool or modpost.
	compilerError = regexp.MustCompile(`:\d+: (?:fatal )?[Ee]rror: |: (?:fatal )?error: |undefined reference to |multiple definition of |^Assembler messages:|^ERROR: |^error: `)
	// makeError is make's own, which says least.
	makeError = regexp.MustCompile(`^make(?:\[\d+\])?: \*\*\* `)
	killed    = regexp.MustCompile(`(?:fatal error: Killed signal|: Killed$|out of memory allocating|Cannot allocate memory)`)
)

// explainLog reads a failed build's log.
func explainLog(kernel, log, path string) error {
	var said, makes []string
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		switch {
		case strings.Contains(line, noSpaceText):
			return noSpace(path)
		case killed.MatchString(line):
			return &HostError{Detail: "not enough memory to compile kernel " + kernel + ": use fewer jobs, or free memory (log: " + path + ")"}
		case compilerError.MatchString(line):
			if !slices.Contains(said, line) {
				said = append(said, line)
			}
		case makeError.MatchString(line):
			makes = append(makes, line)
		}
	}
	if len(said) == 0 {
		said = makes
	}
	return &CompileError{Kernel: kernel, Lines: said[:min(len(said), maxErrorLines)], Log: path}
}
