package ratelimit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/storetest"
)

// TestMemoryAnswersAsTheModel plays ten thousand random traces.
func TestMemoryAnswersAsTheModel(t *testing.T) {
	const traces, steps, at = 10_000, 60, 4
	for worker := range uint64(at) {
		t.Run(fmt.Sprint("from seed ", worker), func(t *testing.T) {
			t.Parallel()
			for seed := worker; seed < traces; seed += at {
				require.NoError(t, traceMemory(seed, steps))
			}
		})
	}
}

func traceMemory(seed uint64, steps int) error {
	clock := storetest.NewClock()
	memory := storetest.Losing(func() ratelimit.Store { return ratelimit.NewMemory(ratelimit.WithClock(clock.Now)) })
	return storetest.Trace(seed, steps, clock, map[string]ratelimit.Store{"memory": memory})
}

// TestMemorySweepsNothingThatCounts keeps some counters among very many that
// come and go. The model does not hear of those, and never sweeps.
func TestMemorySweepsNothingThatCounts(t *testing.T) {
	const steps, passing = 8000, 50
	clock := storetest.NewClock()
	memory, model := ratelimit.NewMemory(ratelimit.WithClock(clock.Now)), storetest.NewModel(clock.Now)
	r := rand.New(rand.NewPCG(3, 4))
	var rules []ratelimit.Rule
	for i := range 50 {
		rule := perMinute(fmt.Sprint(i), 1+r.Int64N(20))
		rule.Algorithm = ratelimit.Algorithm(i % 4)
		rule.Window = time.Duration(1+r.IntN(1000)) * 10 * time.Second
		if i%8 == 1 { // every other FixedWindow
			rule.Window, rule.Calendar = 0, &ratelimit.Calendar{}
		}
		rules = append(rules, rule)
	}
	var got, want, other ratelimit.Decision
	var receipts [][2]ratelimit.Receipt
	for step := range steps {
		clock.Advance(time.Duration(r.Int64N(2_000_000<<r.IntN(8))) * time.Microsecond)
		for i := range passing {
			one := one(fmt.Sprint("passing ", step, i), perMinute("k", 1))
			require.NoError(t, memory.Take(context.Background(), &one, &other))
		}
		if n := len(receipts); n > 0 && r.IntN(2) == 0 { // twice or more, too
			both := receipts[max(0, n-1-r.IntN(50))]
			units := 1 + r.Int64N(both[0].Cost)
			if r.IntN(3) == 0 {
				units = -1 - r.Int64N(100)
			}
			require.Equal(t, model.Refund(context.Background(), both[1], units),
				memory.Refund(context.Background(), both[0], units), "step %d", step)
		}
		req := one("kept", rules[r.IntN(len(rules))])
		req.Group, req.Cost = req.Rules[0].ID, r.Int64N(req.Rules[0].Limit+2)
		if req.Rules[0].Calendar != nil {
			req.Rules[0].Calendar = sixHours(clock.Now())
		}
		require.NoError(t, memory.Take(context.Background(), &req, &got))
		require.NoError(t, model.Take(context.Background(), &req, &want))
		if got.Allowed && got.Cost > 0 {
			receipts = append(receipts, [2]ratelimit.Receipt{got.Receipt(req.Group), want.Receipt(req.Group)})
		}
		got.Nonce, want.Nonce = 0, 0
		require.Equal(t, utc(want), utc(got), "step %d", step)
	}
}

// sixHours is a calendar of them.
func sixHours(now time.Time) *ratelimit.Calendar {
	const length = 6 * time.Hour
	at := func(n int) time.Time { return now.Truncate(length).Add(time.Duration(n) * length) }
	return &ratelimit.Calendar{
		Name:     "quarter",
		Previous: ratelimit.Period{Start: at(-1), End: at(0)},
		Current:  ratelimit.Period{Start: at(0), End: at(1)},
		Next:     ratelimit.Period{Start: at(1), End: at(2)},
	}
}

// TestMemoryRefundsOnceHoweverLongItCounts keeps a bucket from running empty
// for longer than it drains in, while very many other counters come and go.
func TestMemoryRefundsOnceHoweverLongItCounts(t *testing.T) {
	clock := storetest.NewClock()
	store := ratelimit.NewMemory(ratelimit.WithClock(clock.Now))
	rule := perMinute("k", 60)
	rule.Algorithm = ratelimit.GCRA
	req := one("kept", rule)
	req.Cost = 30
	dec, err := take(t, store, req)
	require.NoError(t, err)
	receipt := dec.Receipt("kept")
	require.NoError(t, store.Refund(context.Background(), receipt, 1))
	req.Cost = 1
	var level int64
	for second := range 300 {
		clock.Advance(time.Second)
		for i := range 300 {
			_, err := take(t, store, one(fmt.Sprint("passing ", second, i), perMinute("k", 1)))
			require.NoError(t, err)
		}
		dec, err := take(t, store, req)
		require.NoError(t, err)
		level = rule.Limit - dec.Results[0].Remaining
	}
	// It may not count any more; it must not count twice.
	if err := store.Refund(context.Background(), receipt, 1); err != nil {
		require.ErrorIs(t, err, ratelimit.ErrRefunded)
	}
	req.Cost = 0
	dec, err = take(t, store, req)
	require.NoError(t, err)
	require.Equal(t, level, rule.Limit-dec.Results[0].Remaining)
}

func utc(dec ratelimit.Decision) ratelimit.Decision {
	dec.At = dec.At.UTC()
	results := append([]ratelimit.Result(nil), dec.Results...)
	for i := range results {
		results[i].Start = results[i].Start.UTC()
	}
	dec.Results = results
	return dec
}
