package controllers_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apierror"
)

func (s *server) check(members string) map[string]any {
	s.t.Helper()
	return s.do(http.MethodPost, "/api/v1/validate", "{"+members+"}").is(http.StatusOK).object()
}

func TestAKeyIsCheckedUntilItsLimitAndAgainWhenTheAnswerSaid(t *testing.T) {
	s := newServer(t)
	id, secret := s.newKey(`"rules":[{"name":"demo","limit":3,"window":"20s"}],"metadata":{"region":"eu"},"permissions":["read"]`)
	member := `"api_key":"` + secret + `"`
	for i := range 3 {
		a := s.check(member)
		require.Equal(t, true, a["allowed"], i)
		require.Equal(t, "ok", a["code"])
		require.NotContains(t, a, "retry_after_ms")
		require.NotContains(t, a, "problem")
	}
	refused := s.do(http.MethodPost, "/api/v1/validate", "{"+member+"}").is(http.StatusOK)
	require.Empty(t, refused.Header().Get("RateLimit"), "it would make the caller's own backend back off")
	require.Equal(t, refused.Header().Get("X-Request-Id"), refused.text("request_id"))
	a := refused.object()
	require.Equal(t, false, a["allowed"])
	require.Equal(t, "rate_limited", a["code"])
	require.Equal(t, false, a["degraded"])
	key := a["key"].(map[string]any)
	require.Equal(t, map[string]any{
		"id": id, "name": "Checkout", "keyspace": "default", "owner": key["owner"], "plan": "free", "environment": "live",
		"permissions": []any{"read"}, "metadata": map[string]any{"region": "eu"},
	}, key)
	ms := a["retry_after_ms"].(float64)
	wait := time.Duration(ms) * time.Millisecond
	require.Positive(t, wait)
	s.advance(wait - time.Millisecond)
	require.Equal(t, false, s.check(member)["allowed"])
	s.advance(time.Millisecond)
	require.Equal(t, true, s.check(member)["allowed"])
}

func TestRefusalsOfTheKeyItselfAreAnswers(t *testing.T) {
	s := newServer(t)
	id, secret := s.newKey(`"allowed_ips":["10.0.0.0/8"],"permissions":["read"],"endpoints":["/v1/**"],"methods":["GET"]`)
	good := `"api_key":"` + secret + `","ip":"10.1.2.3","method":"GET","endpoint":"/v1/users","permissions":["read"]`
	require.Equal(t, "ok", s.check(good)["code"])
	for replace, code := range map[string]string{
		`"10.1.2.3"->"192.0.2.1"`: "ip_denied",
		`["read"]->["write"]`:     "permission_denied",
		`"/v1/users"->"/v2/x"`:    "endpoint_denied",
		`"GET"->"POST"`:           "endpoint_denied",
	} {
		from, to, _ := strings.Cut(replace, "->")
		a := s.check(strings.Replace(good, from, to, 1))
		require.Equal(t, code, a["code"])
		require.Equal(t, false, a["allowed"])
	}
	for _, malformed := range []string{"", "x", secret[:len(secret)-1] + "-", "ünïcode", strings.Repeat("x", 5000), `quo\"ted`} {
		a := s.check(`"api_key":"` + malformed + `"`)
		require.Equal(t, "key_malformed", a["code"], malformed)
		require.NotContains(t, a, "key")
	}
	s.do(http.MethodPost, "/api/v1/keys/"+id+"/suspend", `{"reason":"late"}`).is(http.StatusOK)
	require.Equal(t, "key_suspended", s.check(good)["code"])
	s.do(http.MethodPost, "/api/v1/keys/"+id+"/activate", "").is(http.StatusOK)
	require.Equal(t, "ok", s.check(good)["code"])
	s.do(http.MethodPost, "/api/v1/keys/"+id+"/revoke", "").is(http.StatusOK)
	require.Equal(t, "key_revoked", s.check(good)["code"])
	s.do(http.MethodDelete, "/api/v1/keys/"+id, "").is(http.StatusNoContent)
	require.Equal(t, "key_unknown", s.check(good)["code"])
}

// The same checks are sent as the fast path takes them and, by an Accept that
// means the same, as it leaves them to Huma. None of them spends.
func TestBothPathsOfACheckAnswerAlike(t *testing.T) {
	s := newServer(t)
	_, secret := s.newKey(`"rules":[{"name":"demo","limit":30,"window":"20s"},{"name":"quiet","limit":1,"window":"1s","shadow":true}],` +
		`"metadata":{"b":"ü <&>","a":"\"quoted\" \\"},"permissions":["read"]`)
	s.check(`"api_key":"` + secret + `","cost":30`)
	for _, members := range []string{
		`"api_key":"%s"`,
		`"api_key":"%s","cost":0`,
		`"api_key":"%s","cost":31`,
		` "cost" : 2 , "check_id":"c1","method":"GET","endpoint":"/a","ip":"::ffff:10.0.0.1","permissions":["read"],"api_key":"%s" `,
		`"api_key":"%s","keyspace":"default","permissions":["read","write"]`,
		`"api_key":"%s","keyspace":"other"`,
		`"api_key":"x%s"`,
		`"api_key":"%s","permissions":[]`,
		`"api_key":"%s","endpoint":"\u002fa"`,
	} {
		body := "{" + fmt.Sprintf(members, secret) + "}"
		for path, body := range map[string]string{"": body, "/batch": `{"checks":[` + body + `,` + body + `]}`} {
			send := func(accept string) answer {
				return s.do(http.MethodPost, "/api/v1/validate"+path, body, "X-Request-Id", "same", "Accept", accept).is(http.StatusOK)
			}
			send("*/*") // whatever comes first under a check_id
			fast, slow := send("application/json"), send("application/*")
			require.Equal(t, slow.Body.String(), fast.Body.String(), body)
			require.Equal(t, slow.Header(), fast.Header(), body)
		}
	}
}

func TestABatchAnswersEachCheckInOrder(t *testing.T) {
	s := newServer(t)
	_, secret := s.newKey(`"rules":[{"name":"demo","limit":2,"window":"20s"}]`)
	one := `{"api_key":"` + secret + `"}`
	body := `{"checks":[` + one + `,{"api_key":"nonsense"},` + one + `,` + one + `,{"api_key":"` + secret + `","endpoint":"a\\b","cost":5}]}`
	for _, accept := range []string{"application/json", "application/*"} {
		a := s.do(http.MethodPost, "/api/v1/validate/batch", body, "Accept", accept, "X-Request-Id", "batch").is(http.StatusOK).object()
		codes := []any{}
		for i, result := range a["results"].([]any) {
			answer := result.(map[string]any)
			codes = append(codes, answer["code"])
			require.Equal(t, fmt.Sprintf("batch-%d", i), answer["request_id"])
		}
		require.Equal(t, []any{"ok", "key_malformed", "ok", "rate_limited", "cost_exceeds_limit"}, codes)
		s.advance(time.Hour)
	}
}

func TestACheckThatCannotBeDecidedIsAProblemInItsPlace(t *testing.T) {
	s := newServer(t)
	_, secret := s.newKey("")
	s.source.fail = apierror.New(apierror.CodeStoreUnavailable, "The database is out of reach").Wrap(errors.New("dial tcp: " + canary))
	body := `{"api_key":"` + secret + `"}`
	for _, accept := range []string{"application/json", "application/*"} {
		single := s.do(http.MethodPost, "/api/v1/validate", body, "Accept", accept).is(http.StatusServiceUnavailable)
		code, _ := single.problem()
		require.Equal(t, "store_unavailable", code)
		require.NotContains(t, single.Body.String(), canary)

		batch := s.do(http.MethodPost, "/api/v1/validate/batch", `{"checks":[`+body+`,{"api_key":"nonsense"}]}`, "Accept", accept).is(http.StatusOK)
		results := batch.object()["results"].([]any)
		undecided := results[0].(map[string]any)
		require.Equal(t, false, undecided["allowed"])
		require.Equal(t, "store_unavailable", undecided["code"])
		require.EqualValues(t, 503, undecided["problem"].(map[string]any)["status"])
		require.Equal(t, "key_malformed", results[1].(map[string]any)["code"])
		require.NotContains(t, batch.Body.String(), canary)
	}
}

func TestACheckIDIsGoodForOneCheck(t *testing.T) {
	s := newServer(t)
	_, secret := s.newKey("")
	member := `"api_key":"` + secret + `","check_id":"c1"`
	first := s.check(member)
	require.NotContains(t, first, "replayed")
	again := s.check(member)
	require.Equal(t, true, again["replayed"])
	require.Equal(t, first["limits"], again["limits"])
	code, fields := s.do(http.MethodPost, "/api/v1/validate", "{"+member+`,"cost":2}`).is(http.StatusUnprocessableEntity).problem()
	require.Equal(t, "check_id_conflict", code)
	require.Equal(t, []string{"body check_id"}, fields)
}

func TestALimitIsCheckedWithoutAKey(t *testing.T) {
	s := newServer(t)
	body := `{"namespace":"logins","identifier":"203.0.113.7","rules":[{"name":"per-minute","limit":1,"window":"1m"}]}`
	first := s.do(http.MethodPost, "/api/v1/limits/check", body).is(http.StatusOK).object()
	require.Equal(t, true, first["allowed"])
	require.NotContains(t, first, "key")
	second := s.do(http.MethodPost, "/api/v1/limits/check", body).is(http.StatusOK).object()
	require.Equal(t, "rate_limited", second["code"])
	require.Equal(t, map[string]any{"name": "per-minute", "limit": 1.0, "remaining": 0.0,
		"reset_after_ms": second["retry_after_ms"], "retry_after_ms": second["retry_after_ms"]}, second["limits"].([]any)[0])
	bucket := strings.Replace(body, `"window":"1m"`, `"window":"1m","algorithm":"gcra","burst":9`, 1)
	filled := s.do(http.MethodPost, "/api/v1/limits/check", bucket).is(http.StatusOK).object()
	require.Equal(t, map[string]any{
		"name": "per-minute", "limit": 1.0, "burst": 9.0, "remaining": 8.0, "reset_after_ms": 60_000.0,
	}, filled["limits"].([]any)[0])
	require.Equal(t, "9", filled["headers"].(map[string]any)["X-RateLimit-Limit"])
	log := strings.Replace(body, `"window":"1m"`, `"window":"1m","algorithm":"sliding_log"`, 1)
	require.Equal(t, true, s.do(http.MethodPost, "/api/v1/limits/check", log).is(http.StatusOK).object()["allowed"])
	require.Equal(t, "rate_limited", s.do(http.MethodPost, "/api/v1/limits/check", log).is(http.StatusOK).text("code"))
	other := strings.Replace(body, "203.0.113.7", "203.0.113.8", 1)
	require.Equal(t, true, s.do(http.MethodPost, "/api/v1/limits/check", other).is(http.StatusOK).object()["allowed"])
	for bad, field := range map[string]string{
		`"window":"1m"->"window":"0s"`:                           "body rules[0].window",
		`"window":"1m"->"window":"soon"`:                         "body rules[0].window",
		`"limit":1->"limit":-1`:                                  "body rules[0].limit",
		`"limit":1->"limit":0`:                                   "body rules[0].limit",
		`"limit":1->"limit":9e99`:                                "body rules[0].limit",
		`"limit":1->"limit":1,"burst":2`:                         "body rules[0].burst",
		`"namespace":"logins"->"namespace":"a b"`:                "body namespace",
		`"limit":1->"limit":1,"algorithm":"gcra","burst":527041`: "body rules[0].burst",
		`"limit":1->"limit":10001,"algorithm":"sliding_log"`:     "body rules[0].limit",
	} {
		from, to, _ := strings.Cut(bad, "->")
		s.refuses(t, 422, field, http.MethodPost, "/api/v1/limits/check", strings.Replace(body, from, to, 1))
	}
}
