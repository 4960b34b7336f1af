package app

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/models"
)

// The whole way: checks that are refused, the journal, the database, jobs, and
// checks that are refused for another reason. And an owner who is told.
func TestAbuseIsSuspendedAndOwnersAreToldOfTheirQuotas(t *testing.T) {
	for name, start := range map[string]func(t *testing.T, environ ...string) *process{
		"embedded": func(t *testing.T, environ ...string) *process {
			return run(t, config.RoleServe, environ...)
		},
		"postgres and redis": func(t *testing.T, environ ...string) *process {
			environ = append(environ, shared(t)...)
			p := run(t, config.RoleAPI, environ...)
			run(t, config.RoleWorker, environ...)
			return p
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, "VIVA_NOTIFY_ALLOW_NETWORKS=127.0.0.1/32", "VIVA_NOTIFY_GROUP_WAIT=200ms",
				"VIVA_ABUSE_KEY_DENIALS=30", "VIVA_ABUSE_KEY_ACTION=suspend")
			url, next := receiver(t)
			p.do("POST", "/api/v1/destinations", object{
				"name": "all", "type": "webhook", "url": url, "events": []string{"key.*", "owner.*"},
			})
			p.do("POST", "/api/v1/plans", object{"name": "small", "rules": []object{
				{"name": "hourly", "limit": 4, "window": "1h", "algorithm": "fixed_window"}, {"name": "monthly", "limit": 5, "period": "month"},
			}})
			p.do("POST", "/api/v1/owners", object{"external_id": "cust_1", "plan": "small"})
			made := p.do("POST", "/api/v1/keys", object{"name": "noisy", "owner": "cust_1"})
			ended := p.do("POST", "/api/v1/keys", object{"name": "short", "owner": "cust_1", "expires_at": time.Now().Add(2 * time.Second)})
			began := time.Now()
			for range 4 {
				require.Equal(t, "ok", p.check(made["secret"].(string))["code"])
			}
			for range 30 {
				require.Equal(t, "rate_limited", p.check(made["secret"].(string))["code"])
			}
			require.Eventually(t, func() bool { return p.check(made["secret"].(string))["code"] == "key_suspended" }, 30*time.Second, 50*time.Millisecond)
			suspended := time.Since(began)
			key := p.do("GET", "/api/v1/keys/"+made["id"].(string), nil)
			require.Regexp(t, `^abuse: \d+ refusals of the key in 10m0s$`, key["suspend_reason"])
			violations := p.do("GET", "/api/v1/violations?key_id="+made["id"].(string), nil)["data"].([]any)
			first := violations[len(violations)-1].(object)
			require.EqualValues(t, 0, first["repeats"])
			require.Contains(t, []string{"low", "medium"}, first["severity"])

			var told []models.EventType
			for len(told) < 3 {
				var message struct{ Data models.Message }
				got := next()
				require.NoError(t, json.Unmarshal(got.body, &message))
				for _, e := range message.Data.Events {
					told = append(told, e.Type)
					if e.Type == models.EventOwnerQuota {
						require.Equal(t, "80", e.Data["percent"])
						require.Equal(t, "cust_1", e.Owner)
					}
				}
			}
			slices.Sort(told)
			require.Equal(t, []models.EventType{models.EventKeyExpired, models.EventKeySuspended, models.EventOwnerQuota}, told)
			t.Logf("suspended %s after the first refusal, all told after %s", suspended, time.Since(began))
			require.Less(t, time.Since(began), 30*time.Second)
			require.Equal(t, "expired", p.do("GET", "/api/v1/keys/"+ended["id"].(string), nil)["status"])
		})
	}
}
