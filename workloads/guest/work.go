package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"splicelab/workloads/copypath"
	"splicelab/workloads/sourcefs"
	"splicelab/workloads/wire"
)

// samplesFD is the inherited pipe to PID 1.
const samplesFD = 3

// work is the worker's role: one family, whole.
func work() error {
	plan, err := readPlan()
	if err != nil {
		return err
	}
	out := os.NewFile(samplesFD, "samples")
	unix.CloseOnExec(samplesFD)
	if plan.Kind == wire.KindFault {
		return provoke(plan.Fault)
	}
	if plan.Kind == wire.KindAccount {
		return workAccount(plan, os.Args[2:], out)
	}
	if plan.Kind == wire.KindProgram {
		return workProgram(plan, out)
	}
	b, err := openBench(plan)
	if err != nil {
		return err
	}
	if plan.Reps < 1 || !slices.ContainsFunc(plan.Schedules, b.family.Has) {
		return fmt.Errorf("%w: it measures nothing", wire.ErrPlan)
	}
	p, err := startPeer()
	if err != nil {
		return err
	}
	if err := ownFiles(); err != nil {
		return err
	}
	w := &worker{
		bench: b, plan: plan, peer: p, answer: make([]byte, maxMessage),
		meter: meter{receiver: p.cmd.Process.Pid, idler: b.idle.pid},
	}
	if err := b.run(plan, out, w.cell); err != nil {
		return err
	}
	return errors.Join(uncollected(), p.stop(), b.idle.stop())
}

// bench is what every measuring boot works on.
type bench struct {
	family copypath.Family
	src    *copypath.Source
	idle   *idler
}

func openBench(plan wire.Plan) (*bench, error) {
	idle, err := startIdler()
	if err != nil {
		return nil, err
	}
	f, err := copypath.Lookup(plan.Family)
	if err != nil {
		return nil, err
	}
	src, err := openSource(f)
	if err != nil {
		return nil, err
	}
	if err := f.SetUp(); err != nil {
		return nil, err
	}
	return &bench{f, src, idle}, nil
}

// ramDisk is where a source lies that isn't on tmpfs.
const ramDisk = "/dev/ram0"

// openSource opens a family's source on the file system where it is to lie.
func openSource(f copypath.Family) (*copypath.Source, error) {
	if f.FS == "" {
		return copypath.OpenSource(sourcePath)
	}
	const at = "/mnt"
	if err := sourcefs.Mount(f.FS, ramDisk, at); err != nil {
		return nil, err
	}
	src, err := copypath.OpenSource(at + "/source")
	if err != nil {
		return nil, err
	}
	if f.Writes {
		return src, nil
	}
	return src, sourcefs.Freeze(at)
}

// run measures every cell of the plan and hands each one's samples over.
func (b *bench) run(plan wire.Plan, out *os.File, measure func(cellID) []wire.Sample) error {
	enc := json.NewEncoder(out)
	if out := leftOut(b.family, plan); len(out) > 0 {
		if err := enc.Encode(out); err != nil {
			return fmt.Errorf("hand samples over: %w", err)
		}
	}
	for _, id := range cells(b.family, plan) {
		fmt.Printf("splicelab: cell %s %d\n", b.family.Path(id.method), id.chunk)
		if err := enc.Encode(measure(id)); err != nil {
			return fmt.Errorf("hand samples over: %w", err)
		}
	}
	return nil
}

type worker struct {
	*bench
	plan   wire.Plan
	peer   *peer
	meter  meter
	answer []byte
}

type cellID struct {
	method copypath.Method
	chunk  int64
}

// cells returns the family's cells in the seed's order: what ran before a cell
// is part of its figure, so seeds vary it.
func cells(f copypath.Family, plan wire.Plan) []cellID {
	var all []cellID
	for _, m := range f.Methods {
		for _, chunk := range plan.Chunks {
			if f.Takes(chunk) {
				all = append(all, cellID{m, chunk})
			}
		}
	}
	order := rand.New(rand.NewPCG(plan.Seed, 0))
	order.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// leftOut tells of the cells that the family doesn't have, one sample each.
func leftOut(f copypath.Family, plan wire.Plan) []wire.Sample {
	var out []wire.Sample
	for _, m := range f.Methods {
		for _, chunk := range plan.Chunks {
			if !f.Takes(chunk) {
				out = append(out, wire.Sample{
					Path: f.Path(m), Schedule: wire.ScheduleLockstep, Sink: f.Sinks[0], Chunk: chunk, Error: wire.LeftOut + f.NotTaken,
				})
			}
		}
	}
	return out
}

// cell measures one method at one chunk size by every schedule and sink. A
// failure spoils the samples that it touches, not the boot.
func (w *worker) cell(id cellID) []wire.Sample {
	m, chunk := id.method, id.chunk
	var samples []wire.Sample
	c, err := copypath.Open(w.family, m, chunk, w.src)
	if err == nil {
		err = c.Warm(c.WarmBytes())
	}
	if err == nil {
		err = rehearse(c, w.family.Sinks)
	}
	for _, schedule := range w.plan.Schedules {
		if !w.family.Has(schedule) {
			continue
		}
		for _, sink := range w.family.Sinks {
			for rep := range w.plan.Reps {
				s := wire.Sample{Path: w.family.Path(m), Schedule: schedule, Sink: sink, Chunk: chunk, Rep: rep, Bytes: w.family.Delivered(w.family.TransferBytes(chunk))}
				if err == nil {
					// A torn transfer leaves bytes behind that would spoil
					// every later one of the cell: it fails them too.
					err = w.transfer(c, &s)
				}
				if err != nil {
					s.Error = err.Error()
				}
				samples = append(samples, s)
			}
		}
	}
	if c != nil {
		if err := c.Close(); err != nil && len(samples) > 0 {
			samples[len(samples)-1].Error = err.Error()
		}
	}
	return samples
}

func (w *worker) transfer(c *copypath.Cell, s *wire.Sample) error {
	if err := c.Prepare(s.Schedule, c.TransferBytes()); err != nil {
		return err
	}
	switch s.Schedule {
	case wire.ScheduleLockstep:
		return w.lockstep(c, s)
	case wire.ScheduleStream:
		return w.stream(c, s)
	case wire.SchedulePingPong:
		return w.pingpong(c, s)
	}
	return fmt.Errorf("%w: no schedule %q", wire.ErrPlan, s.Schedule)
}

func (w *worker) lockstep(c *copypath.Cell, s *wire.Sample) error {
	if err := errors.Join(halfSecond(), w.idle.pause(), w.meter.start()); err != nil {
		return err
	}
	n := c.TransferBytes()
	sides, status := c.Lockstep(n, s.Sink)
	r, err := w.meter.stop()
	if err := errors.Join(status.Err(), err, w.idle.resume()); err != nil {
		return err
	}
	s.Metrics = map[string]int64{
		wire.MetricInsns:       r.insns,
		wire.MetricSenderInsns: sides.Sender,
		wire.MetricIdle:        max(0, r.clock-r.insns),
	}
	if c.Receives() {
		s.Metrics[wire.MetricReceiverInsns] = sides.Receiver
	}
	if c.Fed() {
		s.Metrics[wire.MetricFeederInsns] = sides.Feeder
	}
	return c.Check(n)
}

func (w *worker) stream(c *copypath.Cell, s *wire.Sample) error {
	if err := w.peer.ask(order{Family: w.family.Name, Method: c.Method(), Chunk: c.Chunk(), Bytes: s.Bytes, Sink: s.Sink}, c.ReceiverFD()); err != nil {
		return err
	}
	// Meanwhile the receiver takes its order and blocks.
	if err := halfSecond(); err != nil {
		return err
	}
	if err := w.meter.start(); err != nil {
		return err
	}
	status := c.Send(s.Bytes)
	if err := status.Err(); err != nil {
		return err // the receiver waits for bytes that won't come: the cell's deadline ends it
	}
	answer, err := w.finish(s)
	if err != nil {
		return err
	}
	return c.CheckTail(s.Bytes, answer.Tail)
}

// finish ends a region that the receiver's answer ends.
func (w *worker) finish(s *wire.Sample) (reply, error) {
	n, err := w.peer.wait(w.answer)
	r, stopErr := w.meter.stop()
	if err := errors.Join(err, stopErr); err != nil {
		return reply{}, err
	}
	s.Metrics = map[string]int64{
		wire.MetricInsns:         r.insns,
		wire.MetricSenderInsns:   r.insns - r.receiver,
		wire.MetricReceiverInsns: r.receiver,
		wire.MetricIdle:          max(0, r.clock-r.insns),
	}
	return decode(w.answer[:n])
}

// pingpong has the receiver's process ask for each chunk: what it waits for is
// the way there, a change of processes, the chunk, and the change back. One of
// the two can always run, so that the idler isn't needed.
func (w *worker) pingpong(c *copypath.Cell, s *wire.Sample) error {
	rounds := copypath.Rounds(s.Chunk)
	s.Bytes = int64(rounds+1) * s.Chunk
	if err := w.peer.ask(order{Family: w.family.Name, Method: c.Method(), Chunk: s.Chunk, Bytes: s.Bytes, Sink: s.Sink, Rounds: rounds}, c.ReceiverFD()); err != nil {
		return err
	}
	if err := errors.Join(halfSecond(), w.idle.pause(), w.meter.start()); err != nil {
		return err
	}
	status := c.Answer(s.Bytes)
	if err := status.Err(); err != nil {
		return errors.Join(err, w.idle.resume())
	}
	answer, err := w.finish(s)
	if err := errors.Join(err, w.idle.resume()); err != nil {
		return err
	}
	s.Metrics[wire.MetricWaitP50], s.Metrics[wire.MetricWaitP99], s.Metrics[wire.MetricWaitMax] = answer.Waits.P50, answer.Waits.P99, answer.Waits.Max
	return c.CheckTail(s.Bytes, answer.Tail)
}

// ownFiles gives this thread a table of open files that no other thread of the
// runtime has. On a shared one the kernel counts a reference up and down for
// every descriptor of every call (__fget_light), which a program without threads
// doesn't pay: 100 to 200 instructions a chunk.
func ownFiles() error {
	if err := unix.Unshare(unix.CLONE_FILES); err != nil {
		return fmt.Errorf("a table of open files for one thread: %w", err)
	}
	return nil
}

// halfSecond sleeps until half a second past a whole one of the guest's clock,
// so that ticks fall alike in every repetition (facts.md, section 7, trap 7).
// Not until the whole second: that is when the kernel's own periodic work runs
// (round_jiffies).
func halfSecond() error {
	const half = 500_000_000
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("read the clock: %w", err)
	}
	// At least a tenth of a second: the peer is to be asleep by then.
	next := unix.Timespec{Sec: now.Sec, Nsec: half}
	if now.Nsec > half-100_000_000 {
		next.Sec++
	}
	for {
		err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &next, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("sleep until the half second: %w", err)
		}
		return nil
	}
}

func bufAddr(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
