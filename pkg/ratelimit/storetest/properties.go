package storetest

import (
	"fmt"
	"math/bits"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// aRule draws a rule, as a function of the time at which it is used: calendars
// move on.
func aRule(rt *rapid.T, name string) func(now time.Time) ratelimit.Rule {
	limit := rapid.OneOf(rapid.Int64Range(1, 20), rapid.Int64Range(1, ratelimit.MaxSlidingLimit)).Draw(rt, "limit")
	window := rapid.SampledFrom([]time.Duration{
		ratelimit.MinWindow, time.Second, 7*time.Second + 13*time.Microsecond, time.Minute, time.Hour,
		time.Hour + time.Millisecond, 24 * time.Hour, ratelimit.MaxSliding,
	}).Draw(rt, "window")
	switch rapid.SampledFrom([]string{"sliding", "fixed", "calendar", "gcra", "log"}).Draw(rt, "kind") {
	case "sliding":
		return func(time.Time) ratelimit.Rule { return sliding(name, limit, window) }
	case "fixed":
		return func(time.Time) ratelimit.Rule { return fixed(name, limit, window) }
	case "gcra":
		burst := rapid.OneOf(rapid.Int64Range(0, 20), rapid.Int64Range(1, ratelimit.MaxSlidingLimit)).Draw(rt, "burst")
		burst = min(burst, largestBurst(limit, window))
		return func(time.Time) ratelimit.Rule { return gcra(name, limit, burst, window) }
	case "log":
		limit := min(limit, ratelimit.MaxLogLimit)
		return func(time.Time) ratelimit.Rule { return log(name, limit, window) }
	default:
		return func(now time.Time) ratelimit.Rule { return daily(limit, days(now)) }
	}
}

// largestBurst is how much drains within ratelimit.MaxDrain, and is allowed.
func largestBurst(limit int64, window time.Duration) int64 {
	high, low := bits.Mul64(uint64(limit), uint64(ratelimit.MaxDrain))
	if high >= uint64(window) {
		return ratelimit.MaxSlidingLimit
	}
	units, _ := bits.Div64(high, low, uint64(window))
	return int64(min(units, ratelimit.MaxSlidingLimit))
}

// A history is a drawn set of rules with some spending behind it.
type history struct {
	*subject
	rules []func(time.Time) ratelimit.Rule
}

func (s *subject) history(rt *rapid.T) *history {
	h := &history{subject: s.in(rt)}
	for i := range rapid.IntRange(1, 4).Draw(rt, "rules") {
		h.rules = append(h.rules, aRule(rt, fmt.Sprint("rule ", i)))
	}
	h.drop()
	for range rapid.IntRange(1, 8).Draw(rt, "takes") {
		h.pass(rt)
		cost := h.cost(rt)
		dec := h.try(cost)
		if dec.Allowed && rapid.IntRange(0, 2).Draw(rt, "charge") == 0 {
			require.NoError(rt, h.charge(dec.Receipt(h.group), rapid.Int64Range(1, 3*cost).Draw(rt, "units")))
		}
	}
	return h
}

// drop keeps one calendar: two would name the same counter.
func (h *history) drop() {
	var seen bool
	kept := h.rules[:0]
	for _, rule := range h.rules {
		calendar := rule(Noon).Calendar != nil
		if !calendar || !seen {
			kept = append(kept, rule)
		}
		seen = seen || calendar
	}
	h.rules = kept
}

func (h *history) now() []ratelimit.Rule {
	var rules []ratelimit.Rule
	for _, rule := range h.rules {
		rules = append(rules, rule(h.clock.Now()))
	}
	return rules
}

func (h *history) try(cost int64) *ratelimit.Decision { return h.take(cost, h.now()...) }

// pass lets some time go by that has to do with the windows in use.
func (h *history) pass(rt *rapid.T) {
	rules := h.now()
	window := rules[rapid.IntRange(0, len(rules)-1).Draw(rt, "whose")].Window
	if window == 0 {
		window = 24 * time.Hour
	}
	h.clock.Advance(time.Duration(rapid.Int64Range(0, int64(window)).Draw(rt, "pass")).Truncate(time.Microsecond))
}

// cost draws a part of the smallest limit, mostly.
func (h *history) cost(rt *rapid.T) int64 {
	least := int64(ratelimit.MaxSlidingLimit)
	for _, rule := range h.now() {
		least = min(least, capacity(&rule))
	}
	return rapid.Int64Range(1, least+1).Draw(rt, "cost")
}

func waitsAreExact(t *testing.T, s *subject) {
	rapid.Check(t, func(rt *rapid.T) {
		h := s.history(rt)
		look := h.try(0)
		for i, result := range look.Results {
			if result.ResetAfter == 0 {
				require.Equal(rt, capacity(result.Rule), result.Remaining)
				continue
			}
			h.clock.Set(look.At.Add(result.ResetAfter - time.Microsecond))
			require.Equal(rt, result.Remaining, h.try(0).Results[i].Remaining)
			h.clock.Advance(time.Microsecond)
			require.Greater(rt, h.try(0).Results[i].Remaining, result.Remaining)
		}

		h.clock.Set(look.At)
		cost := h.cost(rt)
		dec := h.try(cost)
		for range 3 {
			if !dec.Allowed {
				break
			}
			dec = h.try(cost)
		}
		switch wait := dec.RetryAfter(); {
		case dec.Allowed:
			require.Zero(rt, wait)
		case wait == ratelimit.Never:
			h.clock.Advance(2 * ratelimit.MaxSliding)
			require.Equal(rt, ratelimit.Never, h.try(cost).RetryAfter())
		default:
			h.clock.Set(dec.At.Add(wait - time.Microsecond))
			require.False(rt, h.try(cost).Allowed)
			h.clock.Advance(time.Microsecond)
			require.True(rt, h.try(cost).Allowed)
		}
	})
}

func refusalSpendsNothing(t *testing.T, s *subject) {
	rapid.Check(t, func(rt *rapid.T) {
		h := s.history(rt)
		cost := h.cost(rt)
		before := h.remaining(h.now()...)
		dec := h.try(cost)
		after := h.remaining(h.now()...)
		for i := range before {
			if dec.Allowed {
				before[i] -= cost
			}
			require.Equal(rt, before[i], after[i])
			require.Equal(rt, after[i], dec.Results[i].Remaining)
		}
	})
}
