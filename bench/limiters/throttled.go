package limiters

import (
	"context"

	"github.com/redis/go-redis/v9"
	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/goredisstore.v9"
	"github.com/throttled/throttled/v2/store/memstore"

	"github.com/viva/rate-limiter/bench/workload"
)

// throttledLimiter is one over any of its stores.
type throttledLimiter struct {
	limiter *throttled.GCRARateLimiterCtx
}

// Without a bound on its keys the store is a plain map, which is the faster: the bounded one is a list of least recent
// use behind one lock. Neither drops keys that no longer count.
func newThrottled(c Config) (Store, error) {
	store, err := memstore.NewCtx(0)
	if err != nil {
		return nil, err
	}
	return throttledOver(store, c)
}

func newThrottledRedis(client *redis.Client, c Config) (Store, error) {
	store, err := goredisstore.NewCtx(client, "throttled:")
	if err != nil {
		return nil, err
	}
	return throttledOver(store, c)
}

func throttledOver(store throttled.GCRAStoreCtx, c Config) (Store, error) {
	limiter, err := throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{
		MaxRate:  throttled.PerDuration(int(c.Limit), c.Window),
		MaxBurst: int(c.Limit - 1),
	})
	return throttledLimiter{limiter}, err
}

func (l throttledLimiter) Taker() workload.Taker { return l }

func (l throttledLimiter) Close() error { return nil }

func (l throttledLimiter) Take(key string) (bool, error) {
	limited, _, err := l.limiter.RateLimitCtx(context.Background(), key, 1)
	return err == nil && !limited, err
}
