//go:build journeys

package tests

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
)

func TestRedisLostUnderLoad(t *testing.T) {
	server := testenv.RedisServer(t)
	proxy := testenv.StartProxy(t, server.URL())
	s := shared(t, testenv.Postgres(t), proxy.URL()).with(settings{"VIVA_LOG_LEVEL": "debug"})
	nodes := map[string]*process{}
	for _, policy := range []string{"local", "deny", "allow"} {
		nodes[policy] = start(t, s.with(settings{"VIVA_RATELIMIT_ON_STORE_FAILURE": policy}), "api")
	}
	admin := nodes["local"].client()
	admin.plan("unlimited")

	for _, outage := range []struct {
		name       string
		begin, end func()
	}{
		{"killed", server.Kill, server.Start},
		{"silent", proxy.Blackhole, proxy.Restore},
	} {
		t.Run(outage.name, func(t *testing.T) {
			loaded := admin.in(t).create(object{"name": "loaded", "plan": "unlimited", "rules": []object{
				{"name": "hourly", "limit": 1_000_000_000, "window": hourly(), "algorithm": "fixed_window"},
			}})
			scarce := admin.in(t).create(object{"name": "scarce", "plan": "unlimited", "rules": []object{
				{"name": "hourly", "limit": 10, "window": hourly(), "algorithm": "fixed_window"},
			}})
			unseen := admin.in(t).create(object{"name": "unseen", "plan": "unlimited"})
			local := nodes["local"].client().in(t)
			require.Equal(t, 10, local.admitted(scarce.Secret, 15))
			loads := map[string]*load{}
			for policy, node := range nodes {
				loads[policy] = loading(t, node.client().in(t), loaded.Secret, 3)
			}
			began := time.Now()
			for _, l := range loads {
				l.degraded(false)
			}

			told := time.Now()
			outage.begin()
			lost := time.Now()
			for _, l := range loads {
				l.more(500)
			}
			require.Equal(t, 10, local.admitted(scarce.Secret, 15), "the limit once more, by this node alone")
			asked := time.Now()
			require.True(t, local.check(unseen.Secret, 1).Allowed)
			seen := time.Since(asked)
			fresh := local.create(object{"name": "made meanwhile"})
			require.True(t, local.check(fresh.Secret, 1).Allowed)
			t.Logf("a key seen for the first time was checked in %s", seen)
			require.Less(t, seen, 5*storeTimeout+noise)
			got := local.call(http.StatusOK, "GET", "/health/ready", nil)
			require.Contains(t, string(got.body), `"degraded"`)
			found := time.Now()
			outage.end()
			for _, l := range loads {
				l.degraded(false)
			}
			ended := time.Now()
			require.Equal(t, 0, local.admitted(scarce.Secret, 15), "Redis remembers what was spent")

			for policy, l := range loads {
				l.stop()
				require.Less(t, fraction(l.between(began, told), isDegraded), 0.02, "before")
				during := l.between(lost, found)
				require.GreaterOrEqual(t, len(during), 500)
				var slowest time.Duration
				for _, a := range during {
					require.Equal(t, http.StatusOK, a.status)
					require.True(t, a.decision.Degraded)
					require.Equal(t, policy != "deny", a.decision.Allowed)
					if policy == "deny" {
						require.Equal(t, "rate_limited", a.decision.Code)
						require.EqualValues(t, 1000, a.decision.RetryAfterMS)
					}
					slowest = max(slowest, a.took)
				}
				longest := waits(t, nodes[policy].served(lost, found), storeTimeout)
				t.Logf("%s: a check took the process at most %s, its client %s; of %d checks", policy, longest, slowest, len(during))
				waits(t, nodes[policy].served(began, ended), storeTimeout)
			}
		})
	}
}

// admitted tells how many of so many checks in a row are admitted.
func (c *client) admitted(secret string, checks int) (admitted int) {
	c.t.Helper()
	for range checks {
		if c.check(secret, 1).Allowed {
			admitted++
		}
	}
	return admitted
}

func isDegraded(a asked) bool { return a.decision.Degraded }

// fraction is how many of the checks are so.
func fraction(checks []asked, so func(asked) bool) float64 {
	matching := 0
	for _, a := range checks {
		if so(a) {
			matching++
		}
	}
	return float64(matching) / float64(max(1, len(checks)))
}
