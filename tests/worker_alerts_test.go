//go:build journeys

package tests

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// From the call that reaches a threshold to the first attempt to tell of it.
const inTime = 30 * time.Second

func TestWhoReachesAQuotaIsToldOfOnceAndInTime(t *testing.T) {
	calmMonth()
	t.Run("viva serve", func(t *testing.T) {
		s := alone(t).with(metered).with(nearby)
		reachesQuotas(t, start(t, s, "viva", "serve").client())
	})
	t.Run("api and two workers", func(t *testing.T) {
		s := both(t).with(metered).with(nearby)
		api := start(t, s, "api").client()
		start(t, s, "worker")
		start(t, s, "worker")
		reachesQuotas(t, api)
	})
}

// reachesQuotas lets keys reach their quotas exactly, at different times and under load.
func reachesQuotas(t *testing.T, c *client) {
	const many, quota = 60, 20
	r := newReceiver(t)
	c.told(r, "alert.*")
	c.plan("unlimited")
	keys := make([]key, many)
	for i := range keys {
		keys[i] = c.create(monthly(quota))
	}
	busy := c.create(object{"name": "load", "plan": "unlimited"})
	load := loading(t, c, busy.Secret, 8)
	defer load.stop()

	var mu sync.Mutex
	reached := map[string]time.Time{}
	for i, k := range keys {
		spend := int64(quota)
		if i%10 == 0 {
			spend-- // one short of it
		}
		require.True(t, c.check(k.Secret, spend).Allowed)
		if spend == quota {
			mu.Lock()
			reached[k.ID] = time.Now()
			mu.Unlock()
		}
		<-time.After(100 * time.Millisecond)
	}
	full := func() (list []event) {
		return slices.DeleteFunc(r.heard("alert.active"), func(e event) bool { return e.Data["rule"] != "quota-100" })
	}
	eventually(t, inTime+patience, func() error { return shortOf(len(full()), len(reached)) })
	// Whoever would be told twice is, by the next rounds.
	again := time.After(20 * time.Second)
	<-again

	var waits []time.Duration
	told := map[string]int{}
	for _, e := range full() {
		require.Equal(t, 1, e.times)
		at, ok := reached[e.KeyID]
		require.True(t, ok, "%s is told of %+v", e.KeyID, e)
		told[e.KeyID]++
		waits = append(waits, e.heard.Sub(at))
	}
	for id, n := range told {
		require.Equal(t, 1, n, "key %s", id)
	}
	require.Len(t, told, len(reached))
	slices.Sort(waits)
	last := waits[len(waits)*99/100]
	t.Logf("from cause to attempt: median %s, 99th percentile %s, in %d messages", waits[len(waits)/2], last, r.messages())
	require.Less(t, last, inTime)

	// A raised limit, once it is seen in a check, takes the cause away.
	raised := keys[1]
	patched := c.call(200, "GET", "/api/v1/keys/"+raised.ID, nil)
	c.call(200, "PATCH", "/api/v1/keys/"+raised.ID, object{
		"rules": []object{{"name": "monthly", "limit": 1000, "period": "month"}},
	}, "If-Match", patched.header.Get("ETag"), "Content-Type", "application/merge-patch+json")
	eventually(t, patience, func() error {
		d, _, err := c.ask(object{"api_key": raised.Secret})
		if err == nil && !d.Allowed {
			err = fmt.Errorf("still refused: %s", d.Code)
		}
		return err
	})
	resolved := func() []event {
		return slices.DeleteFunc(r.heard("alert.resolved"), func(e event) bool { return e.Data["rule"] != "quota-100" })
	}
	eventually(t, inTime+patience, func() error { return shortOf(len(resolved()), 1) })
	require.Len(t, resolved(), 1)
	require.Equal(t, raised.ID, resolved()[0].KeyID)
}
