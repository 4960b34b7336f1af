package redisstore_test

import (
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/redisstore"
	"github.com/viva/rate-limiter/pkg/ratelimit/storetest"
)

func TestEveryServerProgramKeepsTheContract(t *testing.T) {
	for _, program := range testenv.RedisPrograms(t) {
		t.Run(filepath.Base(program), func(t *testing.T) {
			client := connect(t, testenv.RedisServerOf(t, program).URL())
			storetest.Run(t, func(t *testing.T, clock *storetest.Clock) ratelimit.Store {
				return redisstore.New(client, redisstore.WithNamespace(t.Name()), redisstore.WithClock(clock.Now))
			})
		})
	}
}

func TestTheContractHoldsOverTLS(t *testing.T) {
	server := testenv.RedisTLS(t)
	client := redis.NewClient(&redis.Options{
		Addr: server.Addr(), TLSConfig: server.Config(), ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	storetest.Run(t, func(t *testing.T, clock *storetest.Clock) ratelimit.Store {
		return redisstore.New(client, redisstore.WithNamespace(t.Name()), redisstore.WithClock(clock.Now))
	})
}
