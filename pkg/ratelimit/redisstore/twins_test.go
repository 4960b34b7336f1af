package redisstore_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/redisstore"
	"github.com/viva/rate-limiter/pkg/ratelimit/storetest"
)

// FuzzTwins plays the random trace of a seed on the memory store and on Redis,
// by the same clock, and compares every answer with the model's. Seeds that
// ever failed stay in testdata.
func FuzzTwins(f *testing.F) {
	client := connect(f, testenv.Redis(f))
	for seed := range uint64(100) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		require.NoError(t, traceTwins(client, seed))
	})
}

// TestTwins plays ten thousand traces, a few of them at a time.
func TestTwins(t *testing.T) {
	const first, traces, at = 100, 10_000, 4
	client := connect(t, testenv.Redis(t))
	t.Run("seeds", func(t *testing.T) {
		for worker := range uint64(at) {
			t.Run(fmt.Sprint("from ", first+worker), func(t *testing.T) {
				t.Parallel()
				for seed := first + worker; seed < traces; seed += at {
					require.NoError(t, traceTwins(client, seed))
				}
			})
		}
	})
}

func traceTwins(client *redis.Client, seed uint64) error {
	const steps = 30
	clock := storetest.NewClock()
	place := func() redisstore.Option { return redisstore.WithNamespace(fmt.Sprint("twins", rand.Uint64())) }
	return storetest.Trace(seed, steps, clock, map[string]ratelimit.Store{
		"memory": storetest.Losing(func() ratelimit.Store { return ratelimit.NewMemory(ratelimit.WithClock(clock.Now)) }),
		"redis": storetest.Losing(func() ratelimit.Store {
			return redisstore.New(client, place(), redisstore.WithClock(clock.Now))
		}),
	})
}
