package redisstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/redisstore"
	"github.com/viva/rate-limiter/pkg/ratelimit/storetest"
)

const (
	traces = 300
	steps  = 60
)

// FuzzTwins gives the same random trace to the memory store and to Redis, by
// the same clock, and compares every answer. Seeds that ever failed stay in
// testdata.
func FuzzTwins(f *testing.F) {
	client := connect(f, testenv.Redis(f))
	for seed := range uint64(traces) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		clock := storetest.NewClock()
		tr := &trace{
			t: t, Rand: rand.New(rand.NewPCG(seed, 0)), clock: clock, group: fmt.Sprint("seed ", seed),
			memory: ratelimit.NewMemory(ratelimit.WithClock(clock.Now)),
			redis:  redisstore.New(client, redisstore.WithNamespace(fmt.Sprint("twins", rand.Uint64())), redisstore.WithClock(clock.Now)),
		}
		for i := range 2 + tr.IntN(4) {
			tr.rules = append(tr.rules, tr.rule(i))
		}
		for range steps {
			tr.step()
		}
	})
}

type trace struct {
	*rand.Rand
	t             *testing.T
	clock         *storetest.Clock
	group         string
	memory, redis ratelimit.Store
	rules         []ratelimit.Rule
	receipts      [][2]ratelimit.Receipt
}

func (tr *trace) one(of ...int64) int64 { return of[tr.IntN(len(of))] }

// size draws numbers of every magnitude up to most.
func (tr *trace) size(most int64) int64 {
	return 1 + tr.Int64N(min(most, 1<<tr.IntN(53)))
}

func (tr *trace) rule(i int) ratelimit.Rule {
	r := ratelimit.Rule{Scope: "key", ID: "k", Name: fmt.Sprint("rule ", i), Shadow: tr.IntN(5) == 0}
	unit := time.Duration(tr.one(int64(time.Millisecond), int64(time.Second), int64(time.Minute), int64(time.Hour), int64(24*time.Hour)))
	longest, limit := ratelimit.MaxSliding, int64(ratelimit.MaxSlidingLimit)
	switch tr.IntN(4) {
	case 0:
		r.Algorithm, longest, limit = ratelimit.FixedWindow, ratelimit.MaxFixed, ratelimit.MaxFixedLimit
	case 1:
		r.Algorithm, r.Limit = ratelimit.FixedWindow, tr.size(ratelimit.MaxFixedLimit)
		r.Calendar = tr.calendar()
		return r
	}
	r.Limit = tr.size(limit)
	r.Window = min(longest, ratelimit.MinWindow+time.Duration(tr.Int64N(int64(60*unit))))
	if r.Window = r.Window.Truncate(time.Microsecond); r.Window > time.Hour {
		r.Window = r.Window.Truncate(time.Millisecond)
	}
	return r
}

// calendar draws periods of uneven length, the middle one around now.
func (tr *trace) calendar() *ratelimit.Calendar {
	length := func() time.Duration { return time.Duration(1000+tr.Int64N(5_000_000)) * time.Millisecond }
	now := tr.clock.Now().Truncate(time.Millisecond)
	start := now.Add(-time.Duration(tr.Int64N(1000)) * time.Millisecond)
	end := now.Add(length())
	return &ratelimit.Calendar{
		Name:     "uneven",
		Previous: ratelimit.Period{Start: start.Add(-length()), End: start},
		Current:  ratelimit.Period{Start: start, End: end},
		Next:     ratelimit.Period{Start: end, End: end.Add(length())},
	}
}

func (tr *trace) step() {
	tr.pass()
	tr.change()
	switch n := tr.IntN(20); {
	case n == 0:
		tr.reset()
	case n < 4 && len(tr.receipts) > 0:
		tr.refund()
	default:
		tr.take()
	}
}

// pass moves the clock: not at all, a little, to the edge of a window, far, and
// sometimes back.
func (tr *trace) pass() {
	r := tr.rules[tr.IntN(len(tr.rules))]
	window, now := int64(r.Window), tr.clock.Now()
	start := now.Truncate(r.Window)
	if r.Calendar != nil {
		window, start = int64(r.Calendar.Current.End.Sub(r.Calendar.Current.Start)), r.Calendar.Current.Start
	}
	micros := func(d int64) time.Duration { return time.Duration(d).Truncate(time.Microsecond) }
	switch tr.IntN(10) {
	case 0, 1, 2:
	case 3, 4, 5:
		tr.clock.Advance(micros(tr.Int64N(window/8 + 1)))
	case 6, 7:
		edge := start.Add(time.Duration(window * tr.one(1, 1, 2)))
		tr.clock.Set(edge.Add(time.Duration(tr.one(-1, 0, 0, 1)) * time.Microsecond))
	case 8:
		tr.clock.Advance(micros(tr.Int64N(3 * window)))
	case 9:
		tr.clock.Advance(-micros(tr.one(tr.Int64N(window), window, window+1000, tr.Int64N(3*window))))
	}
}

// change changes limits, shadows and calendars: the count must stay.
func (tr *trace) change() {
	r := &tr.rules[tr.IntN(len(tr.rules))]
	switch tr.IntN(8) {
	case 0:
		r.Limit = tr.size(ratelimit.MaxSlidingLimit)
	case 1:
		r.Shadow = !r.Shadow
	case 2:
		if r.Calendar != nil {
			r.Calendar = tr.calendar()
		}
	}
}

func (tr *trace) some() []ratelimit.Rule {
	var rules []ratelimit.Rule
	for _, i := range tr.Perm(len(tr.rules))[:1+tr.IntN(len(tr.rules))] {
		rules = append(rules, tr.rules[i])
	}
	return rules
}

func (tr *trace) take() {
	rules := tr.some()
	req := &ratelimit.Request{Group: tr.group, Rules: rules, Cost: tr.size(ratelimit.MaxCost)}
	limit := rules[tr.IntN(len(rules))].Limit
	if tr.IntN(8) != 0 {
		req.Cost = tr.one(0, 1, 1, 1, min(limit, 2), tr.Int64N(limit)+1, limit/2, limit, limit+1-limit/(1<<53-1))
	}
	if tr.IntN(5) == 0 {
		req.ID, req.Fingerprint = fmt.Sprint("id ", tr.IntN(4)), tr.Uint64N(2)
	}
	var memory, redis ratelimit.Decision
	tr.same(tr.memory.Take(context.Background(), req, &memory), tr.redis.Take(context.Background(), req, &redis))
	receipts := [2]ratelimit.Receipt{memory.Receipt(tr.group), redis.Receipt(tr.group)}
	memory.Nonce, redis.Nonce = 0, 0
	require.Equal(tr.t, plain(&memory), plain(&redis))
	if receipts[0].Cost > 0 {
		tr.receipts = append(tr.receipts, receipts)
	}
}

func (tr *trace) refund() {
	receipts := tr.receipts[max(0, len(tr.receipts)-1-tr.IntN(4))]
	units := 1 + tr.Int64N(receipts[0].Cost)
	tr.same(
		tr.memory.Refund(context.Background(), receipts[0], units),
		tr.redis.Refund(context.Background(), receipts[1], units),
	)
}

func (tr *trace) reset() {
	rules := tr.some()
	tr.same(
		tr.memory.Reset(context.Background(), tr.group, rules),
		tr.redis.Reset(context.Background(), tr.group, rules),
	)
}

func (tr *trace) same(memory, redis error) {
	require.Equal(tr.t, fmt.Sprint(memory), fmt.Sprint(redis))
}

// plain is a decision whose instants are all in UTC.
func plain(dec *ratelimit.Decision) ratelimit.Decision {
	d := *dec
	d.At = d.At.UTC()
	d.Results = nil
	for _, r := range dec.Results {
		r.Start = r.Start.UTC()
		d.Results = append(d.Results, r)
	}
	return d
}
