package ratelimit_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/storetest"
)

// quarterly is a durable rule of six hours, with a seed of it for now.
func quarterly(id string, now time.Time, used int64) (ratelimit.Rule, ratelimit.Seeding) {
	rule := perMinute(id, 1_000_000)
	rule.Window, rule.Durable, rule.Calendar = 0, true, sixHours(now)
	return rule, ratelimit.Seeding{Rule: rule, Start: rule.Calendar.Current.Start, Used: used}
}

func TestFullMemorySeedsAllOrNothing(t *testing.T) {
	ctx := context.Background()
	clock := storetest.NewClock()
	store := ratelimit.NewMemory(ratelimit.WithClock(clock.Now), ratelimit.WithMaxEntries(3))
	a, seedA := quarterly("a", clock.Now(), 1)
	b, seedB := quarterly("b", clock.Now(), 1)
	for i := range 2 {
		_, err := take(t, store, one(fmt.Sprint(i), perMinute("k", 2)))
		require.NoError(t, err)
	}
	require.ErrorIs(t, store.Seed(ctx, "g", []ratelimit.Seeding{seedA, seedB}), ratelimit.ErrFull)
	for _, rule := range []ratelimit.Rule{a, b} {
		_, err := take(t, store, one("g", rule))
		require.ErrorIs(t, err, ratelimit.ErrUnseeded, "not for want of room")
	}
	require.NoError(t, store.Seed(ctx, "g", []ratelimit.Seeding{seedA}))
	seedA.Used = 5
	require.NoError(t, store.Seed(ctx, "g", []ratelimit.Seeding{seedA}), "what is there needs no room")
	require.ErrorIs(t, store.Seed(ctx, "g", []ratelimit.Seeding{seedA, seedB}), ratelimit.ErrFull)

	clock.Advance(3 * time.Minute) // the two that are only per minute are done
	require.NoError(t, store.Seed(ctx, "g", []ratelimit.Seeding{seedA, seedB}), "room is looked for")
	dec, err := take(t, store, one("g", a, b))
	require.NoError(t, err)
	require.Equal(t, int64(1_000_000-5-1), dec.Results[0].Remaining)
	require.Equal(t, int64(1_000_000-1-1), dec.Results[1].Remaining)
}

// TestMemoryHoldsWhatIsSeededForItsPeriod has others come and go all the while.
func TestMemoryHoldsWhatIsSeededForItsPeriod(t *testing.T) {
	clock := storetest.NewClock()
	store := ratelimit.NewMemory(ratelimit.WithClock(clock.Now))
	rule, seed := quarterly("a", clock.Now(), 0)
	require.NoError(t, store.Seed(context.Background(), "g", []ratelimit.Seeding{seed}))
	for minute := range 6*60 - 1 {
		clock.Advance(time.Minute)
		for i := range 10 {
			_, err := take(t, store, one("g", perMinute(fmt.Sprint("passing ", minute, i), 1)))
			require.NoError(t, err)
		}
	}
	_, err := take(t, store, one("g", rule))
	require.NoError(t, err)
	clock.Advance(time.Minute)
	_, err = take(t, store, one("g", rule))
	require.ErrorIs(t, err, ratelimit.ErrUnseeded)
}

// TestMemoryHoldsWhatIsCharged: a bucket charged far beyond its burst counts for
// years, and longer than is counted to.
func TestMemoryHoldsWhatIsCharged(t *testing.T) {
	clock := storetest.NewClock()
	store := ratelimit.NewMemory(ratelimit.WithClock(clock.Now))
	for i, units := range []int64{1_000, ratelimit.MaxCost} {
		rule := perMinute(fmt.Sprint(i), 1)
		rule.Algorithm, rule.Window = ratelimit.GCRA, 24*time.Hour
		dec, err := take(t, store, one("charged", rule))
		require.NoError(t, err)
		require.NoError(t, store.Refund(context.Background(), dec.Receipt("charged"), -units))
		for day := range 990 {
			clock.Advance(24 * time.Hour)
			for n := range 20 {
				_, err := take(t, store, one("charged", perMinute(fmt.Sprint("passing ", i, day, n), 1)))
				require.NoError(t, err)
			}
		}
		dec, err = take(t, store, one("charged", rule))
		require.NoError(t, err)
		require.False(t, dec.Allowed)
	}
}

func TestMemoryTakeOfDurableRulesAllocatesNothing(t *testing.T) {
	store := ratelimit.NewMemory()
	rule, seed := quarterly("a", time.Now(), 5)
	require.NoError(t, store.Seed(context.Background(), "g", []ratelimit.Seeding{seed}))
	req := one("g", rule)
	var dec ratelimit.Decision
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := store.Take(context.Background(), &req, &dec); err != nil || !dec.Allowed {
			panic(err)
		}
	}))
}
