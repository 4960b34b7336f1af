package limiters

import (
	"context"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/viva/rate-limiter/bench/workload"
	"github.com/viva/rate-limiter/pkg/ratelimit/redisstore"
)

// Shared is a limiter that keeps its limits in Redis.
type Shared struct {
	Name   string
	Module string                                     // empty for ours
	New    func(*redis.Client, Config) (Store, error) // on a logical database of its own
}

// RedisRate is the name of the peer in Redis that ours has a budget against.
const RedisRate = "redis_rate"

// InRedis lists the limiters over Redis, ours first.
var InRedis = []Shared{
	{Ours, "", newVivaRedis(1)},
	{"viva, 3 rules", "", newVivaRedis(3)},
	{RedisRate, "github.com/go-redis/redis_rate/v10", newRedisRate},
	{"ulule", "github.com/ulule/limiter/v3", newUluleRedis},
	{"throttled", "github.com/throttled/throttled/v2", newThrottledRedis},
	{Floor, "", newPing},
}

func newVivaRedis(rules int) func(*redis.Client, Config) (Store, error) {
	return func(client *redis.Client, c Config) (Store, error) {
		return &viva{redisstore.New(client), vivaRules(rules, c)}, nil
	}
}

type redisRate struct {
	limiter *redis_rate.Limiter
	limit   redis_rate.Limit
}

func newRedisRate(client *redis.Client, c Config) (Store, error) {
	limit := redis_rate.Limit{Rate: int(c.Limit), Burst: int(c.Limit), Period: c.Window}
	return redisRate{redis_rate.NewLimiter(client), limit}, nil
}

func (r redisRate) Taker() workload.Taker { return r }

func (r redisRate) Close() error { return nil }

func (r redisRate) Take(key string) (bool, error) {
	result, err := r.limiter.Allow(context.Background(), key, r.limit)
	return err == nil && result.Allowed > 0, err
}

// ping is no limiter: one round trip to the server.
type ping struct{ client *redis.Client }

func newPing(client *redis.Client, _ Config) (Store, error) { return ping{client}, nil }

func (p ping) Taker() workload.Taker { return p }

func (p ping) Close() error { return nil }

func (p ping) Take(string) (bool, error) {
	err := p.client.Ping(context.Background()).Err()
	return err == nil, err
}
