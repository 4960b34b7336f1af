package testenv

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func clusterClient(t *testing.T, cluster *Cluster) *redis.ClusterClient {
	options, err := redis.ParseClusterURL(cluster.URL())
	require.NoError(t, err)
	require.ElementsMatch(t, cluster.Addrs(), options.Addrs)
	client := redis.NewClusterClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func TestClusterMovesSlotsAndSurvivesTheDeathOfAMaster(t *testing.T) {
	t.Parallel() // it waits a lot
	cluster := RedisCluster(t)
	client := clusterClient(t, cluster)
	masters := map[*clusterNode]bool{}
	for i := range 30 {
		key := fmt.Sprintf("{%d}", i)
		require.NoError(t, client.MSet(t.Context(), key+"a", i, key+"b", i).Err())
		master, replica, err := cluster.serving(t.Context(), cluster.Slot(key))
		require.NoError(t, err)
		require.NotNil(t, replica)
		masters[master] = true
	}
	require.Len(t, masters, clusterMasters)
	slot := cluster.Slot("{1}")
	before, _, err := cluster.serving(t.Context(), slot)
	require.NoError(t, err)
	cluster.Move(slot)
	require.Equal(t, []any{"1", "1"}, client.MGet(t.Context(), "{1}a", "{1}b").Val())
	master, replica, err := cluster.serving(t.Context(), slot)
	require.NoError(t, err)
	require.NotSame(t, before, master)
	require.Zero(t, before.admin.ClusterCountKeysInSlot(t.Context(), slot).Val())

	require.Eventually(t, func() bool { // what is not replicated dies with the master
		return replica.admin.ClusterCountKeysInSlot(context.Background(), slot).Val() == 2
	}, readyWithin, 10*time.Millisecond)
	cluster.KillMaster(slot)
	require.Equal(t, []any{"1", "1"}, replica.admin.MGet(t.Context(), "{1}a", "{1}b").Val())
	after, none, err := cluster.serving(t.Context(), slot)
	require.NoError(t, err)
	require.Same(t, replica, after)
	require.Nil(t, none)
	require.Len(t, cluster.alive(), 2*clusterMasters-1)
}
