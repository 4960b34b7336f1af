package queue_test

import (
	"errors"
	"testing"
	"time"

	"context"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/queue"
	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/apierror"
)

func TestInspectorTellsHowTheQueuesAreAndPausesThem(t *testing.T) {
	everywhere(t, func(t *testing.T, h house, redis redis.UniversalClient) {
		inspector := queue.NewInspector(redis, "viva")
		states := func() []models.QueueState {
			t.Helper()
			list, err := inspector.Queues(t.Context())
			require.NoError(t, err)
			return list
		}
		require.Equal(t, []models.QueueState{{Name: "critical"}, {Name: "default"}, {Name: "low"}}, states())
		for _, pause := range []bool{true, false, true} {
			changed, err := inspector.SetPaused(t.Context(), "default", pause)
			require.NoError(t, err)
			require.True(t, changed)
			changed, err = inspector.SetPaused(t.Context(), "default", pause)
			require.NoError(t, err)
			require.False(t, changed, "it is already")
		}
		_, err := inspector.SetPaused(t.Context(), "urgent", true)
		require.ErrorIs(t, err, apierror.CodeNotFound)

		h.worker(t, redis, nil, kind(kindA, func(_ context.Context, subject string) (time.Duration, error) {
			if subject == "bad" {
				return 0, errors.New("bad")
			}
			return 0, nil
		}))
		h.touch(t, kindA, "good", "bad")
		require.Eventually(t, func() bool { return states()[1].Pending == 2 }, patience, 10*time.Millisecond)
		require.True(t, states()[1].Paused)
		require.Positive(t, states()[1].Latency)
		_, err = inspector.SetPaused(t.Context(), "default", false)
		require.NoError(t, err)
		require.Eventually(t, func() bool { s := states()[1]; return s.Processed >= 2 && s.Failed >= 1 && s.Pending == 0 }, patience, 10*time.Millisecond)
	})
}

func TestInspectorOfAQueueOutOfReachSaysSo(t *testing.T) {
	server := testenv.RedisServer(t)
	inspector := queue.NewInspector(client(t, server.URL()), "viva")
	require.NoError(t, inspector.Ping(t.Context()))
	server.Stop()
	_, err := inspector.Queues(t.Context())
	require.ErrorIs(t, err, apierror.CodeStoreUnavailable)
	require.ErrorIs(t, inspector.Ping(t.Context()), apierror.CodeStoreUnavailable)
	_, err = inspector.SetPaused(t.Context(), "low", true)
	require.ErrorIs(t, err, apierror.CodeStoreUnavailable)
}

func TestQueueLivesInACluster(t *testing.T) {
	h, cluster := postgres(t), testenv.RedisCluster(t)
	nodes := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs()})
	t.Cleanup(func() { require.NoError(t, nodes.Close()) })
	var done counts
	var kinds []queue.Kind
	for _, priority := range queue.Priorities {
		k := kind(models.JobKind("test:"+priority), done.handle)
		k.Queue = priority
		kinds = append(kinds, k)
		h.touch(t, k.Name, string(priority))
	}
	h.worker(t, nodes, nil, kinds...)
	h.empty(t)
	states, err := queue.NewInspector(nodes, "viva").Queues(t.Context())
	require.NoError(t, err)
	for _, state := range states {
		require.Equal(t, 1, done.of(state.Name))
	}
}
