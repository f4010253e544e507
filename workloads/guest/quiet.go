package main

import (
	"errors"
	"fmt"
	"runtime"

	"splicelab/workloads/copypath"
)

// errRuntime: Go's runtime did something of its own where the kernel alone was
// to be measured.
var errRuntime = errors.New("the agent's own runtime is in the figures")

// quiet runs a piece of the timed code and makes sure that it neither allocates
// nor collects. The statistics stop the world, so that they can't stand around
// the timed region itself.
func quiet(run func() error) error {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := run()
	runtime.ReadMemStats(&after)
	if err != nil {
		return err
	}
	if n := after.Mallocs - before.Mallocs; n != 0 {
		return fmt.Errorf("%w: %d allocations", errRuntime, n)
	}
	if n := after.NumGC - before.NumGC; n != 0 {
		return fmt.Errorf("%w: %d collections", errRuntime, n)
	}
	return nil
}

// rehearse moves some chunks of a cell, each sink as it will be timed.
func rehearse(c *copypath.Cell, sinks []string) error {
	const chunks = 4
	for _, sink := range sinks {
		err := quiet(func() error {
			_, status := c.Lockstep(chunks*c.Chunk(), sink)
			return status.Err()
		})
		if err != nil {
			return fmt.Errorf("rehearsal: %w", err)
		}
	}
	return nil
}

// uncollected makes sure that no collection has run since the program began,
// and so in no timed region.
func uncollected() error {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.NumGC != 0 {
		return fmt.Errorf("%w: %d collections", errRuntime, m.NumGC)
	}
	return nil
}
