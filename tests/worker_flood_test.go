//go:build journeys

package tests

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A minute of 50,000 refusals a second of one key costs rows by the minute, a job a second, and a few notifications.
func TestAFloodOfRefusalsCostsLittle(t *testing.T) {
	const perSecond, batch, lasts = 50_000, 1000, 60
	s := alone(t).with(nearby).with(settings{"VIVA_LOG_LEVEL": "warn", "VIVA_ABUSE_KEY_DENIALS": "100000", "VIVA_ABUSE_KEY_WINDOW": "10m"})
	p := start(t, s, "viva", "serve")
	node := p.client()
	r := newReceiver(t)
	node.told(r)
	node.call(201, "POST", "/api/v1/alert-rules", object{
		"name": "refusals", "kind": "violations", "params": object{"count": 1000, "window": "10m", "per": "key"},
	})
	k := node.create(object{"name": "flood", "plan": "free", "rules": []object{{"name": "hourly", "limit": 1, "window": "1h"}}})
	require.True(t, node.check(k.Secret, 1).Allowed)
	check := fmt.Sprintf(`{"api_key":%q,"method":"GET","endpoint":"/v1/things"}`, k.Secret)
	body := `{"checks":[` + strings.Repeat(check+",", batch-1) + check + `]}`
	b := openBooks(t, s, "")

	var refused atomic.Int64
	turns := make(chan struct{}, perSecond/batch)
	go func() {
		defer close(turns)
		tick := time.NewTicker(time.Second * batch / perSecond)
		defer tick.Stop()
		for range lasts * perSecond / batch {
			<-tick.C
			turns <- struct{}{}
		}
	}()
	mostJobs := int64(0)
	watched := make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if n, err := b.number("SELECT COUNT(*) FROM jobs"); err == nil {
					mostJobs = max(mostJobs, n)
				}
			case <-over:
				return
			}
		}
	}()
	from := time.Now()
	parallel(4, func(int) {
		for range turns {
			got, err := node.send("POST", "/api/v1/validate/batch", body)
			var answer struct{ Results []verdict }
			if err == nil {
				err = json.Unmarshal(got.body, &answer)
			}
			if err != nil || len(answer.Results) != batch {
				t.Errorf("batch: %v %d %.200s", err, got.status, got.body)
				return
			}
			for _, v := range answer.Results {
				if v.Code == "rate_limited" {
					refused.Add(1)
				}
			}
		}
	})
	took := time.Since(from)
	close(over)
	<-watched
	n := refused.Load()
	require.EqualValues(t, lasts*perSecond, n)
	b.becomes(n, "SELECT COALESCE(SUM(denials), 0) FROM rate_limit_violations")
	b.becomes(0, "SELECT COUNT(*) FROM rate_limit_violations WHERE analyzed < denials")
	eventually(t, patience, func() error { return shortOf(len(r.heard("abuse.detected")), 1) })
	eventually(t, patience, func() error { return shortOf(len(r.heard("alert.active")), 1) })

	rows, err := b.number("SELECT COUNT(*) FROM rate_limit_violations")
	require.NoError(t, err)
	raw, err := b.number("SELECT COUNT(*) FROM usage_logs")
	require.NoError(t, err)
	notices, err := b.number("SELECT COUNT(*) FROM notices")
	require.NoError(t, err)
	queues := into[struct {
		Queues []struct {
			Name           string
			ProcessedToday int64 `json:"processed_today"`
		}
	}](t, node.call(200, "GET", "/api/v1/admin/queues", nil))
	jobs := int64(0)
	for _, q := range queues.Queues {
		jobs += q.ProcessedToday
	}
	t.Logf("%d refusals in %s: %d violations, %d raw rows, at most %d rows of jobs, %d jobs done, %d notices, %d messages",
		n, took, rows, raw, mostJobs, jobs, notices, r.messages())
	seconds := int64(took.Seconds()) + 30
	require.LessOrEqual(t, rows, seconds/60+1, "one a minute")
	require.LessOrEqual(t, raw, 2*500*seconds)
	require.LessOrEqual(t, mostJobs, int64(20), "one of a kind and subject")
	require.LessOrEqual(t, jobs, 6*seconds, "a few a second, of all kinds")
	require.LessOrEqual(t, notices, int64(3), "abuse by the key, abuse by its owner, and the alert")
	require.LessOrEqual(t, r.messages(), 3)
}
