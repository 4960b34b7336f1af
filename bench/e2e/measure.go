package main

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"github.com/viva/rate-limiter/bench/e2e/load"
	"github.com/viva/rate-limiter/bench/e2e/servers"
	"github.com/viva/rate-limiter/bench/workload"
)

// A sample is what one contender did in one slice.
type sample struct {
	rate      float64 // checks a second
	server    float64 // µs of CPU time for a check: of the server alone,
	beside    float64 // of the Redis servers it uses,
	after     float64 // and of the server once it was left alone, for what it had put off
	generator float64 // share of all CPU time meanwhile that was the generator's
	foreign   float64 // share of the machine's cores that programs had which are no part of the run
	latencies workload.Latencies
	late      workload.Latencies
	lost      uint64 // requests unanswered,
	others    uint64 // and those answered otherwise than they should
}

// results are the samples of each contender in the order of the rounds.
type results map[string][]*sample

// batchConnections is how many ask for batches at most: each has a hundred checks under way.
const batchConnections = 8

// closed measures with so many connections, each of which asks again as soon as it is answered.
func (b *run) closed(ctx context.Context, all []*contender, connections, rounds int) (results, error) {
	r := results{}
	for round := range rounds {
		for _, c := range turns(all, round) {
			most := connections
			if c.checks() > 1 {
				most = min(most, batchConnections)
			}
			s, err := b.slice(ctx, c, most, 0, b.plan.slice, uint64(round))
			if err != nil {
				return nil, err
			}
			r[c.name] = append(r[c.name], s)
		}
		b.progress.log("as fast as answered, %d connections: round %d of %d", connections, round+1, rounds)
	}
	return r, nil
}

// shares of the peak that requests arrive at.
var shares = []float64{0.25, 0.5, 0.75, 0.9}

// opened measures at fixed rates, which are shares of the peak of each contender.
func (b *run) opened(ctx context.Context, all []*contender, peaks results) (map[float64]results, error) {
	r := map[float64]results{}
	for _, share := range shares {
		r[share] = results{}
	}
	for round := range b.plan.openRounds {
		for _, share := range shares {
			for _, c := range turns(all, round) {
				requests := share * peaks.median(c.name, rate) / float64(c.checks())
				s, err := b.slice(ctx, c, openConnections, requests, b.plan.openSlice, uint64(round))
				if err != nil {
					return nil, err
				}
				r[share][c.name] = append(r[share][c.name], s)
			}
		}
		b.progress.log("at fixed rates: round %d of %d", round+1, b.plan.openRounds)
	}
	return r, nil
}

// openConnections is how many there are at most at a fixed rate.
const openConnections = 64

// slice loads one contender, after all others have come to rest.
func (b *run) slice(
	ctx context.Context, c *contender, connections int, requests float64, span time.Duration, seed uint64,
) (*sample, error) {
	if _, err := b.rest(ctx, c.server); err != nil {
		return nil, err
	}
	var (
		clocks [2]clock
		marks  int
		failed error
	)
	load := &load.Run{
		Addr: c.server.Addr, Request: c.request, Keys: c.keys, Status: c.status, Want: []byte(c.want), Never: []byte(degraded),
		Connections: connections, Rate: requests, Warm: span / 5, Measure: span, Seed: seed + 1,
		Mark: func() {
			if err := clocks[marks].read(c, b.started); err != nil {
				failed = err
			}
			marks++
		},
	}
	result, err := load.Do(ctx)
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	if 2*result.Others > result.Latencies.Summary().N {
		return nil, fmt.Errorf("%s does not answer as it should: %.1000s", c.name, result.Other)
	}
	if result.Others > 0 {
		b.log("%s: %d of %d answers were not as they should be, such as: %.1000s", c.name, result.Others, result.Answers, result.Other)
	}
	after, err := b.rest(ctx, c.server)
	if err != nil {
		return nil, err
	}
	checks := float64(result.Answers) * float64(c.checks())
	perCheck := func(d time.Duration) float64 { return d.Seconds() * 1e6 / checks }
	spent := clocks[1].since(&clocks[0])
	b.progress.done++
	return &sample{
		rate: result.PerSecond() * float64(c.checks()), server: perCheck(spent.server), beside: perCheck(spent.beside),
		// The load before the measured time has left something behind as well.
		after:     perCheck(after) / 1.2,
		generator: spent.own.Seconds() / (spent.own + spent.server + spent.beside).Seconds(),
		foreign:   max(0, (spent.busy-spent.own-spent.started).Seconds()/(result.Elapsed.Seconds()*float64(runtime.NumCPU()))),
		latencies: result.Latencies, late: result.Late, lost: result.Unanswered, others: result.Others,
	}, nil
}

// clock is CPU time: of the generator, a server, what that uses, all servers, and the whole machine.
type clock struct{ own, server, beside, started, busy time.Duration }

func (k *clock) read(c *contender, started []*servers.Process) (err error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return fmt.Errorf("ask for the CPU time of the generator: %w", err)
	}
	k.own = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	if k.server, err = c.server.CPU(); err != nil {
		return err
	}
	for _, p := range c.beside {
		spent, err := p.CPU()
		if err != nil {
			return err
		}
		k.beside += spent
	}
	for _, p := range started {
		spent, err := p.CPU()
		if err != nil {
			return err
		}
		k.started += spent
	}
	k.busy, err = servers.Busy()
	return err
}

func (k *clock) since(before *clock) clock {
	return clock{
		k.own - before.own, k.server - before.server, k.beside - before.beside, k.started - before.started, k.busy - before.busy,
	}
}

const (
	restCheck = 100 * time.Millisecond
	quiet     = 30 * time.Millisecond // of CPU time meanwhile, of all servers
	restLimit = 5 * time.Second
)

// rest waits until no server computes, as some do for a while after a load, and returns what one of them has spent
// meanwhile.
func (b *run) rest(ctx context.Context, of *servers.Process) (time.Duration, error) {
	first, err := of.CPU()
	if err != nil {
		return 0, err
	}
	tick := time.NewTicker(restCheck)
	defer tick.Stop()
	for deadline, before := time.Now().Add(restLimit), time.Duration(-1); ; {
		var sum time.Duration
		for _, p := range b.started {
			spent, err := p.CPU()
			if err != nil {
				return 0, err
			}
			sum += spent
		}
		if before >= 0 && sum-before <= quiet || time.Now().After(deadline) {
			break
		}
		before = sum
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	last, err := of.CPU()
	return last - first, err
}

// turns returns the contenders in the order of a round: another one begins each time.
func turns(all []*contender, round int) []*contender {
	first := round % len(all)
	return append(append([]*contender{}, all[first:]...), all[:first]...)
}

// The values of a sample.
func rate(s *sample) float64      { return s.rate }
func server(s *sample) float64    { return s.server }
func beside(s *sample) float64    { return s.beside }
func after(s *sample) float64     { return s.after }
func generator(s *sample) float64 { return s.generator }
func p99(s *sample) float64       { return float64(s.latencies.Quantile(0.99)) }

// median is that of a value in all rounds; NaN for a contender that was not measured.
func (r results) median(name string, value func(*sample) float64) float64 {
	values := make([]float64, len(r[name]))
	for i, s := range r[name] {
		values[i] = value(s)
	}
	return workload.Median(values)
}

// ratio is the median over the rounds of a value of one contender divided by that of another.
func (r results) ratio(name, other string, value func(*sample) float64) float64 {
	ratios := make([]float64, min(len(r[name]), len(r[other])))
	for i := range ratios {
		ratios[i] = value(r[name][i]) / value(r[other][i])
	}
	return workload.Median(ratios)
}

// sum adds up counts of all rounds.
func (r results) sum(name string, of func(*sample) uint64) (n uint64) {
	for _, s := range r[name] {
		n += of(s)
	}
	return n
}

// merged is all latencies of all rounds.
func (r results) merged(name string, of func(*sample) *workload.Latencies) *workload.Latencies {
	all := new(workload.Latencies)
	for _, s := range r[name] {
		all.Merge(of(s))
	}
	return all
}
