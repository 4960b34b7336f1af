package main

import (
	"fmt"
	"math"

	bench "github.com/viva/rate-limiter/bench/report"
)

// A budget is a number that we promised to reach, or not to exceed.
type budget struct {
	what   string
	bound  float64
	atMost bool // and not at least
	value  float64
	shown  string // the value and what it comes from
	unit   string
}

func (b *budget) promise() string {
	if b.atMost {
		return fmt.Sprintf("≤ %g%s", b.bound, b.unit)
	}
	return fmt.Sprintf("≥ %g%s", b.bound, b.unit)
}

func (b *budget) verdict() string {
	switch {
	case math.IsNaN(b.value):
		return "not measured"
	case b.atMost && b.value <= b.bound, !b.atMost && b.value >= b.bound:
		return "met"
	default:
		return "**missed**"
	}
}

// bareUsual is what a bare handler does where the budget of batches was set, in requests a second.
const bareUsual, batchUsual = 45_000, 300_000

func (r *report) budgets() *bench.Table {
	times := func(what, name, other string, bound float64) budget {
		ratio := r.many.ratio(name, other, rate)
		return budget{what: what, bound: bound, value: ratio, unit: " ×", shown: fmt.Sprintf("%.2f (%s, %s a second; of CPU time %.2f)", ratio,
			bench.Number(r.many.median(name, rate)), bench.Number(r.many.median(other, rate)), 1/r.many.ratio(name, other, server))}
	}
	quick := func(what, name string, bound float64) budget {
		half := r.open[0.5]
		value := half.median(name, p99) / 1e6
		return budget{what: what, bound: bound, value: value, atMost: true, unit: " ms", shown: fmt.Sprintf("%.2f ms (bare handler %.2f ms)",
			value, half.median(bare, p99)/1e6)}
	}
	batch := r.many.ratio(embeddedBatch, bare, rate) * bareUsual
	// What is lost of the throughput without a journal, and what is added to its CPU time.
	metering := 100 * (1 - r.many.ratio(embedded, noJournal, rate))
	fasterEnvoy := envoy
	if r.many.median(envoyBuffered, rate) > r.many.median(envoy, rate) {
		fasterEnvoy = envoyBuffered
	}
	all := []budget{
		times("validate, embedded: of the bare handler", embedded, bare, 0.8),
		times("validate, Redis: of the bare handler", onRedis, bare, 0.55),
		{
			what: "validate/batch of 100, embedded: checks a second, where the bare handler does 45k", bound: batchUsual, value: batch,
			shown: fmt.Sprintf("%s (%s here)", bench.Number(batch), bench.Number(r.many.median(embeddedBatch, rate))),
		},
		{
			what: "metering: throughput lost", bound: 5, atMost: true, value: metering, unit: " %",
			shown: fmt.Sprintf("%.1f %% (CPU time added: %.1f %%)", metering, 100*(r.many.ratio(embedded, noJournal, server)-1)),
		},
		quick("p99 at half of the peak, embedded", embedded, 1),
		quick("p99 at half of the peak, Redis", onRedis, 2),
		times("validate, embedded: of Gubernator over HTTP", embedded, gubernator, 4),
		times("validate, Redis: of Envoy ratelimit's /json", onRedis, fasterEnvoy, 2),
	}
	t := &bench.Table{Head: []string{"what", "budget", "measured", ""}}
	for _, b := range all {
		if math.IsNaN(b.value) {
			b.shown = "—"
		}
		t.Add(b.what, b.promise(), b.shown, b.verdict())
	}
	return t
}
