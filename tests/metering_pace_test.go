//go:build journeys

package tests

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The database is to keep up with checks as fast as one process answers them: what waits in the journal does not grow.
func TestTheDatabaseKeepsUpWithChecks(t *testing.T) {
	const clients, lasts, keys = 16, 2 * time.Minute, 4
	s := alone(t).with(settings{"VIVA_LOG_LEVEL": "warn"}) // rows are sampled, as they are by default
	p := start(t, s, "viva", "serve")
	node := p.client()
	node.plan("unlimited")
	secrets := make([]string, keys)
	for i := range secrets {
		secrets[i] = node.create(object{"name": "busy", "plan": "unlimited", "rules": []object{
			{"name": "monthly", "limit": 1 << 40, "period": "month"},
		}}).Secret
	}
	b := openBooks(t, s, "")
	var (
		answered atomic.Int64
		enough   atomic.Bool
		working  sync.WaitGroup
	)
	stop := func() {
		enough.Store(true)
		working.Wait()
	}
	t.Cleanup(stop)
	working.Go(func() {
		parallel(clients, func(worker int) {
			for !enough.Load() {
				d, _, err := node.ask(object{"api_key": secrets[worker%keys], "method": "GET", "endpoint": "/v1/things"})
				if err != nil || !d.Allowed {
					t.Errorf("check: %v %+v", err, d)
					return
				}
				answered.Add(1)
			}
		})
	})

	const ingested = "SELECT COALESCE(SUM(last_seq), 0) FROM ingest_cursors"
	var lags []int64
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for time.Since(began) < lasts {
		<-tick.C
		n := answered.Load() // before the cursor, which may then know of more
		in, err := b.number(ingested)
		require.NoError(t, err)
		lags = append(lags, n-in)
	}
	perSecond := float64(answered.Load()) / time.Since(began).Seconds()
	stop()
	t.Logf("%.0f checks a second; not in the database, every half second: %d", perSecond, lags)
	for _, lag := range lags[len(lags)-4:] {
		require.Less(t, float64(lag), 4*perSecond, "they gather for two seconds, and are brought in within one")
	}
	p.stop()
	b.is(answered.Load(), ingested)
	b.is(answered.Load(), "SELECT SUM(requests) FROM usage_sums WHERE requests = allowed AND requests = units")
	b.is(answered.Load(), spentOfAll)
	b.coarser(b.rollups())
}
