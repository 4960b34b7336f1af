// Package inredis measures limiters that keep their limits in Redis: a lone caller's time for a call, and how many
// calls many callers get through. The limiters take turns, round after round, on one server; each has a client with
// the options it comes with, and logical databases of its own.
package inredis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/viva/rate-limiter/bench/limiters"
	"github.com/viva/rate-limiter/bench/redisserver"
	"github.com/viva/rate-limiter/bench/workload"
)

// A Plan says what to measure, and how thoroughly.
type Plan struct {
	Keys    int
	Rounds  int
	Slice   time.Duration // of one limiter in one round
	Callers int           // of the many
	Log     func(format string, args ...any)
}

// Results are what was measured, by the names of the limiters.
type Results struct {
	Plan    Plan
	Version string // of the server
	Lone    [2]map[string]*Lone
	Crowd   map[string]*Crowd
}

// Admissions and Denials index Results.Lone.
const (
	Admissions = iota
	Denials
)

// Lone is what one caller, who makes one call after the other, waits for.
type Lone struct {
	Mean    workload.Series // ns, in each round
	Each    workload.Latencies
	Mallocs float64 // per call, the most of any round
}

// Crowd is what many callers get through together.
type Crowd struct {
	Rate workload.Series // calls per second, in each round
	Each workload.Latencies
}

// A contestant is one limiter on its databases.
type contestant struct {
	name    string
	clients []*redis.Client
	takers  [2][]workload.Taker
	rng     *rand.Rand
}

// Measure carries the plan out on a server of its own.
func Measure(ctx context.Context, plan Plan) (r *Results, err error) {
	server, err := redisserver.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	r = &Results{Plan: plan, Version: server.Version, Crowd: map[string]*Crowd{}}
	all, err := r.enter(server)
	defer func() {
		for _, c := range all {
			err = errors.Join(err, c.close())
		}
	}()
	if err != nil {
		return nil, err
	}
	for outcome, name := range []string{Admissions: "admissions", Denials: "denials"} {
		for round := range plan.Rounds {
			if err := r.lone(ctx, turns(all, round), outcome); err != nil {
				return nil, err
			}
		}
		plan.Log("redis, a lone caller, %s: %d rounds", name, plan.Rounds)
	}
	for round := range plan.Rounds {
		if err := r.crowd(ctx, turns(all, round)); err != nil {
			return nil, err
		}
	}
	plan.Log("redis, %d callers: %d rounds", plan.Callers, plan.Rounds)
	return r, nil
}

// enter makes the limiters, and takes once from every key.
func (r *Results) enter(server *redisserver.Server) (all []*contestant, err error) {
	for i, limiter := range limiters.InRedis {
		c := &contestant{name: limiter.Name, rng: rand.New(rand.NewPCG(1, uint64(i)))}
		all = append(all, c)
		for outcome := range c.takers {
			client := server.Client(2*i + outcome)
			c.clients = append(c.clients, client)
			store, err := limiter.New(client, limiters.Steady(r.Plan.Keys, outcome == Denials))
			if err != nil {
				return all, fmt.Errorf("make %s: %w", limiter.Name, err)
			}
			for range r.Plan.Callers {
				c.takers[outcome] = append(c.takers[outcome], store.Taker())
			}
			if _, err := workload.Fill(store.Taker(), 0, r.Plan.Keys, false); err != nil {
				return all, fmt.Errorf("fill %s: %w", limiter.Name, err)
			}
		}
		r.Plan.Log("redis, %s: %s new keys", limiter.Name, workload.Count(r.Plan.Keys))
	}
	for outcome := range r.Lone {
		r.Lone[outcome] = map[string]*Lone{}
		for _, c := range all {
			r.Lone[outcome][c.name] = new(Lone)
		}
	}
	for _, c := range all {
		r.Crowd[c.name] = new(Crowd)
	}
	return all, nil
}

func (c *contestant) close() (err error) {
	for _, client := range c.clients {
		err = errors.Join(err, client.Close())
	}
	return err
}

func turns(all []*contestant, round int) []*contestant {
	first := round % len(all)
	return append(append([]*contestant{}, all[first:]...), all[:first]...)
}

// lone measures one round of a lone caller.
func (r *Results) lone(ctx context.Context, all []*contestant, outcome int) error {
	means := map[string]float64{}
	for _, c := range all {
		accesses := [][]string{r.accesses(c)}
		var each workload.Latencies
		runtime.GC()
		before := workload.Mallocs()
		if err := r.run(ctx, c, outcome, accesses, []*workload.Latencies{&each}); err != nil {
			return err
		}
		summary, lone := each.Summary(), r.Lone[outcome][c.name]
		means[c.name] = float64(summary.Mean)
		lone.Each.Merge(&each)
		lone.Mallocs = max(lone.Mallocs, float64(workload.Mallocs()-before)/float64(summary.N))
	}
	for name, mean := range means {
		r.Lone[outcome][name].Mean.Add(mean, means[limiters.Ours])
	}
	return nil
}

// crowd measures one round of many callers.
func (r *Results) crowd(ctx context.Context, all []*contestant) error {
	rates := map[string]float64{}
	for _, c := range all {
		accesses := make([][]string, r.Plan.Callers)
		each := make([]*workload.Latencies, r.Plan.Callers)
		for i := range accesses {
			accesses[i], each[i] = r.accesses(c), new(workload.Latencies)
		}
		runtime.GC()
		began := time.Now()
		if err := r.run(ctx, c, Admissions, accesses, each); err != nil {
			return err
		}
		lasted := time.Since(began)
		var merged workload.Latencies
		for _, e := range each {
			merged.Merge(e)
		}
		rates[c.name] = float64(merged.Summary().N) / lasted.Seconds()
		r.Crowd[c.name].Each.Merge(&merged)
	}
	for name, rate := range rates {
		r.Crowd[name].Rate.Add(rate, rates[limiters.Ours])
	}
	return nil
}

func (r *Results) accesses(c *contestant) []string {
	return workload.Accesses(workload.Uniform, r.Plan.Keys, 1<<12, c.rng.Uint64())
}

// run makes one call after the other with each of the accesses' callers, for a slice of time.
func (r *Results) run(
	ctx context.Context, c *contestant, outcome int, accesses [][]string, each []*workload.Latencies,
) error {
	errs := make([]error, len(accesses))
	began := time.Now()
	var done sync.WaitGroup
	for i, keys := range accesses {
		done.Go(func() {
			admit := outcome == Admissions || c.name == limiters.Floor
			last := time.Since(began)
			for n := 0; last < r.Plan.Slice && ctx.Err() == nil; n++ {
				admitted, err := c.takers[outcome][i].Take(keys[n%len(keys)])
				if err != nil || admitted != admit {
					errs[i] = fmt.Errorf("%s admitted: %t: %w", c.name, admitted, err)
					return
				}
				now := time.Since(began)
				each[i].Add(now - last)
				last = now
			}
		})
	}
	done.Wait()
	return errors.Join(errors.Join(errs...), ctx.Err())
}
