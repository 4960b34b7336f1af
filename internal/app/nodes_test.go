package app

import (
	"fmt"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/testenv"
)

// awaitRefusal asks until a secret is refused, and returns how long it took.
func awaitRefusal(t *testing.T, p *process, secret string) time.Duration {
	t.Helper()
	began := time.Now()
	require.Eventually(t, func() bool { return p.check(secret)["code"] == "key_revoked" }, 5*time.Second, 10*time.Millisecond)
	return time.Since(began)
}

func TestARevokedKeyIsRefusedByEveryNodeWithinASecond(t *testing.T) {
	for _, cut := range []bool{false, true} {
		t.Run(fmt.Sprintf("channel cut: %v", cut), func(t *testing.T) {
			redis := testenv.RedisServer(t)
			proxy := testenv.StartProxy(t, redis.URL())
			database := "VIVA_DATABASE_URL=" + testenv.Postgres(t)
			one := run(t, config.RoleAPI, database, "VIVA_REDIS_URL="+redis.URL())
			two := run(t, config.RoleAPI, database, "VIVA_REDIS_URL="+proxy.URL())
			key := one.do("POST", "/api/v1/keys", object{"name": "k", "plan": "enterprise"})
			secret := key["secret"].(string)
			require.Equal(t, true, two.check(secret)["allowed"], "the other node has the key in its cache")
			if cut {
				proxy.Cut()
			}
			one.do("POST", "/api/v1/keys/"+key["id"].(string)+"/revoke", nil)
			took := awaitRefusal(t, two, secret)
			t.Logf("refused after %s", took)
			require.Less(t, took, time.Second)
		})
	}
}

func TestATokenRevokedInTheDatabaseIsRefusedWithinASecond(t *testing.T) {
	for _, e := range allEngines {
		t.Run(e.name, func(t *testing.T) {
			environ := append(e.environ(t), "VIVA_DATA_DIR="+t.TempDir())
			p := run(t, e.role, environ...)
			created := p.do("POST", "/api/v1/admin/tokens", object{"name": "reader", "role": "viewer"})
			admin := p.token
			p.token = created["token"].(string)
			p.do("GET", "/api/v1/keys", nil)

			cfg, err := config.Load(config.Options{Environ: environ})
			require.NoError(t, err)
			db, err := OpenDatabase(t.Context(), cfg)
			require.NoError(t, err)
			tokens, err := db.Tokens(t.Context())
			require.NoError(t, err)
			_, err = tokens.Revoke(db.Actor(t.Context()), models.TokenID(created["id"].(string)))
			require.NoError(t, err)
			require.NoError(t, db.Close())
			began := time.Now()
			require.Eventually(t, func() bool {
				status, _ := p.call("GET", "/api/v1/keys", nil)
				return status == http.StatusUnauthorized
			}, 5*time.Second, 10*time.Millisecond)
			require.Less(t, time.Since(began), time.Second)

			p.token = admin
			entries := p.do("GET", "/api/v1/admin/audit-logs?action=token.revoke", nil)["data"].([]any)
			require.Len(t, entries, 1)
			require.Equal(t, "cli", entries[0].(object)["actor_kind"])
		})
	}
}

func TestManyClientsOnSeveralNodesAreAdmittedExactly(t *testing.T) {
	const limit, clients, each = 1000, 64, 20
	for _, e := range []struct {
		name  string
		nodes func(t *testing.T) []*process
	}{
		{"embedded", func(t *testing.T) []*process { return []*process{run(t, config.RoleServe)} }},
		{"two nodes", func(t *testing.T) []*process {
			// A node that waits for Redis too long decides alone, which a busy
			// machine must not bring about here.
			environ := append(shared(t), "VIVA_RATELIMIT_STORE_TIMEOUT=5s")
			return []*process{run(t, config.RoleAPI, environ...), run(t, config.RoleAPI, environ...)}
		}},
	} {
		t.Run(e.name, func(t *testing.T) {
			nodes := e.nodes(t)
			nodes[0].do("POST", "/api/v1/plans", object{"name": "bare", "rules": []object{}})
			key := nodes[0].do("POST", "/api/v1/keys", object{
				"name": "k", "plan": "bare",
				"rules": []object{{"name": "hour", "limit": limit, "window": "1h", "algorithm": "fixed_window"}},
			})
			var admitted atomic.Int64
			var wait sync.WaitGroup
			for c := range clients {
				wait.Go(func() {
					for range each {
						if nodes[c%len(nodes)].check(key["secret"].(string))["allowed"] == true {
							admitted.Add(1)
						}
					}
				})
			}
			wait.Wait()
			require.Equal(t, int64(limit), admitted.Load())
		})
	}
}

func TestNoRuleIsSpentByARefusedCall(t *testing.T) {
	for _, e := range allEngines {
		t.Run(e.name, func(t *testing.T) {
			p := run(t, e.role, append(e.environ(t), "VIVA_RATELIMIT_STORE_TIMEOUT=5s")...)
			p.do("POST", "/api/v1/plans", object{"name": "shared", "rules": []object{
				{"name": "owner-hour", "limit": 100, "window": "1h", "algorithm": "fixed_window"},
				{"name": "owner-day", "limit": 1000, "period": "day"},
			}})
			p.do("POST", "/api/v1/owners", object{"external_id": "acme", "plan": "shared"})
			secrets := make([]string, 5)
			for i := range secrets {
				secrets[i] = p.do("POST", "/api/v1/keys", object{
					"name": fmt.Sprint("k", i), "owner": "acme",
					"rules": []object{{"name": "key-hour", "limit": 30, "window": "1h", "algorithm": "fixed_window"}},
				})["secret"].(string)
			}
			var admitted [5]atomic.Int64
			var wait sync.WaitGroup
			for i, secret := range secrets {
				for range 4 {
					wait.Go(func() {
						for range 12 {
							if p.check(secret)["allowed"] == true {
								admitted[i].Add(1)
							}
						}
					})
				}
			}
			wait.Wait()
			var total int64
			for i, secret := range secrets {
				count := admitted[i].Load()
				total += count
				look := p.do("POST", "/api/v1/validate", object{"api_key": secret, "cost": 0})
				require.Equal(t, remaining(30-count, 0, 1000-100), remains(look), "key %d", i)
			}
			require.Equal(t, int64(100), total, "the owner's limit, to the unit, and 240 calls asked")
		})
	}
}

func remaining(key, hour, day int64) map[string]int64 {
	return map[string]int64{"key-hour": key, "owner-hour": hour, "owner-day": day}
}

func remains(answer object) map[string]int64 {
	found := map[string]int64{}
	for _, l := range answer["limits"].([]any) {
		limit := l.(object)
		maps.Copy(found, map[string]int64{limit["name"].(string): int64(limit["remaining"].(float64))})
	}
	return found
}

func TestChecksGoOnWithoutRedisAndSaySo(t *testing.T) {
	redis := testenv.RedisServer(t)
	p := run(t, config.RoleAPI, "VIVA_DATABASE_URL="+testenv.Postgres(t), "VIVA_REDIS_URL="+redis.URL())
	secret := p.do("POST", "/api/v1/keys", object{
		"name": "k", "plan": "enterprise", "rules": []object{{"name": "hour", "limit": 2, "window": "1h", "algorithm": "fixed_window"}},
	})["secret"].(string)
	require.Equal(t, false, p.check(secret)["degraded"])
	redis.Kill()
	for i, want := range []bool{true, true, false} {
		answer := p.check(secret)
		require.Equal(t, true, answer["degraded"], i)
		require.Equal(t, want, answer["allowed"], "this node enforces the limit alone")
	}
	redis.Start()
	require.Eventually(t, func() bool { return p.check(secret)["degraded"] == false }, 10*time.Second, 20*time.Millisecond)
}

func TestCachedKeysGoOnWithoutTheDatabase(t *testing.T) {
	postgres := testenv.PostgresServer(t)
	p := run(t, config.RoleAPI, "VIVA_DATABASE_URL="+postgres.URL(), "VIVA_REDIS_URL="+testenv.Redis(t), "VIVA_REDIS_NAMESPACE="+namespace(t))
	create := func() string {
		return p.do("POST", "/api/v1/keys", object{"name": "k", "plan": "enterprise"})["secret"].(string)
	}
	cached, unknown := create(), create()
	require.Equal(t, true, p.check(cached)["allowed"])
	postgres.Kill()
	require.Equal(t, true, p.check(cached)["allowed"])
	status, problem := p.call("POST", "/api/v1/validate", object{"api_key": unknown})
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "store_unavailable", problem["code"])
	status, _ = p.call("POST", "/api/v1/keys", object{"name": "k"})
	require.Equal(t, http.StatusServiceUnavailable, status)
	postgres.Start()
	require.Eventually(t, func() bool {
		_, answer := p.call("POST", "/api/v1/validate", object{"api_key": unknown})
		return answer["allowed"] == true
	}, 10*time.Second, 50*time.Millisecond)
	require.Len(t, p.do("GET", "/api/v1/keys", nil)["data"], 2, "nothing is lost, nothing is half there")
}
