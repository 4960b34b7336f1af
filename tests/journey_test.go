//go:build journeys

package tests

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
)

// Passwords of servers and the pepper are secrets as much as keys are.
const (
	password = "correct-horse-battery-staple"
	pepper   = "a-pepper-that-only-these-tests-know-0123456789"
)

func TestEveryEngineAnswersAlikeAndLogsNoSecret(t *testing.T) {
	postgres := withPassword(t, testenv.Postgres(t), "")
	stacks := []struct {
		name, program string
		settings      settings
		args          []string
	}{
		{"sqlite", "viva", alone(t), []string{"serve"}},
		{"postgres", "viva", onPostgres(t, postgres), []string{"serve"}},
		{"postgres and redis", "api",
			shared(t, withPassword(t, testenv.Postgres(t), ""), withPassword(t, testenv.Redis(t), "default")), nil},
	}
	var first []string
	for _, stack := range stacks {
		t.Run(stack.name, func(t *testing.T) {
			p := start(t, stack.settings.with(settings{"VIVA_KEYS_PEPPER": pepper}), stack.program, stack.args...)
			r := record(p.client())
			journey(r)
			misplace(r)
			p.stop()

			require.Greater(t, len(r.secrets), 10)
			leaks := linesWith(p.output.String(), r.secrets)
			require.Empty(t, leaks[:min(len(leaks), 5)])
			require.Contains(t, p.output.String(), `"route":"/api/v1/validate"`, "there was a log to look into")
			if first == nil {
				first = *r.calls
			}
			require.Len(t, *r.calls, len(first))
			for i, call := range *r.calls {
				require.Equal(t, first[i], call)
			}
		})
	}
}

// linesWith gives the lines of a log that hold one of the secrets.
func linesWith(log string, secrets map[string]bool) (leaks []string) {
	for line := range strings.Lines(log) {
		for secret := range secrets {
			if strings.Contains(line, secret) {
				leaks = append(leaks, line)
				break
			}
		}
	}
	return leaks
}

// withPassword puts a password into a URL, which these servers trust without looking at it.
func withPassword(t *testing.T, server, name string) string {
	t.Helper()
	u, err := url.Parse(server)
	require.NoError(t, err)
	if name == "" {
		name = u.User.Username()
	}
	u.User = url.UserPassword(name, password)
	return u.String()
}

// journey is a day in the life of an installation.
func journey(r *recording) {
	r.secrets[password], r.secrets[pepper] = true, true
	r.call(200, "GET", "/api/v1/whoami", nil)
	r.call(200, "GET", "/health/live", nil)
	offers(r)
	checks(r, accounts(r))
	lives(r)
	repeats(r)
	tokens(r)
	leftovers(r)
}

// offers sets up what is sold: a keyspace and a plan with two versions.
func offers(r *recording) {
	made := r.call(201, "POST", "/api/v1/keyspaces", object{"name": "payments", "prefix": "pay", "metadata": object{"team": "a"}})
	r.call(409, "POST", "/api/v1/keyspaces", object{"name": "payments", "prefix": "other"})
	r.call(422, "POST", "/api/v1/keyspaces", object{"name": "no good", "prefix": "UP"})
	patch := object{"description": "cards", "metadata": object{"team": nil, "tier": "1"}}
	r.call(428, "PATCH", "/api/v1/keyspaces/payments", patch)
	r.call(200, "PATCH", "/api/v1/keyspaces/payments", patch, "If-Match", made.header.Get("ETag"))
	r.call(412, "PATCH", "/api/v1/keyspaces/payments", patch, "If-Match", made.header.Get("ETag"))
	r.call(200, "GET", "/api/v1/keyspaces/payments", nil)
	r.call(200, "GET", "/api/v1/keyspaces?sort=name", nil)

	rules := []object{
		{"name": "yearly", "limit": 5, "window": "8760h", "algorithm": "fixed_window"},
		{"name": "writes", "limit": 2, "window": "8760h", "algorithm": "fixed_window", "methods": []string{"POST"}, "endpoints": []string{"/v1/**"}},
		{"name": "watched", "limit": 1, "window": "8760h", "algorithm": "fixed_window", "shadow": true},
	}
	r.call(201, "POST", "/api/v1/plans", object{"name": "starter", "description": "first", "rules": rules[:1]})
	r.call(201, "POST", "/api/v1/plans/starter/versions", object{"rules": rules})
	r.call(422, "POST", "/api/v1/plans/starter/versions", object{"rules": []object{{"name": "never", "limit": 0, "window": "0s"}}})
	r.call(200, "GET", "/api/v1/plans/starter", nil)
	r.call(200, "GET", "/api/v1/plans/starter/versions", nil)
	r.call(200, "GET", "/api/v1/plans/starter/versions/1", nil)
	r.call(200, "PATCH", "/api/v1/plans/starter", object{"description": nil}, "If-Match", "*")
	r.call(200, "GET", "/api/v1/plans?sort=name", nil)
	r.call(200, "GET", "/api/v1/plans?sort=name", nil, "Accept", "text/csv")
}

// accounts makes owners and keys, and gives the secrets of two keys of one owner.
func accounts(r *recording) (secrets []string) {
	r.call(201, "POST", "/api/v1/owners", object{"external_id": "cust_42", "name": "Acme", "plan": "starter", "time_zone": "Europe/Berlin", "anchor_day": 15})
	r.call(409, "POST", "/api/v1/owners", object{"external_id": "cust_42"})
	got := r.call(200, "GET", "/api/v1/owners/cust_42", nil)
	r.call(200, "PATCH", "/api/v1/owners/cust_42", object{"email": "ops@acme.example"}, "If-Match", got.header.Get("ETag"))
	r.call(412, "PATCH", "/api/v1/owners/cust_42", object{"email": "x@acme.example"}, "If-Match", got.header.Get("ETag"))
	r.call(200, "GET", "/api/v1/owners?plan=starter", nil)

	restricted := object{
		"name": "Checkout", "keyspace": "payments", "owner": "cust_42", "environment": "test", "tags": []string{"web", "eu"},
		"metadata": object{"region": "eu"}, "permissions": []string{"read"}, "allowed_ips": []string{"192.0.2.0/24"},
		"endpoints": []string{"/v1/**"}, "methods": []string{"GET", "POST"},
	}
	for _, body := range []object{restricted, {"name": "Backend", "owner": "cust_42"}} {
		secrets = append(secrets, into[key](r.t, r.call(201, "POST", "/api/v1/keys", body)).Secret)
	}
	r.call(422, "POST", "/api/v1/keys", object{"name": strings.Repeat("n", 10000)})
	r.call(422, "POST", "/api/v1/keys", object{"name": "typo", "ownr": "cust_42"})
	r.call(422, "POST", "/api/v1/keys", object{"name": "nobody's", "owner": "cust_43"})
	r.call(400, "POST", "/api/v1/keys", `{"name": "twice", "name": "again"}`)
	r.call(400, "POST", "/api/v1/keys", `{"name": "cut`)
	r.call(415, "POST", "/api/v1/keys", `{"name": "form"}`, "Content-Type", "text/plain")

	page := r.call(200, "GET", "/api/v1/keys?sort=name&owner=cust_42&limit=1", nil)
	cursor := into[struct {
		Next string `json:"next_cursor"`
	}](r.t, page).Next
	r.call(200, "GET", "/api/v1/keys?sort=name&owner=cust_42&limit=1&cursor="+cursor, nil)
	r.call(422, "GET", "/api/v1/keys?sort=name&limit=1&cursor="+cursor, nil)
	r.call(200, "GET", "/api/v1/keys?tag=web&status=active&environment=test", nil)
	r.call(200, "GET", "/api/v1/keys?owner=cust_42&sort=-name", nil, "Accept", "text/csv")
	return secrets
}

// checks asks about calls in every way there is.
func checks(r *recording, secrets []string) {
	restricted, backend := secrets[0], secrets[1]
	last := "A"
	if strings.HasSuffix(restricted, last) {
		last = "B"
	}
	garbled := restricted[:len(restricted)-1] + last
	call := func(with object) object {
		body := object{"api_key": restricted, "method": "POST", "endpoint": "/v1/charges", "ip": "192.0.2.7", "permissions": []string{"read"}}
		for name, value := range with {
			body[name] = value
		}
		return body
	}
	for _, want := range []struct {
		code string
		with object
	}{
		{"permission_denied", object{"permissions": []string{"refund"}}},
		{"ip_denied", object{"ip": "198.51.100.1"}},
		{"endpoint_denied", object{"endpoint": "/v2/charges"}},
		{"key_unknown", object{"keyspace": "default"}},
		{"key_malformed", object{"api_key": garbled}},
		{"ok", object{"check_id": "order-1"}},
		{"ok", object{"check_id": "order-1"}}, // replayed: spends nothing
		{"ok", object{"keyspace": "payments"}},
		{"rate_limited", nil},
		{"ok", object{"method": "GET", "cost": 0}},
		{"cost_exceeds_limit", object{"method": "GET", "cost": 6}},
	} {
		require.Equal(r.t, want.code, r.decide(call(want.with)).Code)
	}
	r.call(422, "POST", "/api/v1/validate", call(object{"check_id": "order-1", "cost": 2}))
	r.call(422, "POST", "/api/v1/validate", call(object{"cost": -1}))
	r.call(400, "POST", "/api/v1/validate", "{\"api_key\": \"\xff\"}")
	r.call(200, "POST", "/api/v1/validate/batch", object{"checks": []object{
		{"api_key": backend}, {"api_key": "nothing"}, {"api_key": backend, "cost": 3}, {"api_key": backend, "cost": 2},
	}})

	gateway := func(status int, secret string, headers ...string) {
		headers = append(headers, "X-Viva-Token", r.token, "X-Api-Key", secret, "X-Forwarded-For", "192.0.2.7")
		r.call(status, "GET", "/api/v1/authorize", nil, headers...)
	}
	fresh := into[key](r.t, r.call(201, "POST", "/api/v1/keys", object{"name": "Gateway", "plan": "starter", "allowed_ips": []string{"192.0.2.7"}})).Secret
	for range 2 {
		gateway(200, fresh, "X-Forwarded-Method", "POST", "X-Forwarded-Uri", "/v1/charges?card=1")
	}
	gateway(429, fresh, "X-Forwarded-Method", "POST", "X-Forwarded-Uri", "/v1/charges")
	gateway(200, fresh, "X-Original-Method", "GET", "X-Original-URI", "/v1/charges", "X-Real-IP", "192.0.2.7")
	gateway(403, fresh, "X-Original-Method", "GET", "X-Original-URI", "/v1/charges", "X-Real-IP", "192.0.2.8")
	gateway(401, "nothing")
	r.call(403, "GET", "/api/v1/authorize/v1/charges?deny_status=418", nil, "X-Viva-Token", r.token, "X-Api-Key", fresh)

	limit := object{"namespace": "logins", "identifier": "203.0.113.7", "rules": []object{{"name": "tries", "limit": 2, "window": "8760h", "algorithm": "fixed_window"}}}
	paced := object{"namespace": "logins", "identifier": "203.0.113.7", "rules": []object{
		{"name": "paced", "limit": 1, "window": "744h", "algorithm": "gcra", "burst": 3},
		{"name": "logged", "limit": 2, "window": "744h", "algorithm": "sliding_log"},
	}}
	for range 3 {
		r.call(200, "POST", "/api/v1/limits/check", limit)
		r.call(200, "POST", "/api/v1/limits/check", paced)
	}
	paced["rules"] = []object{{"name": "paced", "limit": 1, "window": "744h", "algorithm": "gcra", "burst": 12}}
	r.call(422, "POST", "/api/v1/limits/check", paced)
}

// lives follows keys from hand to hand to their end.
func lives(r *recording) {
	k := into[key](r.t, r.call(201, "POST", "/api/v1/keys", object{"name": "Mortal", "rules": []object{{"name": "few", "limit": 2, "window": "8760h", "algorithm": "fixed_window"}}}))
	path := "/api/v1/keys/" + k.ID
	r.decide(object{"api_key": k.Secret, "cost": 2})
	require.Equal(r.t, "rate_limited", r.decide(object{"api_key": k.Secret}).Code)
	r.call(204, "POST", path+"/reset-limits", nil)
	require.Equal(r.t, "ok", r.decide(object{"api_key": k.Secret}).Code)

	got := r.call(200, "GET", path, nil)
	r.call(304, "GET", path, nil, "If-None-Match", got.header.Get("ETag"))
	r.call(200, "PATCH", path, object{"plan": "pro", "tags": []string{"old"}}, "If-Match", got.header.Get("ETag"))
	r.call(422, "PATCH", path, object{"name": nil}, "If-Match", "*")

	rotated := into[key](r.t, r.call(201, "POST", path+"/rotate", object{"grace": "1h"}))
	r.until("ok", rotated.Secret)
	r.until("ok", k.Secret)
	again := into[key](r.t, r.call(201, "POST", path+"/rotate", nil))
	r.until("ok", again.Secret)
	r.until("key_expired", rotated.Secret)
	r.call(200, "POST", "/api/v1/keys/lookup", object{"api_key": again.Secret})
	r.call(404, "POST", "/api/v1/keys/lookup", object{"api_key": "nothing"})

	r.call(200, "POST", path+"/suspend", object{"until": time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "reason": "unpaid"})
	r.until("key_suspended", again.Secret)
	r.call(200, "POST", path+"/activate", nil)
	r.until("ok", again.Secret)
	r.call(200, "POST", path+"/revoke", nil)
	r.until("key_revoked", again.Secret)
	r.call(409, "POST", path+"/activate", nil)
	r.call(204, "DELETE", path, nil)
	r.until("key_unknown", again.Secret)
	r.call(404, "GET", path, nil)

	foreign := "made-elsewhere-" + rand.Text()
	r.secrets[foreign] = true
	bulk := object{"keys": []object{
		{"name": "Brought along", "import": object{"hash": fmt.Sprintf("%x", sha256.Sum256([]byte(foreign))), "mask": "made…"}},
		{"name": "Made here"},
	}}
	hash := bulk["keys"].([]object)[0]["import"].(object)["hash"].(string)
	r.names[foreign], r.names[hash] = "<foreign>", "<hash>"
	made := r.client.call(201, "POST", "/api/v1/keys/bulk", bulk)
	r.keep(made, "POST", "/api/v1/keys/bulk", "two keys, one brought along")
	d, _, err := r.ask(object{"api_key": foreign})
	require.NoError(r.t, err)
	require.Equal(r.t, "ok", d.Code)
	r.call(422, "POST", "/api/v1/keys/bulk", object{"keys": []object{{"name": "good"}, {"name": ""}}})
}
