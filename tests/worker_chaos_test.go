//go:build journeys

package tests

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
)

// Three workers, of which two are killed again and again while Redis is restarted and flushed and PostgreSQL is restarted:
// what is due is done, and nothing of it twice.
func TestWorkersDoWhatIsDueThroughCrashes(t *testing.T) {
	calmMonth()
	const limit = 5
	postgres, redis := testenv.PostgresServer(t), testenv.RedisServer(t)
	s := shared(t, postgres.URL(), redis.URL()).with(metered).with(nearby)
	seed := newSeed(t)
	random := rand.New(rand.NewPCG(seed, 1))
	api := start(t, s, "api").client()
	outs := []*outlet{outletOf(t, s, "worker"), outletOf(t, s, "worker"), outletOf(t, s, "worker")}
	options, err := goredis.ParseURL(redis.URL())
	require.NoError(t, err)
	store := goredis.NewClient(options)
	t.Cleanup(func() { store.Close() })
	r := newReceiver(t)
	r.fails = true
	api.told(r, "alert.*")
	api.plan("unlimited")

	// Keys that come to be over their quota one after the other, and go on asking.
	var secrets []string
	keys := map[string]bool{}
	for range 200 {
		k := api.create(monthly(limit))
		secrets, keys[k.ID] = append(secrets, k.Secret), true
	}
	ended := time.After(time.Minute)
	var over atomic.Bool
	asking := make(chan struct{})
	go func() {
		defer close(asking)
		for n := 0; !over.Load(); n++ {
			// Redis or PostgreSQL may be away: what is not answered is not counted either.
			_, _, _ = api.ask(object{"api_key": secrets[min(n/20, len(secrets)-1)], "cost": 1})
			<-time.After(10 * time.Millisecond)
		}
	}()
	for round := 0; ; round++ {
		soon(random, 4*time.Second)
		victim := outs[round%2]
		victim.kill()
		switch round % 4 {
		case 1:
			redis.Kill()
			soon(random, time.Second)
			redis.Start()
		case 2:
			require.NoError(t, store.FlushAll(t.Context()).Err())
		case 3:
			postgres.Kill()
			soon(random, time.Second)
			postgres.Start()
		}
		victim.start(t, s, "worker")
		select {
		case <-ended:
		default:
			continue
		}
		break
	}
	over.Store(true)
	<-asking
	for _, secret := range secrets {
		<-time.After(20 * time.Millisecond) // a message lists a burst of 200 events at most
		eventually(t, patience, func() error {
			d, got, err := api.ask(object{"api_key": secret})
			if err == nil && d.Code != "quota_exceeded" {
				err = fmt.Errorf("%d %s", got.status, got.body)
			}
			return err
		})
	}

	b := openBooks(t, s, postgres.URL())
	within(b, 0, "SELECT COUNT(*) FROM rate_limit_violations WHERE analyzed < denials")
	within(b, int64(len(keys)), "SELECT COUNT(DISTINCT key_id) FROM alerts WHERE rule_name = 'quota-100' AND state <> 'pending'")
	within(b, 0, "SELECT COUNT(*) FROM notices WHERE planned_at IS NULL")
	within(b, 0, "SELECT COUNT(*) FROM deliveries WHERE state <> 'delivered'")
	b.is(0, "SELECT COUNT(*) FROM jobs WHERE failed_at IS NOT NULL")
	b.is(int64(len(keys)), "SELECT COUNT(*) FROM alerts WHERE rule_name = 'quota-100'")
	b.is(0, "SELECT COUNT(*) - COUNT(DISTINCT fingerprint) FROM alerts")

	// Every notice of an alert came, in one message.
	notices := read(b, "SELECT CAST(id AS text) FROM notices WHERE dedup_key NOT LIKE 'outreach:%'", func(id *string) []any { return []any{id} })
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range notices {
		e := r.events[id]
		require.NotNil(t, e, "notice %s was not delivered", id)
		require.Equal(t, 1, e.times, "notice %s came in several messages", id)
	}
	active := 0
	for _, e := range r.events {
		if e.Type == "alert.active" && e.Data["rule"] == "quota-100" {
			require.True(t, keys[e.KeyID])
			active++
		}
	}
	require.Equal(t, len(keys), active)
	t.Logf("%d notices in %d messages", len(notices), len(r.seen))
}

// within waits until a query gives a number: jobs of workers that died are found after half a minute and more.
func within(b *books, want int64, query string) {
	b.t.Helper()
	eventually(b.t, 3*time.Minute, func() error {
		got, err := b.number(query)
		if err == nil && got != want {
			err = fmt.Errorf("%s: %d, not %d", query, got, want)
		}
		return err
	})
}
