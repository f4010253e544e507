package copypath

// tsc reads the time-stamp counter. Under -icount shift=0 it advances by 1 for
// every instruction of the guest, and while the CPU idles (facts.md, section
// 7, traps 1 and 7).
func tsc() int64

// TSC is tsc for the agent, which takes the clock of a region with it.
func TSC() int64 { return tsc() }
