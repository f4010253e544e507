package run

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"splicelab/images/kernel"
)

// progress says what is being built and booted, how far, and how long still:
// one line that changes on a terminal, plain lines elsewhere.
type progress struct {
	w           io.Writer
	interactive bool

	mu      sync.Mutex
	started time.Time
	build   string // of the kernel at work; empty when all are built
	boot    [64]string
	kernels [2]int // which, of how many
	done    int
	total   int
	spent   time.Duration // by boots that really ran
	ran     int
	drawn   bool
	last    time.Time // of the last plain line
	object  time.Time // when the compiler began
}

// plainEvery is how often a plain line tells of progress that is no event.
const plainEvery = 15 * time.Second

func newProgress(w io.Writer, interactive bool) *progress {
	return &progress{w: w, interactive: interactive, started: time.Now()}
}

// say prints a line of its own.
func (p *progress) say(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	fmt.Fprintf(p.w, "%s %s\n", p.clock(), line)
	p.last = time.Now()
	p.draw()
}

// clear takes the changing line away, for something else to be printed.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
}

func (p *progress) clock() string {
	d := time.Since(p.started).Round(time.Second)
	return fmt.Sprintf("[%2d:%02d]", int(d.Minutes()), int(d.Seconds())%60)
}

func (p *progress) erase() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}

// draw shows the state: at once on a terminal, now and then elsewhere.
func (p *progress) draw() {
	state := p.state()
	if state == "" {
		return
	}
	if !p.interactive {
		if time.Since(p.last) >= plainEvery {
			fmt.Fprintf(p.w, "%s %s\n", p.clock(), state)
			p.last = time.Now()
		}
		return
	}
	p.erase()
	const width = 118 // a line that wraps can't be erased
	fmt.Fprintf(p.w, "%s %.*s", p.clock(), width, state)
	p.drawn = true
}

func (p *progress) state() string {
	var parts []string
	if p.build != "" {
		parts = append(parts, p.build)
	}
	if p.done < p.total {
		parts = append(parts, fmt.Sprintf("boots %d/%d%s", p.done, p.total, p.left()))
	}
	var running []string
	for _, b := range p.boot {
		if b != "" {
			running = append(running, b)
		}
	}
	if len(running) > 0 {
		parts = append(parts, strings.Join(running, ", "))
	}
	return strings.Join(parts, " · ")
}

// left is how long the boots will still take, from those that ran.
func (p *progress) left() string {
	if p.ran == 0 {
		return ""
	}
	side := 0
	for _, b := range p.boot {
		if b != "" {
			side++
		}
	}
	d := p.spent / time.Duration(p.ran) * time.Duration(p.total-p.done) / time.Duration(max(1, side))
	return ", about " + roughly(d)
}

func roughly(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(d.Seconds())+1)
	}
	return fmt.Sprintf("%d min", int(d.Minutes()+0.5))
}

// building says that kernel i of n is at work.
func (p *progress) building(i, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kernels = [2]int{i + 1, n}
}

// built says that no kernel is left to build.
func (p *progress) built() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.build = ""
	p.draw()
}

// kernel takes a Builder's events.
func (p *progress) kernel(e kernel.Event) {
	switch e.Step {
	case kernel.StepNote:
		p.say(e.Detail)
		return
	case kernel.StepDone, kernel.StepCached:
		p.say(p.label(e) + ": " + finished(e))
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.build = p.label(e) + ": " + string(e.Step)
	if e.Step == kernel.StepCompile {
		p.build += p.compile(e)
	} else {
		p.object = time.Time{}
		if e.Detail != "" {
			p.build += " " + e.Detail
		}
	}
	if !p.interactive && e.Step != kernel.StepCompile {
		p.last = time.Time{} // a step is an event, worth a line of its own
	}
	p.draw()
}

func (p *progress) label(e kernel.Event) string {
	name := e.Kernel
	if name == "" {
		return "kernel source"
	}
	if p.kernels[1] == 0 { // patches are tried, nothing is built yet
		return "kernel " + name
	}
	return fmt.Sprintf("kernel %s (%d/%d)", name, p.kernels[0], p.kernels[1])
}

func finished(e kernel.Event) string {
	if e.Step == kernel.StepCached {
		return "from the cache"
	}
	return strings.TrimSpace("built " + e.Detail)
}

// compile is how far the compiler is, and how long still by its pace.
func (p *progress) compile(e kernel.Event) string {
	if p.object.IsZero() {
		p.object = time.Now()
	}
	if e.Total == 0 {
		return fmt.Sprintf(" %d objects", e.Done)
	}
	text := fmt.Sprintf(" %d/%d objects", e.Done, e.Total)
	// The pace of the first objects says little.
	if e.Full && e.Done > e.Total/20 {
		took := time.Since(p.object)
		text += ", about " + roughly(took*time.Duration(max(0, e.Total-e.Done))/time.Duration(e.Done))
	}
	return text
}

// boots says how many boots are to come.
func (p *progress) boots(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total = n
}

// proving says that a worker looks at a kernel.
func (p *progress) proving(worker int, kernel string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.boot[worker%len(p.boot)] = "verifying " + kernel
	p.draw()
}

// rested says that a worker does nothing now.
func (p *progress) rested(worker int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.boot[worker%len(p.boot)] = ""
	p.draw()
}

// booting says that a worker began a boot.
func (p *progress) booting(worker int, name string) (int, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.boot[worker%len(p.boot)] = name
	p.draw()
	return worker, time.Now()
}

// booted says that it is over. Boots served by the cache take no part in what
// is still to be expected.
func (p *progress) booted(worker int, began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.boot[worker%len(p.boot)] = ""
	p.done++
	if took := time.Since(began); took > time.Second/2 {
		p.spent += took
		p.ran++
	}
	p.draw()
}
