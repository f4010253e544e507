package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"splicelab/workloads/sourcefs"
	"splicelab/workloads/stress"
	"splicelab/workloads/wire"
)

// calm is the value of a stress that ended as it should.
const calm = "ok"

// stressed leaves a file on XFS no rest, in a process of its own, which a
// deadlock may keep.
func stressed(plan wire.Plan, say func(wire.Observation) error) error {
	const at = "/mnt"
	if err := sourcefs.Mount(sourcefs.XFS, "/dev/ram1", at); err != nil {
		return err
	}
	long := time.Duration(plan.Stress) * time.Second
	fmt.Println("splicelab: stress for", long)
	value := runProbe([]string{roleStress, at, long.String()}, long+time.Duration(plan.CellDeadline)*time.Second)
	return say(wire.Observation{Probe: "stress", About: "splice, sendfile, pwrite, ftruncate, punch hole", FS: sourcefs.XFS, Value: value})
}

// beStress is the role of its process: args are the folder and how long.
func beStress(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("role %s takes a folder and a duration, not %q", roleStress, args)
	}
	unix.CloseOnExec(valueFD)
	value := calm
	long, err := time.ParseDuration(args[1])
	if err == nil {
		err = stress.Run(args[0], long)
	}
	if err != nil {
		value = wire.ProbeFailed + err.Error()
	}
	if _, err := unix.Write(valueFD, []byte(value)); err != nil {
		return fmt.Errorf("hand the value over: %w", err)
	}
	return nil
}
