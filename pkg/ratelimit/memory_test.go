package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/storetest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, clock *storetest.Clock) ratelimit.Store {
		return ratelimit.NewMemory(ratelimit.WithClock(clock.Now))
	})
}

func perMinute(id string, limit int64) ratelimit.Rule {
	return ratelimit.Rule{Scope: "key", ID: id, Name: "per-minute", Algorithm: ratelimit.FixedWindow, Limit: limit, Window: time.Minute}
}

func take(t *testing.T, store ratelimit.Store, req ratelimit.Request) (*ratelimit.Decision, error) {
	t.Helper()
	var dec ratelimit.Decision
	err := store.Take(context.Background(), &req, &dec)
	return &dec, err
}

// one asks for one unit of the rules, in a group for each id.
func one(group string, rules ...ratelimit.Rule) ratelimit.Request {
	return ratelimit.Request{Group: group, Cost: 1, Rules: rules}
}

func TestFullMemoryRefusesNewCountersOnly(t *testing.T) {
	clock := storetest.NewClock()
	store := ratelimit.NewMemory(ratelimit.WithClock(clock.Now), ratelimit.WithMaxEntries(3))
	for i := range 3 {
		dec, err := take(t, store, one(fmt.Sprint(i), perMinute("k", 2)))
		require.NoError(t, err)
		require.True(t, dec.Allowed)
		require.Equal(t, i+1, store.Len())
	}

	dec, err := take(t, store, one("0", perMinute("k", 2), perMinute("new", 2)))
	require.ErrorIs(t, err, ratelimit.ErrFull)
	require.False(t, dec.Allowed)
	withID := one("0", perMinute("k", 2))
	withID.ID = "id"
	_, err = take(t, store, withID)
	require.ErrorIs(t, err, ratelimit.ErrFull)

	dec, err = take(t, store, one("0", perMinute("k", 2)))
	require.NoError(t, err)
	require.True(t, dec.Allowed, "nothing was spent by what was refused for room")
	dec, err = take(t, store, one("0", perMinute("k", 2), perMinute("new", 2)))
	require.NoError(t, err)
	require.False(t, dec.Allowed, "a refusal needs no room")
	look := one("3", perMinute("k", 2))
	look.Cost = 0
	dec, err = take(t, store, look)
	require.NoError(t, err)
	require.True(t, dec.Allowed, "a look needs no room")
}

func TestMemoryForgetsWhatNoLongerCounts(t *testing.T) {
	clock := storetest.NewClock()
	store := ratelimit.NewMemory(ratelimit.WithClock(clock.Now), ratelimit.WithMaxEntries(1000))
	for round := range 3 {
		start := storetest.Noon.Add(time.Duration(round) * time.Hour)
		clock.Set(start)
		for i := range 1000 {
			dec, err := take(t, store, one(fmt.Sprint(round, i), perMinute("k", 2)))
			require.NoError(t, err)
			require.True(t, dec.Allowed)
		}
		for _, after := range []time.Duration{0, time.Minute, 2*time.Minute - time.Microsecond} {
			clock.Set(start.Add(after))
			_, err := take(t, store, one("one more", perMinute("k", 2)))
			require.ErrorIs(t, err, ratelimit.ErrFull, "it counts, or a clock may step back to where it did")
		}
	}
}

func TestLogsCountAsTheirSize(t *testing.T) {
	clock := storetest.NewClock()
	store := ratelimit.NewMemory(ratelimit.WithClock(clock.Now), ratelimit.WithMaxEntries(100))
	rule := perMinute("k", ratelimit.MaxLogLimit)
	rule.Algorithm = ratelimit.SlidingLog
	fill := func() (admitted int) {
		for {
			clock.Advance(time.Microsecond)
			dec, err := take(t, store, one("log", rule))
			if err != nil {
				require.ErrorIs(t, err, ratelimit.ErrFull)
				return admitted
			}
			require.True(t, dec.Allowed)
			admitted++
		}
	}
	require.Equal(t, 256, fill(), "of 16 bytes each, where an entry has 48, in steps of two")
	for i := range 99 - 256/3 {
		_, err := take(t, store, one(fmt.Sprint(i), perMinute("k", 1)))
		if i == 99-256/3-1 {
			require.ErrorIs(t, err, ratelimit.ErrFull)
		} else {
			require.NoError(t, err)
		}
	}
	require.NoError(t, store.Reset(context.Background(), "log", []ratelimit.Rule{rule}))
	for i := range 100 - (99 - 256/3 - 1) {
		_, err := take(t, store, one(fmt.Sprint("now ", i), perMinute("k", 1)))
		require.NoError(t, err, "all of the log's room is there again: %d", i)
	}
	_, err := take(t, store, one("one more", perMinute("k", 1)))
	require.ErrorIs(t, err, ratelimit.ErrFull)
}

func TestResetMakesRoom(t *testing.T) {
	store := ratelimit.NewMemory(ratelimit.WithMaxEntries(1))
	for i := range 3 {
		rule := perMinute(fmt.Sprint(i), 2)
		_, err := take(t, store, one("g", rule))
		require.NoError(t, err)
		require.NoError(t, store.Reset(context.Background(), "g", []ratelimit.Rule{rule}))
	}
}

func TestKeptDecisionsAndRefundsTakeRoomAndMakeIt(t *testing.T) {
	clock := storetest.NewClock()
	store := ratelimit.NewMemory(ratelimit.WithClock(clock.Now), ratelimit.WithMaxEntries(3))
	for round := range 3 {
		req := one("g", perMinute("k", 5))
		req.ID = "id"
		dec, err := take(t, store, req)
		require.NoError(t, err)
		require.False(t, dec.Replayed)
		require.NoError(t, store.Refund(context.Background(), dec.Receipt("g"), 1))
		_, err = take(t, store, one(fmt.Sprint("other ", round), perMinute("k", 5)))
		require.ErrorIs(t, err, ratelimit.ErrFull)
		clock.Advance(time.Hour)
		_, err = take(t, store, one(fmt.Sprint("other ", round), perMinute("k", 5)))
		require.NoError(t, err, "counter, decision and refund are gone")
		clock.Advance(time.Hour)
	}
}

func TestMemoryTakeAllocatesNothing(t *testing.T) {
	store := ratelimit.NewMemory()
	today := time.Now().UTC().Truncate(24 * time.Hour)
	day := func(n int) time.Time { return today.AddDate(0, 0, n) }
	quota := perMinute("quota", 1_000_000)
	quota.Window, quota.Calendar = 0, &ratelimit.Calendar{
		Name:     "day",
		Previous: ratelimit.Period{Start: day(-1), End: day(0)},
		Current:  ratelimit.Period{Start: day(0), End: day(1)},
		Next:     ratelimit.Period{Start: day(1), End: day(2)},
	}
	for name, limit := range map[string]int64{"admitted": 1_000_000, "refused": 1} {
		req := one(name, perMinute("a", limit), perMinute("b", 1_000_000), quota)
		req.Rules[0].Algorithm = ratelimit.SlidingWindow
		var dec ratelimit.Decision
		ctx := context.Background()
		require.Zero(t, testing.AllocsPerRun(100, func() {
			if err := store.Take(ctx, &req, &dec); err != nil {
				panic(err)
			}
			_, _ = dec.RetryAfter(), dec.Tightest()
		}), name)
		require.Equal(t, name == "admitted", dec.Allowed)
	}
}

func TestMemoryStaysExactWhileItSweeps(t *testing.T) {
	const goroutines, each = 8, 5000
	var reads atomic.Int64
	store := ratelimit.NewMemory(ratelimit.WithClock(func() time.Time {
		return storetest.Noon.Add(time.Duration(reads.Add(1)) * 10 * time.Millisecond)
	}))
	hourly := perMinute("k", each)
	hourly.Window = time.Hour
	var all sync.WaitGroup
	var allowed [goroutines]int
	for g := range goroutines {
		all.Go(func() {
			var dec ratelimit.Decision
			for i := range each {
				fleeting := one("fleeting", perMinute(fmt.Sprint(g, " ", i), 1))
				shared := one("shared", hourly)
				if err := errors.Join(
					store.Take(context.Background(), &fleeting, &dec),
					store.Take(context.Background(), &shared, &dec),
				); err != nil {
					panic(err)
				}
				if dec.Allowed {
					allowed[g]++
				}
			}
		})
	}
	all.Wait()
	var total int
	for _, n := range allowed {
		total += n
	}
	require.Equal(t, each, total)
}

func BenchmarkMemoryTake(b *testing.B) {
	store := ratelimit.NewMemory()
	requests := make([]ratelimit.Request, 100_000)
	for i := range requests {
		rule := perMinute("k", 1_000_000)
		rule.Algorithm = ratelimit.SlidingWindow
		requests[i] = one(fmt.Sprint("group ", i), rule)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var dec ratelimit.Decision
		for i := 0; pb.Next(); i++ {
			if err := store.Take(context.Background(), &requests[i*7919%len(requests)], &dec); err != nil {
				b.Error(err)
			}
		}
	})
}
