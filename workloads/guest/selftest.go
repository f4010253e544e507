package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"splicelab/workloads/selftest"
	"splicelab/workloads/wire"
)

// selftests runs those of the kernel's own tests that the initramfs has.
func selftests(_ wire.Plan, say func(wire.Observation) error) error {
	// Nothing here counts instructions, and looking at processes leaves garbage
	// that would take the tests' memory.
	debug.SetGCPercent(100)
	var unsaid error
	for _, p := range selftest.All() {
		if _, err := os.Stat(selftest.File(p.Name)); err != nil {
			continue // it didn't compile, which the host says
		}
		p.Run(selftest.Usual, func(r selftest.Result) {
			fmt.Println("splicelab: selftest", p.Name, r.Test, r.Value)
			if err := say(wire.Observation{Probe: p.Name, About: r.Test, Value: r.Value}); unsaid == nil {
				unsaid = err
			}
		})
		if unsaid != nil {
			return unsaid
		}
	}
	return nil
}
