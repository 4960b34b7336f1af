package app

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/testenv"
)

func TestAKeyIsMadeCheckedLimitedAndRevokedOnEveryEngine(t *testing.T) {
	for _, e := range allEngines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			p := run(t, e.role, e.environ(t)...)
			key := p.do("POST", "/api/v1/keys", object{
				"name": "demo", "rules": []object{{"name": "demo", "limit": 3, "window": "1h", "algorithm": "fixed_window"}},
			})
			secret := key["secret"].(string)
			for i := range 3 {
				require.Equal(t, true, p.check(secret)["allowed"], i)
			}
			refused := p.check(secret)
			require.Equal(t, false, refused["allowed"])
			require.Equal(t, "rate_limited", refused["code"])
			require.Positive(t, refused["retry_after_ms"])

			id := key["id"].(string)
			p.do("POST", "/api/v1/keys/"+id+"/reset-limits", nil)
			require.Equal(t, true, p.check(secret)["allowed"], "its limits were reset")
			p.do("POST", "/api/v1/keys/"+id+"/revoke", nil)
			require.Equal(t, "key_revoked", p.check(secret)["code"], "the process that revokes knows at once")
			require.NotContains(t, p.logs.String(), secret)
			require.NotContains(t, p.logs.String(), bootstrapToken)
		})
	}
}

func TestEveryAlgorithmLimitsOnEveryEngine(t *testing.T) {
	rules := []object{ // of which each admits three at once
		{"name": "r", "window": "1h", "algorithm": "sliding_window", "limit": 3},
		{"name": "r", "window": "1h", "algorithm": "fixed_window", "limit": 3},
		{"name": "r", "window": "1h", "algorithm": "gcra", "limit": 1, "burst": 3},
		{"name": "r", "window": "1h", "algorithm": "sliding_log", "limit": 3},
	}
	for _, e := range allEngines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			p := run(t, e.role, append(e.environ(t), "VIVA_RATELIMIT_STORE_TIMEOUT=5s")...)
			for _, rule := range rules {
				algorithm := rule["algorithm"]
				key := p.do("POST", "/api/v1/keys", object{"name": algorithm, "rules": []object{rule}})
				path, secret := "/api/v1/keys/"+key["id"].(string), key["secret"].(string)
				stored := p.do("GET", path, nil)["rules"].([]any)[0].(object)
				require.Equal(t, algorithm, stored["algorithm"])
				require.EqualValues(t, rule["burst"], stored["burst"])
				for i := range 3 {
					require.Equal(t, true, p.check(secret)["allowed"], "%s, call %d", algorithm, i)
				}
				refused := p.check(secret)
				require.Equal(t, "rate_limited", refused["code"], algorithm)
				require.Equal(t, false, refused["degraded"])
				require.Positive(t, refused["retry_after_ms"], algorithm)
				too := p.do("POST", "/api/v1/validate", object{"api_key": secret, "cost": 4})
				require.Equal(t, "cost_exceeds_limit", too["code"], algorithm)
				p.do("POST", path+"/reset-limits", nil)
				require.Equal(t, true, p.check(secret)["allowed"], "%s, after a reset", algorithm)
			}
		})
	}
}

func TestTheFirstStartLeavesAnAdminTokenInAPrivateFile(t *testing.T) {
	dir := t.TempDir()
	p := run(t, config.RoleServe, "VIVA_BOOTSTRAP_TOKEN=", "VIVA_DATA_DIR="+dir)
	path := filepath.Join(dir, "admin.header")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	line, err := os.ReadFile(path)
	require.NoError(t, err)
	token, ok := strings.CutPrefix(strings.TrimSuffix(string(line), "\n"), "Authorization: Bearer ")
	require.True(t, ok)
	p.token = token
	require.Equal(t, []any{"admin"}, p.do("GET", "/api/v1/whoami", nil)["scopes"])
	require.Contains(t, p.logs.String(), path)
	require.NotContains(t, p.logs.String(), token)
}

func TestTheAdminTokenSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	environ := []string{"VIVA_BOOTSTRAP_TOKEN=", "VIVA_DATA_DIR=" + dir}
	read := func() string {
		a, _, err := open(t, config.RoleServe, environ...)
		require.NoError(t, err)
		require.NoError(t, a.Stop(t.Context()))
		text, err := os.ReadFile(filepath.Join(dir, "admin.header"))
		require.NoError(t, err)
		return string(text)
	}
	before := read()
	require.Equal(t, before, read())
}

func TestAPepperIsTakenUpAndReplaced(t *testing.T) {
	environ := shared(t)
	first, second := strings.Repeat("a", 32), strings.Repeat("b", 32)
	plain := run(t, config.RoleAPI, environ...)
	secret := plain.do("POST", "/api/v1/keys", object{"name": "old"})["secret"].(string)
	require.Equal(t, true, plain.check(secret)["allowed"])

	peppered := run(t, config.RoleAPI, append(environ, "VIVA_KEYS_PEPPER="+first, "VIVA_REDIS_NAMESPACE=fresh1")...)
	require.Equal(t, true, peppered.check(secret)["allowed"], "a plain hash still opens, and moves to the pepper")
	replaced := run(t, config.RoleAPI, append(environ, "VIVA_KEYS_PEPPER="+second, "VIVA_KEYS_PEPPER_PREVIOUS="+first, "VIVA_REDIS_NAMESPACE=fresh2")...)
	require.Equal(t, true, replaced.check(secret)["allowed"], "a hash under the pepper before still opens")
	only := run(t, config.RoleAPI, append(environ, "VIVA_KEYS_PEPPER="+second, "VIVA_REDIS_NAMESPACE=fresh3")...)
	require.Equal(t, true, only.check(secret)["allowed"], "the hash has moved to the new pepper")
	without := run(t, config.RoleAPI, append(environ, "VIVA_REDIS_NAMESPACE=fresh4")...)
	require.Equal(t, "key_unknown", without.check(secret)["code"], "without the pepper the hash is of no use")
}

func TestASecondServeIsRefused(t *testing.T) {
	t.Run("in the same data folder", func(t *testing.T) {
		dir := t.TempDir()
		run(t, config.RoleServe, "VIVA_DATA_DIR="+dir)
		_, _, err := open(t, config.RoleServe, "VIVA_DATA_DIR="+dir)
		require.ErrorContains(t, err, "in use by another viva serve")
	})
	t.Run("on the same database without Redis", func(t *testing.T) {
		database := "VIVA_DATABASE_URL=" + testenv.Postgres(t)
		run(t, config.RoleServe, database)
		_, _, err := open(t, config.RoleServe, database)
		require.ErrorContains(t, err, "set redis.url")
	})
}

func TestReadinessNamesEachDependency(t *testing.T) {
	redis := testenv.RedisServer(t)
	p := run(t, config.RoleAPI, "VIVA_DATABASE_URL="+testenv.Postgres(t), "VIVA_REDIS_URL="+redis.URL())
	ready := func() (int, object) {
		status, answer := p.call("GET", "/health/ready", nil)
		states := object{}
		for _, d := range answer["dependencies"].([]any) {
			states[d.(object)["name"].(string)] = d.(object)["status"]
		}
		return status, states
	}
	status, states := ready()
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, object{"database": "ok", "redis": "ok", "queue": "ok"}, states)
	redis.Kill()
	status, states = ready()
	require.Equal(t, object{"database": "ok", "redis": "degraded", "queue": "degraded"}, states)
	require.Equal(t, http.StatusOK, status, "checks go on without Redis, so traffic may come")
	redis.Start()
	require.Eventually(t, func() bool {
		_, states := ready()
		return states["redis"] == "ok" && states["queue"] == "ok"
	}, 10*time.Second, 50*time.Millisecond)
}

func TestTheWorkerAnswersHealthChecksAlone(t *testing.T) {
	p := run(t, config.RoleWorker, shared(t)...)
	require.Equal(t, "ok", p.do("GET", "/health", nil)["status"])
	status, _ := p.call("POST", "/api/v1/validate", object{})
	require.Equal(t, http.StatusNotFound, status)
}

func TestRequestsUnderWayAreFinished(t *testing.T) {
	a, _, err := open(t, config.RoleServe)
	require.NoError(t, err)
	require.NoError(t, a.Start(t.Context()))
	body, writer := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.URL()+"/api/v1/validate", body)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+bootstrapToken)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Expect", "100-continue") // so that the body leaves only when a handler asks for it
	transport := &http.Transport{ExpectContinueTimeout: time.Minute}
	defer transport.CloseIdleConnections()
	answered := make(chan object, 1)
	go func() { // ends with the answer, which the test awaits
		defer close(answered)
		resp, err := transport.RoundTrip(req)
		if !assert.NoError(t, err) {
			return
		}
		defer resp.Body.Close()
		var answer object
		assert.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
		answered <- answer
	}()
	_, err = writer.Write([]byte(`{"api_key":`)) // returns when the handler reads
	require.NoError(t, err)
	stopped := make(chan error, 1)
	go func() { stopped <- a.Stop(t.Context()) }()
	require.Eventually(t, func() bool { // the listener is closed first
		resp, err := http.Get(a.URL() + "/health/live")
		if err == nil {
			resp.Body.Close()
		}
		return err != nil
	}, 5*time.Second, 5*time.Millisecond)
	_, err = writer.Write([]byte(`"nonsense"}`))
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	require.Equal(t, "key_malformed", (<-answered)["code"])
	require.NoError(t, <-stopped)
}
