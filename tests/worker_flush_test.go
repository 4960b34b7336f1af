//go:build journeys

package tests

import (
	"fmt"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
)

// Jobs of every kind that stand in the queue when Redis forgets everything are done within a minute.
func TestNoJobIsLostWithRedis(t *testing.T) {
	postgres, server := testenv.Postgres(t), testenv.RedisServer(t)
	s := shared(t, postgres, server.URL()).with(metered).with(nearby)
	node := start(t, s, "api").client()
	start(t, s, "worker")
	r := newReceiver(t)
	node.told(r)
	k := node.create(object{"name": "refused"})
	id := into[struct{ Data []struct{ ID string } }](t, node.call(200, "GET", "/api/v1/destinations", nil)).Data[0].ID
	node.call(200, "POST", "/api/v1/destinations/"+id+"/test", nil)
	delivery := into[struct{ Data []struct{ ID string } }](t, node.call(200, "GET", "/api/v1/deliveries", nil)).Data[0].ID
	subjects := map[string]string{
		"rate_limit:exceeded": k.ID, "security:analyze": k.ID, "notify:deliver": delivery,
		"alert:check": "", "alert:retention": "", "notify:plan": "", "notify:retention": "", "customer:outreach": "", "key:expire": "",
		"usage:partitions": "", "usage:tallies": "", "usage:compact": "", "usage:retention": "", "audit:retention": "", "privacy:erase": "",
	}
	b := openBooks(t, s, postgres)
	b.becomes(0, "SELECT COUNT(*) FROM jobs WHERE kind = 'usage:partitions'") // the start is over
	for _, queue := range []string{"critical", "default", "low"} {
		node.call(200, "POST", "/api/v1/admin/queues/"+queue+"/pause", nil)
	}
	for kind, subject := range subjects {
		_, err := b.db.Exec(`INSERT INTO jobs (kind, subject, generation, due_at, created_at) VALUES ($1, $2, 1, now(), now())
			ON CONFLICT (kind, subject) DO UPDATE SET generation = jobs.generation + 1, due_at = now(), sent_at = NULL`, kind, subject)
		require.NoError(t, err)
	}
	b.becomes(0, "SELECT COUNT(*) FROM jobs WHERE sent_at IS NULL")
	b.is(int64(len(subjects)), "SELECT COUNT(*) FROM jobs")

	options, err := goredis.ParseURL(server.URL())
	require.NoError(t, err)
	store := goredis.NewClient(options)
	t.Cleanup(func() { store.Close() })
	require.NoError(t, store.FlushAll(t.Context()).Err()) // the pauses as well
	flushed := time.Now()
	waiting := fmt.Sprintf("SELECT COUNT(*) FROM jobs WHERE created_at < to_timestamp(%f)", float64(flushed.UnixMicro())/1e6)
	eventually(t, time.Minute, func() error {
		n, err := b.number(waiting)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d jobs wait", n)
		}
		return err
	})
	t.Logf("the last of %d kinds was done %s after Redis forgot it", len(subjects), time.Since(flushed))
	b.is(0, "SELECT COUNT(*) FROM jobs WHERE failed_at IS NOT NULL OR failures > 0")
}
