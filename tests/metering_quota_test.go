//go:build journeys

package tests

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
)

// calmMonth returns when the month does not turn while a test runs.
func calmMonth() {
	now := time.Now().UTC()
	turn := time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	if left := turn.Sub(now); left < time.Minute {
		<-time.After(left)
	}
}

func monthly(limit int64) object {
	return object{"name": "with a quota", "plan": "unlimited", "rules": []object{{"name": "monthly", "limit": limit, "period": "month"}}}
}

// left is what GET keys/{id}/limits says is left of a key's one rule.
func (c *client) left(k key) int64 {
	c.t.Helper()
	got := into[struct {
		Limits []struct{ Remaining int64 }
	}](c.t, c.call(200, "GET", "/api/v1/keys/"+k.ID+"/limits", nil))
	require.Len(c.t, got.Limits, 1)
	return got.Limits[0].Remaining
}

const spentOfAll = "SELECT COALESCE(SUM(units), 0) FROM quota_totals"

func TestQuotasOutlastRedis(t *testing.T) {
	calmMonth()
	database, server := testenv.Postgres(t), testenv.RedisServer(t)
	s := shared(t, database, server.URL()).with(metered).with(exactly)
	first := start(t, s, "api").client()
	second := start(t, s.with(settings{"VIVA_DATA_DIR": t.TempDir()}), "api").client()
	b := openBooks(t, s, database)
	options, err := redis.ParseURL(server.URL())
	require.NoError(t, err)
	store := redis.NewClient(options)
	t.Cleanup(func() { store.Close() })
	forget := func() {
		t.Helper()
		require.NoError(t, store.FlushAll(context.Background()).Err())
	}
	first.plan("unlimited")

	t.Run("to the unit, once all is in the database", func(t *testing.T) {
		first, second := first.in(t), second.in(t)
		k := first.create(monthly(50))
		require.Equal(t, 40, first.admitted(k.Secret, 25)+second.admitted(k.Secret, 15))
		b.becomes(40, spentOfAll)
		forget()
		require.EqualValues(t, 10, second.left(k))
		forget()
		var admitted atomic.Int64
		parallel(8, func(worker int) {
			for range 5 {
				d, _, err := []*client{first, second}[worker%2].ask(object{"api_key": k.Secret})
				if err != nil {
					t.Errorf("check: %v", err)
				}
				if d.Allowed {
					admitted.Add(1)
				} else if d.Code != "quota_exceeded" {
					t.Errorf("refused by %s", d.Code)
				}
			}
		})
		require.EqualValues(t, 10, admitted.Load())
		b.becomes(50, spentOfAll)
		forget()
		require.Zero(t, first.admitted(k.Secret, 5)+second.admitted(k.Secret, 5))
		require.Zero(t, first.left(k))
	})
	t.Run("amid load, but for what is on its way", func(t *testing.T) {
		const limit, clients = 3000, 8
		seed := newSeed(t)
		random := rand.New(rand.NewPCG(seed, 0))
		k := first.in(t).create(monthly(limit))
		mine := "SELECT COALESCE(SUM(units), 0) FROM quota_totals WHERE subject = 'key:" + k.ID + "'"
		var admitted, refused atomic.Int64
		var asking sync.WaitGroup
		t.Cleanup(asking.Wait)
		asking.Go(func() {
			parallel(clients, func(worker int) {
				for inARow := 0; inARow < 20; {
					d, got, err := []*client{first, second}[worker%2].ask(object{"api_key": k.Secret})
					switch {
					case err != nil || got.status != 200:
						t.Errorf("check: %v %d %s", err, got.status, got.body)
						return
					case d.Allowed:
						inARow = 0
						admitted.Add(1)
					default:
						inARow++
						refused.Add(1)
					}
				}
			})
		})
		onTheirWay := int64(0)
		for range 3 {
			soon(random, 500*time.Millisecond)
			ingested, err := b.number(mine)
			require.NoError(t, err)
			forget()
			onTheirWay += admitted.Load() + clients - ingested
		}
		asking.Wait()
		t.Logf("%d admitted of %d; at most %d were on their way when Redis forgot", admitted.Load(), limit, onTheirWay)
		require.GreaterOrEqual(t, admitted.Load(), int64(limit))
		require.LessOrEqual(t, admitted.Load(), limit+onTheirWay)
		b.becomes(admitted.Load(), mine)
	})
}

func TestQuotasOutlastTheProcess(t *testing.T) {
	calmMonth()
	s := alone(t).with(metered)
	p := start(t, s, "viva", "serve")
	node := p.client()
	node.plan("unlimited")
	b := openBooks(t, s, "")
	again := func() *client {
		p.kill()
		p = start(t, s, "viva", "serve")
		return p.client()
	}

	k := node.create(monthly(50))
	require.Equal(t, 40, node.admitted(k.Secret, 40))
	b.becomes(40, spentOfAll)
	node = again()
	require.EqualValues(t, 10, node.left(k))
	require.Equal(t, 4, node.admitted(k.Secret, 4))
	b.becomes(44, spentOfAll)
	require.Equal(t, 6, again().admitted(k.Secret, 30))

	// Whatever the database did not have yet, the journal has: the next process brings it in.
	node = p.client()
	k = node.create(monthly(50))
	require.Equal(t, 40, node.admitted(k.Secret, 40))
	mine := "SELECT COALESCE(SUM(units), 0) FROM quota_totals WHERE subject = 'key:" + k.ID + "'"
	ingested, err := b.number(mine)
	require.NoError(t, err)
	node = again()
	admitted := 40 + node.admitted(k.Secret, 60)
	t.Logf("%d admitted of 50; %d were on their way at the end of the process", admitted, 40-ingested)
	require.GreaterOrEqual(t, admitted, 50)
	require.LessOrEqual(t, int64(admitted), 50+40-ingested)
	b.becomes(int64(admitted), mine)
	eventually(t, patience, func() error {
		if left := node.left(k); left != 0 {
			return fmt.Errorf("%d are left", left)
		}
		return nil
	})
	require.Zero(t, node.admitted(k.Secret, 5))
	p.stop()
	b.drained(b.balance(nil))
}
