package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func TestModelsAnswerAlike(t *testing.T) {
	for seed := range uint64(200) {
		clock := NewClock()
		require.NoError(t, Trace(seed, 60, clock, map[string]ratelimit.Store{"twin": NewModel(clock.Now)}))
	}
}

// altered is a store with a mistake in it.
type altered struct {
	ratelimit.Store
	request  func(*ratelimit.Request)
	decision func(*ratelimit.Decision)
	noRefund bool
	noReset  bool
	noSeed   bool
	noCharge bool
	setSeed  bool
	noError  bool
}

func (a *altered) Take(ctx context.Context, req *ratelimit.Request, dec *ratelimit.Decision) error {
	r := *req
	r.Rules = append([]ratelimit.Rule(nil), req.Rules...)
	if a.request != nil {
		a.request(&r)
	}
	err := a.Store.Take(ctx, &r, dec)
	for i := range dec.Results {
		if !dec.Replayed {
			dec.Results[i].Rule = &req.Rules[i]
		}
	}
	if a.decision != nil {
		a.decision(dec)
	}
	if a.noError {
		return nil
	}
	return err
}

func (a *altered) Refund(ctx context.Context, receipt ratelimit.Receipt, units int64) error {
	if a.noRefund || a.noCharge && units < 0 {
		return nil
	}
	return a.Store.Refund(ctx, receipt, units)
}

func (a *altered) Reset(ctx context.Context, group string, rules []ratelimit.Rule) error {
	if a.noReset {
		return nil
	}
	return a.Store.Reset(ctx, group, rules)
}

func (a *altered) Seed(ctx context.Context, group string, seeds []ratelimit.Seeding) error {
	if a.noSeed {
		return nil
	}
	if a.setSeed {
		for i := range seeds {
			if err := a.Store.Reset(ctx, group, []ratelimit.Rule{seeds[i].Rule}); err != nil {
				return err
			}
		}
	}
	return a.Store.Seed(ctx, group, seeds)
}

func rulesOf(algorithm ratelimit.Algorithm, change func(*ratelimit.Rule)) func(*ratelimit.Request) {
	return func(req *ratelimit.Request) {
		for i := range req.Rules {
			if req.Rules[i].Algorithm == algorithm {
				change(&req.Rules[i])
			}
		}
	}
}

func results(change func(*ratelimit.Result)) func(*ratelimit.Decision) {
	return func(dec *ratelimit.Decision) {
		for i := range dec.Results {
			change(&dec.Results[i])
		}
	}
}

// TestTracesFindMistakes gives traces to stores that are slightly wrong.
func TestTracesFindMistakes(t *testing.T) {
	for name, mistake := range map[string]altered{
		"burst not seen": {request: rulesOf(ratelimit.GCRA, func(r *ratelimit.Rule) { r.Burst = 0 })},
		"limit of one more": {request: rulesOf(ratelimit.SlidingWindow, func(r *ratelimit.Rule) {
			r.Limit = min(r.Limit+1, ratelimit.MaxSlidingLimit)
		})},
		"log of one less": {request: rulesOf(ratelimit.SlidingLog, func(r *ratelimit.Rule) { r.Limit = max(1, r.Limit-1) })},
		"shadow enforced": {request: rulesOf(ratelimit.FixedWindow, func(r *ratelimit.Rule) { r.Shadow = false })},
		"id not seen":     {request: func(r *ratelimit.Request) { r.ID = "" }},
		"content ignored": {request: func(r *ratelimit.Request) { r.Fingerprint = 0 }},
		"a look spends": {request: func(r *ratelimit.Request) {
			if len(r.Rules) == 1 && r.ID == "" {
				r.Cost = max(r.Cost, 1)
			}
		}},
		"retry late": {decision: results(func(r *ratelimit.Result) {
			if r.RetryAfter > 0 {
				r.RetryAfter += time.Microsecond
			}
		})},
		"reset early": {decision: results(func(r *ratelimit.Result) {
			r.ResetAfter = max(0, r.ResetAfter-time.Microsecond)
		})},
		"start rounded":   {decision: results(func(r *ratelimit.Result) { r.Start = r.Start.Truncate(time.Millisecond) })},
		"remaining low":   {decision: results(func(r *ratelimit.Result) { r.Remaining = max(0, r.Remaining-1) })},
		"instant rounded": {decision: func(dec *ratelimit.Decision) { dec.At = dec.At.Truncate(time.Millisecond) }},
		"no refund":       {noRefund: true},
		"no charge":       {noCharge: true},
		"no seed":         {noSeed: true},
		"a seed lowers":   {setSeed: true},
		"durable not seen": {request: rulesOf(ratelimit.FixedWindow, func(r *ratelimit.Rule) {
			r.Durable = false
		})},
		"no reset": {noReset: true},
		"no error": {noError: true},
	} {
		found := firstFound(func(clock *Clock) ratelimit.Store {
			mistake.Store = NewModel(clock.Now)
			return &mistake
		})
		require.Error(t, found, name)
		require.Regexp(t, `^seed \d+, step \d+: store differs from the model`, found.Error(), name)
	}
}

// TestTracesFindMistakesOfTime gives traces to stores with another clock.
func TestTracesFindMistakesOfTime(t *testing.T) {
	for name, wrong := range map[string]func(clock *Clock) func() time.Time{
		"never behind": func(clock *Clock) func() time.Time {
			var latest time.Time
			return func() time.Time {
				if now := clock.Now(); now.After(latest) {
					latest = now
				}
				return latest
			}
		},
		"a microsecond late": func(clock *Clock) func() time.Time {
			return func() time.Time { return clock.Now().Add(-time.Microsecond) }
		},
	} {
		found := firstFound(func(clock *Clock) ratelimit.Store { return NewModel(wrong(clock)) })
		require.ErrorContains(t, found, "store differs from the model", name)
	}
}

func firstFound(store func(*Clock) ratelimit.Store) error {
	for seed := range uint64(100) {
		clock := NewClock()
		if err := Trace(seed, 60, clock, map[string]ratelimit.Store{"store": store(clock)}); err != nil {
			return err
		}
	}
	return nil
}

// TestTracesReachWhatTheyShould counts what is met in a thousand of them.
func TestTracesReachWhatTheyShould(t *testing.T) {
	met := map[string]int{}
	for seed := range uint64(1000) {
		tr := newTrace(seed, NewClock(), nil)
		for range 60 {
			require.NoError(t, tr.play())
			for _, c := range tr.players[0].store.(*Model).counters {
				if log, ok := c.(*tally); ok && len(log.spent) > 100 {
					met["log of hundreds"]++
				}
			}
		}
		for i := range tr.past {
			tr.past[i].meets(met)
		}
	}
	for _, kind := range []string{
		"refund", "charge", "seed", "reset", "lost", "replayed", "id conflict", "invalid", "refunded", "unseeded",
		"look refused", "start to come", "wait to the end", "log of hundreds", "durable",
	} {
		require.Greater(t, met[kind], 50, kind)
	}
	for algorithm := range ratelimit.SlidingLog + 1 {
		for _, kind := range []string{"allowed", "denied", "would deny", "never", "to the last", "unused"} {
			require.Greater(t, met[fmt.Sprint(algorithm, " ", kind)], 500, "%v %s", algorithm, kind)
		}
	}
}

func (e *event) meets(met map[string]int) {
	dec := &e.said.dec
	count := func(kind string, is bool) {
		if is {
			met[kind]++
		}
	}
	count("refund", strings.HasPrefix(e.what, "refund") && e.said.err == nil)
	count("charge", strings.HasPrefix(e.what, "refund -") && e.said.err == nil)
	count("seed", strings.HasPrefix(e.what, "seed") && e.said.err == nil)
	count("lost", e.what == "lost")
	count("reset", e.what == "reset")
	count("replayed", dec.Replayed)
	count("id conflict", errors.Is(e.said.err, ratelimit.ErrIDConflict))
	count("invalid", errors.Is(e.said.err, ratelimit.ErrInvalid))
	count("refunded", errors.Is(e.said.err, ratelimit.ErrRefunded))
	count("unseeded", errors.Is(e.said.err, ratelimit.ErrUnseeded))
	count("look refused", dec.Cost == 0 && dec.RetryAfter() != 0)
	for i := range dec.Results {
		r := &dec.Results[i]
		of := r.Rule.Algorithm.String()
		count(of+" allowed", dec.Allowed && !r.WouldDeny)
		count(of+" denied", r.Denied)
		count(of+" would deny", r.WouldDeny)
		count(of+" never", r.RetryAfter == ratelimit.Never)
		count(of+" to the last", dec.Allowed && dec.Cost > 0 && r.Remaining == 0)
		count(of+" unused", r.ResetAfter == 0)
		count("durable", r.Rule.Durable && !dec.Replayed)
		count("start to come", r.Start.After(dec.At))
		count("wait to the end", dec.At.Add(r.ResetAfter).UnixMicro() == horizon)
	}
}
