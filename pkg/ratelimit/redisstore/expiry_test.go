package redisstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/redisstore"
	"github.com/viva/rate-limiter/pkg/ratelimit/storetest"
)

// TestCountersLiveAsLongAsTheyCount spends 30 units ten seconds after noon. A
// key outlives what counts by a minute or a tenth of the window: clocks go back.
func TestCountersLiveAsLongAsTheyCount(t *testing.T) {
	client := connect(t, testenv.Redis(t))
	clock := storetest.NewClock()
	clock.Advance(10 * time.Second)
	noon := storetest.Noon
	day := &ratelimit.Calendar{
		Name:     "half days",
		Previous: ratelimit.Period{Start: noon.Add(-12 * time.Hour), End: noon},
		Current:  ratelimit.Period{Start: noon, End: noon.Add(12 * time.Hour)},
		Next:     ratelimit.Period{Start: noon.Add(12 * time.Hour), End: noon.Add(24 * time.Hour)},
	}
	const second = time.Second
	for _, c := range []struct {
		rule   ratelimit.Rule
		counts time.Duration // for so long
		margin time.Duration
	}{
		{ratelimit.Rule{Window: time.Minute}, 110 * second, time.Minute},
		{ratelimit.Rule{Window: time.Hour}, 2*time.Hour - 10*second, 6 * time.Minute},
		{ratelimit.Rule{Window: time.Hour, Algorithm: ratelimit.FixedWindow}, 3590 * second, 6 * time.Minute},
		{ratelimit.Rule{Calendar: day, Algorithm: ratelimit.FixedWindow}, 12*time.Hour - 10*second, 72 * time.Minute},
		{ratelimit.Rule{Window: second, Algorithm: ratelimit.GCRA}, 300 * time.Millisecond, time.Minute},
		{ratelimit.Rule{Window: time.Hour, Algorithm: ratelimit.GCRA}, 18 * time.Minute, 6 * time.Minute},
		{ratelimit.Rule{Window: time.Minute, Algorithm: ratelimit.SlidingLog}, time.Minute, time.Minute},
		{ratelimit.Rule{Window: 24 * time.Hour, Algorithm: ratelimit.SlidingLog}, 24 * time.Hour, 144 * time.Minute},
	} {
		c.rule.Scope, c.rule.ID, c.rule.Name, c.rule.Limit = "key", "k1", t.Name(), 100
		require.NoError(t, client.FlushDB(context.Background()).Err())
		store := redisstore.New(client, redisstore.WithClock(clock.Now))
		take(t, store, &ratelimit.Request{Group: "g", Cost: 30, Rules: []ratelimit.Rule{c.rule}})
		keys, err := client.Keys(context.Background(), "*").Result()
		require.NoError(t, err)
		require.Len(t, keys, 1)
		life, err := client.PTTL(context.Background(), keys[0]).Result()
		require.NoError(t, err)
		require.InDelta(t, c.counts+c.margin, life, float64(10*second), "%v", c.rule)
	}
}

// TestWhatIsChargedAndSeededLivesAsLongAsItCounts: a bucket that is charged
// drains the longer, and what nobody used may be seeded for a day all the same.
func TestWhatIsChargedAndSeededLivesAsLongAsItCounts(t *testing.T) {
	ctx := context.Background()
	client := connect(t, testenv.RedisServer(t).URL())
	clock := storetest.NewClock()
	clock.Advance(10 * time.Second)
	store := redisstore.New(client, redisstore.WithClock(clock.Now))
	life := func() time.Duration {
		keys, err := client.Keys(ctx, "*:c:*").Result()
		require.NoError(t, err)
		require.Len(t, keys, 1)
		life, err := client.PTTL(ctx, keys[0]).Result()
		require.NoError(t, err)
		return life
	}
	bucket := ratelimit.Rule{
		Scope: "key", ID: "k1", Name: "n", Algorithm: ratelimit.GCRA, Limit: 100, Window: time.Hour,
	}
	req := &ratelimit.Request{Group: "g", Cost: 30, Rules: []ratelimit.Rule{bucket}}
	first, second := take(t, store, req).Receipt("g"), take(t, store, req).Receipt("g")
	require.InDelta(t, 42*time.Minute, life(), float64(10*time.Second))
	require.NoError(t, store.Refund(ctx, first, -540))
	require.InDelta(t, 6*time.Hour+6*time.Minute, life(), float64(10*time.Second))
	second.Spent[0].Rule.Limit = 1000
	require.NoError(t, store.Refund(ctx, second, -1))
	require.InDelta(t, 6*time.Hour+6*time.Minute, life(), float64(10*time.Second), "never for a shorter time")
	require.NoError(t, client.FlushDB(ctx).Err())
	first = take(t, store, req).Receipt("g")
	bucket.Limit = 1
	first.Spent[0].Rule.Limit, first.Spent[0].Rule.Burst = 1, 1
	require.NoError(t, store.Refund(ctx, first, -ratelimit.MaxCost))
	require.Greater(t, life(), 200*365*24*time.Hour, "more than three hundred years of 1 an hour")

	require.NoError(t, client.FlushDB(ctx).Err())
	_, seed := monthly(clock.Now())
	seed.Used = 0
	require.NoError(t, store.Seed(ctx, "g", []ratelimit.Seeding{seed}))
	require.InDelta(t, 18*24*time.Hour, life(), float64(10*time.Second), "half a month, and a tenth of one")
}
