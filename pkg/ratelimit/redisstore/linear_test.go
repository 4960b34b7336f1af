package redisstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/redisstore"
	"github.com/viva/rate-limiter/pkg/ratelimit/storetest"
)

// Two stores with a client each are to the server what two processes are.
func TestTwoRedisStoresAreLinearizable(t *testing.T) {
	url := testenv.Redis(t)
	clients := []*redis.Client{connect(t, url), connect(t, url)}
	var places int
	pair := func(options ...redisstore.Option) (stores []ratelimit.Store) {
		places++
		options = append(options, redisstore.WithNamespace(fmt.Sprint("place ", places)))
		for _, client := range clients {
			stores = append(stores, redisstore.New(client, options...))
		}
		return stores
	}
	storetest.Linearizable(t, 40, func(_ *testing.T, now func() time.Time) []ratelimit.Store {
		return pair(redisstore.WithClock(now))
	})
	t.Run("by the server's clock", func(t *testing.T) {
		for seed := range uint64(40) {
			require.NoError(t, storetest.History(seed, true, pair()...))
		}
	})
}
