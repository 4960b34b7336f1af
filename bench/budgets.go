package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/viva/rate-limiter/bench/inmemory"
	"github.com/viva/rate-limiter/bench/inredis"
	"github.com/viva/rate-limiter/bench/limiters"
	"github.com/viva/rate-limiter/bench/report"
	"github.com/viva/rate-limiter/bench/workload"
)

// A budget is a number that we promised not to exceed, or to reach.
type budget struct {
	what    string
	value   float64 // NaN where it was not measured
	bound   float64
	atLeast bool   // and not at most
	shown   string // the value and where it comes from
}

func (b *budget) met() bool {
	if b.atLeast {
		return b.value >= b.bound
	}
	return b.value <= b.bound
}

func (b *budget) verdict() string {
	switch {
	case math.IsNaN(b.value):
		return "not measured"
	case b.met():
		return "met"
	default:
		return "**missed**"
	}
}

func (b *budget) promise() string {
	if b.atLeast {
		return fmt.Sprintf("≥ %g", b.bound)
	}
	return fmt.Sprintf("≤ %g", b.bound)
}

func (r *results) budgets() *report.Table {
	var all []budget
	if r.memory != nil {
		all = memoryBudgets(r.memory)
	}
	if r.redis != nil {
		all = append(all, redisBudgets(r.redis)...)
	}
	t := &report.Table{Head: []string{"what", "budget", "measured", ""}}
	for _, b := range all {
		t.Add(b.what, b.promise(), b.shown, b.verdict())
	}
	return t
}

func memoryBudgets(r *inmemory.Results) []budget {
	var all []budget
	for _, keys := range []int{100_000, 1_000_000} {
		what := fmt.Sprintf("memory, %s keys, %s: of the fastest peer's time", workload.Count(keys), coreCount(most()))
		all = append(all, ofFastest(r, what, limiters.Ours, keys), ofFastest(r, what+", with a CoarseClock", limiters.OursCoarse, keys))
	}
	// What the runtime allocates by itself meanwhile is no call's.
	mallocs := math.Round(100*r.Mallocs[limiters.Ours]) / 100
	all = append(all, plainBudget("memory: objects allocated by a call", mallocs, 0))
	for _, keys := range r.Plan.Sizes {
		if keys >= 100_000 { // with fewer the store itself is what is measured
			what := fmt.Sprintf("memory, %s keys: bytes for a key", workload.Count(keys))
			all = append(all, plainBudget(what, r.Memory[keys][limiters.Ours].Heap, 96))
		}
	}
	growth := budget{what: "memory: a call at 1M keys, of one at 1k", value: math.NaN(), bound: 5}
	if slices.Contains(r.Plan.Sizes, 1_000) && slices.Contains(r.Plan.Sizes, 1_000_000) {
		few, many := r.Steady[plain(1_000)][limiters.Ours].Median(), r.Steady[plain(1_000_000)][limiters.Ours].Median()
		growth.value = many / few
		growth.shown = fmt.Sprintf("%.2f (%s ns, %s ns)", growth.value, report.Number(many), report.Number(few))
	}
	return append(all, growth)
}

// ofFastest compares one of ours with the fastest peer.
func ofFastest(r *inmemory.Results, what, ours string, keys int) budget {
	b := budget{what: what, value: math.NaN(), bound: 0.35}
	if name, peer := r.Fastest(plain(keys)); peer != nil {
		time := r.Steady[plain(keys)][ours].Median()
		b.value = time / peer.Median()
		if ours == limiters.Ours {
			b.value = peer.Ratio() // of each round, which the noise of others leaves alone
		}
		b.shown = fmt.Sprintf("%.2f (%s ns, %s %s ns)", b.value, report.Number(time), name, report.Number(peer.Median()))
	}
	return b
}

// plainBudget is one of a value that is shown as it is.
func plainBudget(what string, value, bound float64) budget {
	return budget{what: what, value: value, bound: bound, shown: report.Number(value)}
}

func redisBudgets(r *inredis.Results) []budget {
	lone, crowd := r.Lone[inredis.Admissions], r.Crowd
	three, peer := &lone["viva, 3 rules"].Mean, &lone[limiters.RedisRate].Mean
	ours := lone[limiters.Ours].Mean.Median()
	times := func(what string, value, bound, a, b float64) budget {
		shown := fmt.Sprintf("%.2f (%s µs, %s µs)", value, report.Number(a/1e3), report.Number(b/1e3))
		return budget{what: what, value: value, bound: bound, shown: shown}
	}
	rate := crowd[limiters.RedisRate].Rate
	return []budget{
		times("Redis: three rules, of one rule's time", 1/three.Ratio(), 1.3, three.Median(), ours),
		times("Redis: of redis_rate's time", peer.Ratio(), 1.1, ours, peer.Median()),
		{
			what:    fmt.Sprintf("Redis, %d callers: of redis_rate's calls a second", r.Plan.Callers),
			value:   rate.Ratio(),
			bound:   2,
			atLeast: true,
			shown: fmt.Sprintf("%.2f (%s, %s)", rate.Ratio(),
				report.Number(crowd[limiters.Ours].Rate.Median()), report.Number(rate.Median())),
		},
	}
}
