package limiters

import (
	"context"

	"github.com/redis/go-redis/v9"
	ulule "github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/store/memory"
	ululeredis "github.com/ulule/limiter/v3/drivers/store/redis"

	"github.com/viva/rate-limiter/bench/workload"
)

// ululeLimiter is one over any of its stores. A store of it that was dropped stops its sweeper by itself.
type ululeLimiter struct{ limiter *ulule.Limiter }

func newUlule(c Config) (Store, error) {
	store := memory.NewStore()
	if c.Sweep > 0 {
		store = memory.NewStoreWithOptions(ulule.StoreOptions{Prefix: ulule.DefaultPrefix, CleanUpInterval: c.Sweep})
	}
	return ululeOver(store, c), nil
}

func newUluleRedis(client *redis.Client, c Config) (Store, error) {
	store, err := ululeredis.NewStore(client)
	if err != nil {
		return nil, err
	}
	return ululeOver(store, c), nil
}

func ululeOver(store ulule.Store, c Config) Store {
	return ululeLimiter{ulule.New(store, ulule.Rate{Period: c.Window, Limit: c.Limit})}
}

func (l ululeLimiter) Taker() workload.Taker { return l }

func (l ululeLimiter) Close() error { return nil }

func (l ululeLimiter) Take(key string) (bool, error) {
	state, err := l.limiter.Get(context.Background(), key)
	return err == nil && !state.Reached, err
}
