package ratelimit

import (
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit/internal/counter"
)

// What follows turns rules and receipts into what package counter computes
// with, and its views into results. Package redisstore does the same by way of
// package counter.

var kinds = [...]counter.Kind{
	SlidingWindow: counter.Sliding, FixedWindow: counter.Fixed, GCRA: counter.GCRA, SlidingLog: counter.SlidingLog,
}

// ticks makes t the rule in ticks.
func (r *Rule) ticks(t *counter.Rule) {
	if c := r.Calendar; c != nil {
		t.Calendar(r.Limit, c.Previous.Start, c.Current.Start, c.Next.Start, c.Next.End)
		return
	}
	t.Windowed(kinds[r.Algorithm], r.Limit, r.burst(), r.Window)
}

// say makes the result that of a rule.
func (r *Result) say(rule *Rule, v counter.View, fits bool) {
	r.Rule, r.Remaining, r.Start = rule, v.Remaining, time.UnixMicro(v.Start)
	r.ResetAfter, r.RetryAfter = v.Reset, v.Retry
	r.Denied, r.WouldDeny = !fits && !rule.Shadow, !fits && rule.Shadow
}

// outOfReach is the error of a rule whose calendar the store's clock is not in.
func outOfReach(rule int) error {
	return &InvalidError{rule, "Calendar", "must have a period that the store's clock is in"}
}
