package redisstore_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/redisstore"
	"github.com/viva/rate-limiter/pkg/ratelimit/storetest"
)

// What the replica had not heard of is granted once more, and nothing else is.
func TestSentinel(t *testing.T) {
	t.Parallel() // it waits a lot
	sentinel := testenv.RedisSentinel(t)
	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: testenv.SentinelMaster, SentinelAddrs: []string{sentinel.Addr()}, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { require.NoError(t, client.Close()) })

	storetest.Run(t, func(t *testing.T, clock *storetest.Clock) ratelimit.Store {
		return redisstore.New(client, redisstore.WithNamespace(t.Name()), redisstore.WithClock(clock.Now))
	})

	store := redisstore.New(client, redisstore.WithNamespace("failing"), still())
	accounts := newAccounts(4, 3000)
	f := startFlood(t, store, 300*time.Millisecond, accounts)
	require.Eventually(t, func() bool { return f.least() > 50 }, time.Minute, time.Millisecond)
	sentinel.KillMaster()
	took := time.Now()
	f.await(t, 40*time.Second)
	t.Logf("all was taken within %v", time.Since(took))
	var failed int64
	for _, a := range accounts {
		require.Equal(t, a.limit, a.spent(t, store), a.req.Group)
		require.GreaterOrEqual(t, a.allowed.Load()+a.failed.Load(), a.limit, a.req.Group)
		require.LessOrEqual(t, a.allowed.Load(), 2*a.limit, a.req.Group)
		failed += a.failed.Load()
		t.Logf("%s: %d of %d allowed", a.req.Group, a.allowed.Load(), a.limit)
	}
	require.Positive(t, failed, "the master was missed")
}
