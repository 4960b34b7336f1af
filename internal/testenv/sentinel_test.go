package testenv

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestSentinelFailsOver(t *testing.T) {
	t.Parallel() // it waits a lot
	sentinel := RedisSentinel(t)
	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: SentinelMaster, SentinelAddrs: []string{sentinel.Addr()},
	})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	require.NoError(t, client.Set(t.Context(), "kept", 1, 0).Err())
	require.Eventually(t, func() bool { // what is not replicated dies with the master
		return sentinel.replica.admin.Get(context.Background(), "kept").Val() == "1"
	}, readyWithin, 10*time.Millisecond)

	sentinel.KillMaster()
	require.Eventually(t, func() bool { // the client hears of it by itself
		return client.Incr(context.Background(), "kept").Err() == nil
	}, readyWithin, 10*time.Millisecond)
	require.Equal(t, "2", sentinel.replica.admin.Get(t.Context(), "kept").Val())
}
