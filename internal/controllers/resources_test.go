package controllers_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apikey"
)

func TestASecretIsShownOnceAndMaskedEverAfter(t *testing.T) {
	s := newServer(t)
	created := s.do(http.MethodPost, "/api/v1/keys", `{"name":"Checkout"}`).is(http.StatusCreated)
	require.Equal(t, "no-store", created.Header().Get("Cache-Control"))
	id, secret := created.text("id"), created.text("secret")
	require.True(t, apikey.Valid(secret))
	for _, target := range []string{"/api/v1/keys/" + id, "/api/v1/keys", "/api/v1/admin/audit-logs"} {
		body := s.do(http.MethodGet, target, "").is(http.StatusOK).Body.String()
		require.NotContains(t, body, secret)
		require.Contains(t, body, apikey.Mask(secret)[len("viva_live_…"):])
	}
	found := s.do(http.MethodPost, "/api/v1/keys/lookup", `{"api_key":"`+secret+`"}`).is(http.StatusOK)
	require.Equal(t, id, found.text("id"))
	s.do(http.MethodPost, "/api/v1/keys/lookup", `{"api_key":"another"}`).is(http.StatusNotFound)
}

func TestARotationLeavesTheOldSecretItsGrace(t *testing.T) {
	s := newServer(t)
	id, old := s.newKey("")
	rotated := s.do(http.MethodPost, "/api/v1/keys/"+id+"/rotate", `{"grace":"1h"}`).is(http.StatusCreated)
	require.Len(t, rotated.object()["secrets"], 2)
	for _, secret := range []string{old, rotated.text("secret")} {
		require.Equal(t, "ok", s.check(`"api_key":"` + secret + `"`)["code"])
	}
	s.advance(time.Hour)
	require.Equal(t, "key_expired", s.check(`"api_key":"` + old + `"`)["code"])
	require.Equal(t, "ok", s.check(`"api_key":"` + rotated.text("secret") + `"`)["code"])
	s.do(http.MethodPost, "/api/v1/keys/"+id+"/rotate", "").is(http.StatusCreated)
	require.NotEqual(t, "ok", s.check(`"api_key":"` + rotated.text("secret") + `"`)["code"], "no grace unless asked for")
	for _, bad := range []string{`{"grace":"-1s"}`, `{"grace":"721h"}`, `{"grace":"soon"}`} {
		s.refuses(t, 422, "body grace", http.MethodPost, "/api/v1/keys/"+id+"/rotate", bad)
	}
}

func TestManyKeysAreCreatedOrNone(t *testing.T) {
	s := newServer(t)
	foreign := "sk_live_made_elsewhere_0123456789"
	hash := apikey.Sum(foreign).String()
	made := s.do(http.MethodPost, "/api/v1/keys/bulk", `{"keys":[{"name":"a"},{"name":"b","import":{"hash":"`+strings.ToUpper(hash)+`","mask":"…6789"}}]}`).is(http.StatusCreated)
	list := made.object()["data"].([]any)
	require.Contains(t, list[0], "secret")
	require.NotContains(t, list[1], "secret")
	require.Equal(t, "ok", s.check(`"api_key":"` + foreign + `"`)["code"])

	_, fields := s.do(http.MethodPost, "/api/v1/keys/bulk", `{"keys":[{"name":"c"},{"name":"d","plan":"none"},{"name":"e","rules":[{"name":"r","limit":1,"window":"1ns"}]}]}`).
		is(http.StatusUnprocessableEntity).problem()
	require.Equal(t, []string{"body keys[1].plan", "body keys[2].rules[0].window"}, fields)
	require.Len(t, s.do(http.MethodGet, "/api/v1/keys", "").names(), 2)
	s.refuses(t, 422, "body keys[0].import.hash", http.MethodPost, "/api/v1/keys/bulk", `{"keys":[{"name":"f","import":{"hash":"`+hash+`"}}]}`)

	thousand := strings.TrimSuffix(strings.Repeat(`{"name":"many","rules":[{"name":"a","limit":1,"window":"1m"}]},`, 1000), ",")
	require.Len(t, s.do(http.MethodPost, "/api/v1/keys/bulk", `{"keys":[`+thousand+`]}`).is(http.StatusCreated).object()["data"], 1000)
}

func TestBadRulesAreNamed(t *testing.T) {
	s := newServer(t)
	for rule, field := range map[string]string{
		`{"name":"r","limit":1,"window":"0s"}`:                                       "body rules[0].window",
		`{"name":"r","limit":-1,"window":"1m"}`:                                      "body rules[0].limit",
		`{"name":"r","limit":0,"window":"1m"}`:                                       "body rules[0].limit",
		`{"name":"r","limit":9007199254740992,"window":"1m"}`:                        "body rules[0].limit",
		`{"name":"","limit":1,"window":"1m"}`:                                        "body rules[0].name",
		`{"name":"r","limit":1,"period":"year"}`:                                     "body rules[0].period",
		`{"name":"r","limit":1,"period":"month","algorithm":"sliding_window"}`:       "body rules[0].algorithm",
		`{"name":"r","limit":1,"period":"month","window":"1m"}`:                      "body rules[0].window",
		`{"name":"r","limit":1,"period":"month","algorithm":"gcra","burst":1}`:       "body rules[0].algorithm",
		`{"name":"r","limit":1,"period":"month","algorithm":"sliding_log"}`:          "body rules[0].algorithm",
		`{"name":"r","limit":1,"window":"1m","algorithm":"leaky_bucket"}`:            "body rules[0].algorithm",
		`{"name":"r","limit":1,"window":"1m","burst":2}`:                             "body rules[0].burst",
		`{"name":"r","limit":1,"window":"1m","algorithm":"gcra","burst":0}`:          "body rules[0].burst",
		`{"name":"r","limit":9,"window":"1s","algorithm":"gcra","burst":4294967297}`: "body rules[0].burst",
		`{"name":"r","limit":1,"window":"1h","algorithm":"gcra","burst":8785}`:       "body rules[0].burst",
		`{"name":"r","limit":4294967297,"window":"1h","algorithm":"gcra"}`:           "body rules[0].limit",
		`{"name":"r","limit":10001,"window":"1h","algorithm":"sliding_log"}`:         "body rules[0].limit",
		`{"name":"r","limit":1,"window":"1m","endpoints":["/{a,b}"]}`:                "body rules[0].endpoints[0]",
		`{"name":"r","limit":1,"window":"1m"},{"name":"r","limit":1,"window":"1m"}`:  "body rules[1].name",
	} {
		_, fields := s.do(http.MethodPost, "/api/v1/keys", `{"name":"k","rules":[`+rule+`]}`).is(http.StatusUnprocessableEntity).problem()
		require.Equal(t, []string{field}, fields, rule)
	}
}

func TestOwnersAreNamedByTheirExternalID(t *testing.T) {
	s := newServer(t)
	created := s.do(http.MethodPost, "/api/v1/owners", `{"external_id":"cust_42","name":"Acme","email":"a@example.com","plan":"pro","time_zone":"Europe/Berlin","anchor_day":15}`).is(http.StatusCreated)
	require.Equal(t, "pro", created.text("plan"))
	byID := s.do(http.MethodGet, "/api/v1/owners/"+created.text("id"), "").is(http.StatusOK)
	require.Equal(t, created.object(), byID.object())
	s.do(http.MethodPost, "/api/v1/owners", `{"external_id":"cust_42"}`).is(http.StatusConflict)

	keyID, _ := s.newKey(`"owner":"cust_42"`)
	moved := s.do(http.MethodPatch, "/api/v1/owners/cust_42", `{"plan":"enterprise","email":null,"plan_version":1}`, "If-Match", "*").is(http.StatusOK).object()
	require.Equal(t, "enterprise", moved["plan"])
	require.Empty(t, moved["email"].(string))
	require.EqualValues(t, 1, moved["plan_version"])
	require.Equal(t, "enterprise", s.do(http.MethodGet, "/api/v1/keys/"+keyID, "").text("plan"))

	code, _ := s.do(http.MethodDelete, "/api/v1/owners/cust_42", "").is(http.StatusConflict).problem()
	require.Equal(t, "conflict", code)
	s.do(http.MethodDelete, "/api/v1/keys/"+keyID, "").is(http.StatusNoContent)
	s.do(http.MethodDelete, "/api/v1/owners/cust_42", "").is(http.StatusNoContent)
	require.Empty(t, s.do(http.MethodGet, "/api/v1/owners?name=Acme", "").names())
	require.Equal(t, []string{"Acme"}, s.do(http.MethodGet, "/api/v1/owners?include_archived=true&name=Ac", "").names())

	for body, field := range map[string]string{
		`{"external_id":"a b"}`: "body external_id", `{"external_id":"01a208ad-6ca0-7265-af96-7e11e6488491"}`: "body external_id",
		`{"time_zone":"Mars/Olympus"}`: "body time_zone", `{"anchor_day":32}`: "body anchor_day", `{"email":"nonsense"}`: "body email",
		`{"plan":"none"}`: "body plan", `{"plan_version":9}`: "body plan_version",
	} {
		s.refuses(t, 422, field, http.MethodPost, "/api/v1/owners", body)
	}
}

func TestPlansChangeByVersions(t *testing.T) {
	s := newServer(t)
	require.ElementsMatch(t, []string{"free", "pro", "enterprise"}, s.do(http.MethodGet, "/api/v1/plans", "").names())
	plan := s.do(http.MethodPost, "/api/v1/plans", `{"name":"gold","rules":[{"name":"r","limit":1,"window":"1m"}]}`).is(http.StatusCreated)
	require.EqualValues(t, 1, plan.object()["version"])
	_, secret := s.newKey(`"plan":"gold"`)
	check := `"api_key":"` + secret + `"`
	require.Equal(t, "ok", s.check(check)["code"])
	require.Equal(t, "rate_limited", s.check(check)["code"])

	second := s.do(http.MethodPost, "/api/v1/plans/gold/versions", `{"rules":[{"name":"r","limit":2,"window":"1m"}]}`).is(http.StatusCreated)
	require.EqualValues(t, 2, second.object()["version"])
	require.Equal(t, "ok", s.check(check)["code"], "owners follow the newest version")
	first := s.do(http.MethodGet, "/api/v1/plans/gold/versions/1", "").is(http.StatusOK)
	require.EqualValues(t, 1, first.object()["rules"].([]any)[0].(map[string]any)["limit"])
	s.do(http.MethodGet, "/api/v1/plans/gold/versions/3", "").is(http.StatusNotFound)
	numbers := []any{}
	for _, v := range s.do(http.MethodGet, "/api/v1/plans/gold/versions?sort=number", "").is(http.StatusOK).object()["data"].([]any) {
		numbers = append(numbers, v.(map[string]any)["number"])
	}
	require.Equal(t, []any{1.0, 2.0}, numbers)
	next := s.do(http.MethodGet, "/api/v1/plans/gold/versions?limit=1", "").text("next_cursor")
	rest := s.do(http.MethodGet, "/api/v1/plans/gold/versions?limit=1&cursor="+next, "").is(http.StatusOK).object()
	require.EqualValues(t, 1, rest["data"].([]any)[0].(map[string]any)["number"])

	s.do(http.MethodDelete, "/api/v1/plans/gold", "").is(http.StatusConflict)
	s.do(http.MethodPatch, "/api/v1/plans/gold", `{"archived":true}`, "If-Match", "*").is(http.StatusOK)
	s.refuses(t, 422, "body plan", http.MethodPost, "/api/v1/keys", `{"name":"x","plan":"gold"}`)
	s.do(http.MethodPost, "/api/v1/plans", `{"name":"unused"}`).is(http.StatusCreated)
	s.do(http.MethodDelete, "/api/v1/plans/unused", "").is(http.StatusNoContent)
	s.do(http.MethodGet, "/api/v1/plans/unused", "").is(http.StatusNotFound)
}

func TestKeyspacesKeepTheirKeysApart(t *testing.T) {
	s := newServer(t)
	s.do(http.MethodPost, "/api/v1/keyspaces", `{"name":"payments","prefix":"pay"}`).is(http.StatusCreated)
	id, secret := s.newKey(`"keyspace":"payments","environment":"test"`)
	require.True(t, strings.HasPrefix(secret, "pay_test_"))
	require.Equal(t, "ok", s.check(`"api_key":"` + secret + `","keyspace":"payments"`)["code"])
	require.Equal(t, "key_unknown", s.check(`"api_key":"` + secret + `","keyspace":"default"`)["code"])
	s.do(http.MethodDelete, "/api/v1/keyspaces/payments", "").is(http.StatusConflict)
	s.do(http.MethodDelete, "/api/v1/keys/"+id, "").is(http.StatusNoContent)
	s.do(http.MethodDelete, "/api/v1/keyspaces/payments", "").is(http.StatusNoContent)
	for body, field := range map[string]string{
		`{"name":"a b"}`: "body name", `{"name":"x","prefix":"Pay"}`: "body prefix", `{"name":"x","prefix":"a_live"}`: "body prefix",
	} {
		s.refuses(t, 422, field, http.MethodPost, "/api/v1/keyspaces", body)
	}
}

func TestTokensAreMadeShownOnceAndRevoked(t *testing.T) {
	s := newServer(t)
	made := s.do(http.MethodPost, "/api/v1/admin/tokens", `{"name":"ci","role":"viewer"}`).is(http.StatusCreated)
	token := made.text("token")
	require.Equal(t, []any{"keys:read", "plans:read", "usage:read", "alerts:read"}, made.object()["scopes"])
	s.do(http.MethodGet, "/api/v1/keys", "", "Authorization", "Bearer "+token).is(http.StatusOK)
	require.NotContains(t, s.do(http.MethodGet, "/api/v1/admin/tokens", "").is(http.StatusOK).Body.String(), token)
	revoked := s.do(http.MethodDelete, "/api/v1/admin/tokens/"+made.text("id"), "").is(http.StatusOK)
	require.NotNil(t, revoked.object()["revoked_at"])
	s.do(http.MethodGet, "/api/v1/keys", "", "Authorization", "Bearer "+token).is(http.StatusUnauthorized)
	s.do(http.MethodDelete, "/api/v1/admin/tokens/nonsense", "").is(http.StatusNotFound)
	s.refuses(t, 422, "body scopes[0]", http.MethodPost, "/api/v1/admin/tokens", `{"name":"x","scopes":["keys:all"]}`)
	s.refuses(t, 422, "body role", http.MethodPost, "/api/v1/admin/tokens", `{"name":"x","scopes":["keys:*"],"role":"admin"}`)
}

func TestEveryChangeIsOnRecord(t *testing.T) {
	s := newServer(t)
	id, _ := s.newKey("")
	s.do(http.MethodPost, "/api/v1/keys/"+id+"/revoke", "", "X-Request-Id", "r1").is(http.StatusOK)
	entries := s.do(http.MethodGet, "/api/v1/admin/audit-logs?object_id="+id, "").is(http.StatusOK).object()["data"].([]any)
	require.Len(t, entries, 2)
	entry := entries[0].(map[string]any)
	require.Equal(t, "key.revoke", entry["action"])
	require.Equal(t, "token", entry["actor_kind"])
	require.Equal(t, "192.0.2.1", entry["ip"])
	require.Equal(t, "r1", entry["request_id"])
	require.NotNil(t, entry["before"])
	require.Nil(t, entries[1].(map[string]any)["before"])
	for _, query := range []string{"action=key.create", "object_kind=key", "actor_id=" + entry["actor_id"].(string)} {
		require.NotEmpty(t, s.do(http.MethodGet, "/api/v1/admin/audit-logs?"+query, "").is(http.StatusOK).object()["data"], query)
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	s := newServer(t)
	for _, id := range []string{"nonsense", "01a208ad-6ca0-7265-af96-7e11e6488491", "%2e%2e"} {
		for _, kind := range []string{"keys", "owners", "plans", "keyspaces"} {
			code, _ := s.do(http.MethodGet, "/api/v1/"+kind+"/"+id, "").is(http.StatusNotFound).problem()
			require.Equal(t, "not_found", code)
		}
		for _, action := range []string{"revoke", "activate", "suspend", "rotate", "reset-limits"} {
			s.do(http.MethodPost, "/api/v1/keys/"+id+"/"+action, "").is(http.StatusNotFound)
		}
	}
}

func TestTheLogHoldsNoSecret(t *testing.T) {
	s := newServer(t)
	id, secret := s.newKey("")
	s.check(`"api_key":"` + secret + `"`)
	s.do(http.MethodPost, "/api/v1/keys/lookup", `{"api_key":"`+secret+`"}`)
	s.do(http.MethodPost, "/api/v1/validate", `{"api_key":"`+secret+`","cost":-1}`)
	s.do(http.MethodGet, "/api/v1/authorize", "", "X-Api-Key", secret)
	s.do(http.MethodGet, "/api/v1/keys/"+secret+"?api_key="+secret, "")
	s.source.fail = fmt.Errorf("out of reach")
	s.check500(t, secret)
	require.GreaterOrEqual(t, s.log.Len(), 7)
	for _, entry := range s.log.All() {
		line := fmt.Sprint(entry.Message, entry.ContextMap())
		require.NotContains(t, line, secret[len(secret)-30:])
		require.NotContains(t, line, s.token)
		require.NotContains(t, line, id)
	}
}

func (s *server) check500(t *testing.T, secret string) {
	t.Helper()
	a := s.do(http.MethodPost, "/api/v1/validate", `{"api_key":"`+secret+`"}`).is(http.StatusInternalServerError)
	code, _ := a.problem()
	require.Equal(t, "internal", code)
	require.NotContains(t, a.Body.String(), "out of reach")
}
