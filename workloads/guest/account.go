package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"splicelab/workloads/account"
	"splicelab/workloads/copypath"
	"splicelab/workloads/wire"
)

// workAccount is the worker's role in an account boot: each cell of the family
// that args names once, counted by probes in place of the clock.
func workAccount(plan wire.Plan, args []string, out *os.File) error {
	if len(args) != 1 {
		return fmt.Errorf("role %s takes a family to account for, not %q", roleWorker, args)
	}
	plan, err := plan.Only(args[0])
	if err != nil {
		return err
	}
	b, err := openBench(plan)
	if err != nil {
		return err
	}
	a, err := account.Open(plan.Line)
	if err != nil {
		return err
	}
	nothing, err := counted(a, b.idle, func() copypath.Status { return copypath.Status{} })
	if err != nil {
		return err
	}
	a.Calibrate(nothing)
	err = b.run(plan, out, func(id cellID) []wire.Sample { return accountCell(a, b, id) })
	if err != nil {
		return err
	}
	return b.idle.stop()
}

// accountCell takes one cell's account for every sink. A failure spoils the
// samples that it touches, not the boot.
func accountCell(a *account.Account, b *bench, id cellID) []wire.Sample {
	f := b.family
	c, err := copypath.Open(f, id.method, id.chunk, b.src)
	if err == nil {
		err = c.Warm(f.AccountBytes(id.chunk))
	}
	var samples []wire.Sample
	for _, sink := range f.Sinks {
		s := wire.Sample{Path: f.Path(id.method), Schedule: wire.ScheduleLockstep, Sink: sink, Chunk: id.chunk, Bytes: f.Delivered(f.AccountBytes(id.chunk))}
		if err == nil {
			err = accountTransfer(a, b, c, &s)
		}
		if err != nil {
			s.Error = err.Error()
		}
		samples = append(samples, s)
	}
	if c != nil {
		if err := c.Close(); err != nil {
			samples[len(samples)-1].Error = err.Error()
		}
	}
	return samples
}

// counted counts what run does. The idler runs while the probes are set and
// read, which sleeps, and not in the region. Before it, whoever has something to
// do gets time for it: PID 1, which takes the last cell's samples, copies too.
func counted(a *account.Account, idle *idler, run func() copypath.Status) (account.Copies, error) {
	rest := unix.NsecToTimespec(2 * int64(tick))
	for unix.Nanosleep(&rest, &rest) == unix.EINTR {
	}
	if err := a.Start(); err != nil {
		return account.Copies{}, err
	}
	if err := idle.pause(); err != nil {
		return account.Copies{}, err
	}
	status := run()
	resumed := idle.resume()
	copies, err := a.Stop()
	return copies, errors.Join(status.Err(), resumed, err)
}

// accountTransfer counts one transfer.
func accountTransfer(a *account.Account, b *bench, c *copypath.Cell, s *wire.Sample) error {
	n := b.family.AccountBytes(c.Chunk())
	if err := c.Prepare(s.Schedule, n); err != nil {
		return err
	}
	copies, err := counted(a, b.idle, func() copypath.Status {
		_, status := c.Lockstep(n, s.Sink)
		return status
	})
	if err != nil {
		return err
	}
	s.Metrics = copies.Metrics()
	if n := c.HeaderCopied(n, s.Sink); n > 0 {
		s.Metrics[wire.MetricHeaderCopied] = n
	}
	return c.Check(n)
}
