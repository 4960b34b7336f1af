package limiters

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/bench/redisserver"
	"github.com/viva/rate-limiter/bench/workload"
)

// Every limiter must do what is measured: admit as many as the limit says, and refuse the next.
func TestLimitersAdmitTheirLimitAndNoMore(t *testing.T) {
	for _, limiter := range InMemory {
		if limiter.Name == Floor {
			continue
		}
		t.Run(limiter.Name, func(t *testing.T) {
			store, err := limiter.New(Config{Limit: 100, Window: time.Hour, Keys: 10})
			require.NoError(t, err)
			admitsItsLimit(t, store, 100)
			require.NoError(t, store.Close())
		})
	}
}

func TestLimitersInRedisAdmitTheirLimitAndNoMore(t *testing.T) {
	server, err := redisserver.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	for i, limiter := range InRedis {
		if limiter.Name == Floor {
			continue
		}
		t.Run(limiter.Name, func(t *testing.T) {
			client := server.Client(i)
			defer client.Close()
			store, err := limiter.New(client, Config{Limit: 100, Window: time.Hour})
			require.NoError(t, err)
			admitsItsLimit(t, store, 100)
			require.NoError(t, store.Close())
		})
	}
}

// admitsItsLimit takes from two keys in turn, with two takers, since they share the store.
func admitsItsLimit(t *testing.T, store Store, limit int) {
	t.Helper()
	takers := []workload.Taker{store.Taker(), store.Taker()}
	for i := range limit {
		for _, key := range []string{"a key", "another"} {
			admitted, err := takers[i%2].Take(key)
			require.NoError(t, err)
			require.True(t, admitted, "call %d of %s", i, key)
		}
	}
	for _, taker := range takers {
		for _, key := range []string{"a key", "another"} {
			admitted, err := taker.Take(key)
			require.NoError(t, err)
			require.False(t, admitted, "one more than the limit of %s", key)
		}
	}
}

// The limits of the measurements are extreme: nothing may round to zero or overflow.
func TestLimitersKeepTheLimitsOfTheMeasurements(t *testing.T) {
	for _, limiter := range InMemory {
		t.Run(limiter.Name, func(t *testing.T) {
			for _, deny := range []bool{false, true} {
				store, err := limiter.New(Steady(10, deny))
				require.NoError(t, err)
				fill, err := workload.Fill(store.Taker(), 0, 10, false)
				require.NoError(t, err)
				require.Equal(t, 10, fill.Admitted)
				again, err := workload.Fill(store.Taker(), 0, 10, false)
				if deny && limiter.Name != Floor {
					require.Zero(t, again.Admitted)
				} else {
					require.NoError(t, err)
				}
				require.NoError(t, store.Close())
			}
		})
	}
}

func BenchmarkTake(b *testing.B) {
	const keys = 100_000
	for _, limiter := range InMemory {
		b.Run(limiter.Name, func(b *testing.B) {
			store, err := limiter.New(Steady(keys, false))
			require.NoError(b, err)
			defer store.Close()
			_, err = workload.Fill(store.Taker(), 0, keys, false)
			require.NoError(b, err)
			accesses := workload.Accesses(workload.Uniform, keys, 1<<20, 1)
			b.ReportAllocs()
			b.ResetTimer()
			var goroutines atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				taker := store.Taker()
				for i := int(goroutines.Add(1)) * 100_003; pb.Next(); i++ {
					if admitted, err := taker.Take(accesses[i%len(accesses)]); !admitted {
						b.Errorf("not admitted: %v", err)
						return
					}
				}
			})
		})
	}
}
