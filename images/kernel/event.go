package kernel

// Step is what a Builder is at.
type Step string

// The steps, in order.
const (
	StepWait      Step = "wait"      // another process builds from the same tree
	StepSource    Step = "source"    // finding the source
	StepUnpack    Step = "unpack"    // unpacking it
	StepPatch     Step = "patch"     // switching the tree to the kernel's series
	StepConfigure Step = "configure" // making and checking .config
	StepPrepare   Step = "prepare"   // host tools and generated headers
	StepCompile   Step = "compile"   // objects; Done and Total count them
	StepLink      Step = "link"      // vmlinux, symbol tables, bzImage
	StepStore     Step = "store"     // into the cache
	StepCached    Step = "cached"    // the cache had it
	StepDone      Step = "done"
	// StepNote is a line to be said aloud whatever is shown of the progress:
	// a pin that was not met, a damaged cache entry.
	StepNote Step = "note"
)

// Event is one step of progress.
type Event struct {
	Kernel string // Spec.Name; empty while the source is being found
	Step   Step
	Detail string // one line: which file, from where
	// Done and Total count objects in StepCompile. Total is an estimate, from
	// the last such build; 0 when there is none.
	Done, Total int
	// Full says that everything is compiled, not only what a patch touched:
	// the two take minutes and seconds.
	Full bool
}

func (b *Builder) event(e Event) {
	if b.Progress != nil {
		b.Progress(e)
	}
}
