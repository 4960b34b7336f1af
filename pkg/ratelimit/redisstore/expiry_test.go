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
