package main

import (
	"fmt"
	"os"
	"time"

	"splicelab/workloads/selftest"
	"splicelab/workloads/wire"
)

// selftests runs those of the kernel's own tests that the initramfs has.
func selftests(plan wire.Plan) ([]wire.Observation, error) {
	deadline := time.Duration(plan.CellDeadline) * time.Second
	var seen []wire.Observation
	for _, p := range selftest.All() {
		if _, err := os.Stat(selftest.File(p.Name)); err != nil {
			continue // it didn't compile, which the host says
		}
		fmt.Println("splicelab: selftest", p.Name)
		results := p.Run(deadline)
		fmt.Println("splicelab: selftest", p.Name, "has ended:", len(results), "results")
		for _, r := range results {
			seen = append(seen, wire.Observation{Probe: p.Name, About: r.Test, Value: r.Value})
		}
	}
	return seen, nil
}
