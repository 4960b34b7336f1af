package redisstore_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/redisstore"
	"github.com/viva/rate-limiter/pkg/ratelimit/storetest"
)

// One cluster serves all of these tests: to start it takes two seconds. The last one breaks it.
func TestCluster(t *testing.T) {
	t.Parallel() // it waits a lot
	cluster := testenv.RedisCluster(t)
	options, err := redis.ParseClusterURL(cluster.URL())
	require.NoError(t, err)
	options.ContextTimeoutEnabled = true
	client := redis.NewClusterClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })

	storetest.Run(t, func(t *testing.T, clock *storetest.Clock) ratelimit.Store {
		return redisstore.New(client, redisstore.WithNamespace(t.Name()), redisstore.WithClock(clock.Now))
	})
	exactWhileSlotsMove(t, cluster, client)
	survivesTheDeathOfAMaster(t, cluster, client)
}

// Redirects and refusals prove that nothing ran. So takes may fail, as the keys of a slot that moves may be in two
// places; but not one unit may be lost or granted twice.
func exactWhileSlotsMove(t *testing.T, cluster *testenv.Cluster, client *redis.ClusterClient) {
	store := redisstore.New(client, redisstore.WithNamespace("moving"), still())
	accounts := newAccounts(8, 500)
	slots := make([]int, len(accounts))
	for i, a := range accounts {
		slots[i] = open(t, cluster, client, store, "moving", a)
	}
	f := startFlood(t, store, 10*time.Second, accounts) // no take is given up: each failure is a proof
	var moves int
	for flooded := false; !flooded; {
		cluster.Move(slots[moves%len(slots)])
		moves++
		select {
		case <-f.over:
			flooded = true
		default:
		}
	}
	f.await(t, time.Minute)
	require.Greater(t, moves, len(slots))
	var failed int64
	for _, a := range accounts {
		require.Equal(t, a.limit, a.allowed.Load(), a.req.Group)
		require.Equal(t, a.limit, a.spent(t, store), a.req.Group)
		failed += a.failed.Load()
	}
	t.Logf("%d moves, %d takes failed", moves, failed)
}

// open takes the account's first unit, which makes its counters, and returns their slot.
func open(
	t *testing.T, cluster *testenv.Cluster, client *redis.ClusterClient,
	store ratelimit.Store, namespace string, a *account,
) int {
	t.Helper()
	before := keys(t, client, namespace)
	require.True(t, take(t, store, &a.req).Allowed)
	a.allowed.Add(1)
	fresh := slices.DeleteFunc(keys(t, client, namespace), func(key string) bool { return slices.Contains(before, key) })
	require.Len(t, fresh, len(a.req.Rules))
	slot := cluster.Slot(fresh[0])
	for _, key := range fresh {
		require.Equal(t, slot, cluster.Slot(key))
	}
	return slot
}

func keys(t *testing.T, client *redis.ClusterClient, namespace string) []string {
	t.Helper()
	var mu sync.Mutex
	var all []string
	require.NoError(t, client.ForEachMaster(context.Background(), func(ctx context.Context, master *redis.Client) error {
		keys, err := master.Keys(ctx, namespace+":*").Result()
		mu.Lock()
		defer mu.Unlock()
		all = append(all, keys...)
		return err
	}))
	return all
}

// Replication is asynchronous: what a master acknowledged and its replica had not heard of is granted once more, and
// nothing else is.
func survivesTheDeathOfAMaster(t *testing.T, cluster *testenv.Cluster, client *redis.ClusterClient) {
	store := redisstore.New(client, redisstore.WithNamespace("failing"), still())
	accounts := newAccounts(9, 1000)
	slots := make([]int, len(accounts))
	masters := map[string]int{}
	for i, a := range accounts {
		slots[i] = open(t, cluster, client, store, "failing", a)
		masters[cluster.Master(slots[i])]++
	}
	require.Greater(t, len(masters), 1, "some accounts are with a master that stays")
	victim := cluster.Master(slots[0])
	bereft := make([]bool, len(accounts))
	for i := range accounts {
		bereft[i] = cluster.Master(slots[i]) == victim
	}

	f := startFlood(t, store, 300*time.Millisecond, accounts)
	require.Eventually(t, func() bool { return f.least() > 50 }, time.Minute, time.Millisecond)
	cluster.KillMaster(slots[0])
	took := time.Now()
	f.await(t, 40*time.Second) // the client of a cluster looks for changes by itself once a minute
	t.Logf("all was taken within %v", time.Since(took))
	var lost, failed int64
	for i, a := range accounts {
		allowed := a.allowed.Load()
		require.Equal(t, a.limit, a.spent(t, store), a.req.Group)
		require.GreaterOrEqual(t, allowed+a.failed.Load(), a.limit, a.req.Group)
		if bereft[i] {
			require.LessOrEqual(t, allowed, 2*a.limit, a.req.Group)
			lost += max(0, allowed-a.limit)
			failed += a.failed.Load()
		} else {
			require.LessOrEqual(t, allowed, a.limit, a.req.Group)
		}
	}
	require.Positive(t, failed, "the master was missed")
	t.Logf("%d units were granted again, %d takes failed", lost, failed)
}
