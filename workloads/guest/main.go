// Command guest is the only program in a VM. As PID 1 it sets the machine up,
// starts the worker, writes the result stream and ends the VM; as the worker
// it measures; as the receiver it is the other end of a stream; as a probe it
// makes one black-box test; as the stress it leaves a file no rest.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
)

// The roles beside PID 1's, as the program's first argument.
const (
	roleWorker   = "worker"
	roleReceiver = "receiver"
	roleProbe    = "probe"
	roleStress   = "stress"
)

func main() {
	// The timed loops run on this thread; nothing else of the program does.
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case roleWorker:
			exit(work())
		case roleReceiver:
			exit(receive())
		case roleProbe:
			exit(beProbe(os.Args[2:]))
		case roleStress:
			exit(beStress(os.Args[2:]))
		}
	}
	if os.Getpid() != 1 {
		exit(fmt.Errorf("this program is PID 1 of a splicelab VM and does nothing elsewhere"))
	}
	supervise()
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "splicelab:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
