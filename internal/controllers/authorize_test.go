package controllers_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAuthorizeAnswersByStatus(t *testing.T) {
	s := newServer(t)
	s.do(http.MethodPost, "/api/v1/owners", `{"external_id":"cust_42"}`).is(http.StatusCreated)
	id, secret := s.newKey(`"owner":"cust_42","rules":[{"name":"demo","limit":2,"window":"20s"}]`)
	for _, header := range [][2]string{{"X-Api-Key", secret}, {"Authorization", "Bearer " + secret}} {
		a := s.do(http.MethodGet, "/api/v1/authorize", "", "Authorization", "", header[0], header[1]).is(http.StatusOK)
		require.Empty(t, a.Body.String())
		require.Equal(t, "ok", a.Header().Get("X-Viva-Code"))
		require.Equal(t, id, a.Header().Get("X-Viva-Key-Id"))
		require.Equal(t, "cust_42", a.Header().Get("X-Viva-Owner"))
		require.NotEmpty(t, a.Header().Get("RateLimit"))
	}
	refused := s.do(http.MethodGet, "/api/v1/authorize", "", "X-Api-Key", secret).is(http.StatusTooManyRequests)
	require.Empty(t, refused.Body.String())
	require.Equal(t, "rate_limited", refused.Header().Get("X-Viva-Code"))
	require.NotEmpty(t, refused.Header().Get("Retry-After"))
	require.Empty(t, refused.Header().Get("X-Viva-Key-Id"))

	s.do(http.MethodGet, "/api/v1/authorize?deny_status=403", "", "X-Api-Key", secret).is(http.StatusForbidden)
	s.do(http.MethodGet, "/api/v1/authorize?deny_status=403", "", "X-Api-Key", "x").is(http.StatusUnauthorized)
	for _, bad := range []string{"200", "500", "x", ""} {
		_, fields := s.do(http.MethodGet, "/api/v1/authorize?deny_status="+bad, "").is(http.StatusUnprocessableEntity).problem()
		require.Equal(t, []string{"query deny_status"}, fields)
	}
}

func TestAuthorizeRefusesKeysByTheirState(t *testing.T) {
	s := newServer(t)
	id, secret := s.newKey("")
	ask := func(status int, code string) {
		t.Helper()
		a := s.do(http.MethodGet, "/api/v1/authorize", "", "X-Api-Key", secret).is(status)
		require.Equal(t, code, a.Header().Get("X-Viva-Code"))
		require.Equal(t, status == http.StatusUnauthorized, a.Header().Get("WWW-Authenticate") != "")
	}
	ask(http.StatusOK, "ok")
	s.do(http.MethodPost, "/api/v1/keys/"+id+"/suspend", "").is(http.StatusOK)
	ask(http.StatusForbidden, "key_suspended")
	s.do(http.MethodPost, "/api/v1/keys/"+id+"/revoke", "").is(http.StatusOK)
	ask(http.StatusUnauthorized, "key_revoked")
	s.do(http.MethodDelete, "/api/v1/keys/"+id, "").is(http.StatusNoContent)
	ask(http.StatusUnauthorized, "key_unknown")
	secret = "nonsense"
	ask(http.StatusUnauthorized, "key_malformed")
}

func TestAuthorizeReadsTheCallFromTheGateway(t *testing.T) {
	s := newServer(t)
	_, secret := s.newKey(`"methods":["POST"],"endpoints":["/public/**"],"allowed_ips":["198.51.100.0/24"]`)
	caddy := []string{"X-Forwarded-Method", "POST", "X-Forwarded-Uri", "/public/a?x=1", "X-Forwarded-For", "203.0.113.9, 198.51.100.7"}
	nginx := []string{"X-Original-Method", "POST", "X-Original-URI", "/public/a?x=1", "X-Real-IP", "198.51.100.7"}
	tests := []struct {
		name, method, path string
		headers            []string
		code               string
	}{
		{"Caddy", "GET", "", caddy, "ok"},
		{"nginx", "GET", "", nginx, "ok"},
		{"Envoy", "POST", "/public/a", []string{"X-Forwarded-For", "198.51.100.7"}, "ok"},
		{"Envoy ignores headers that a caller may have sent", "POST", "/private", append(caddy, "X-Forwarded-For", "198.51.100.7"), "endpoint_denied"},
		{"another method", "GET", "", append(caddy, "X-Forwarded-Method", "GET"), "endpoint_denied"},
		{"dot segments", "GET", "", append(caddy, "X-Forwarded-Uri", "/public/../private"), "endpoint_denied"},
		{"encoded dot segments", "GET", "", append(caddy, "X-Forwarded-Uri", "/public/%2e%2E/private"), "endpoint_denied"},
		{"encoded slashes", "GET", "", append(caddy, "X-Forwarded-Uri", "/public%2f..%2fprivate"), "endpoint_denied"},
		{"repeated slashes", "GET", "", append(caddy, "X-Forwarded-Uri", "//public//a/"), "ok"},
		{"an absolute URI", "GET", "", append(caddy, "X-Forwarded-Uri", "https://api.example/public/a"), "ok"},
		{"a client's own forwarding", "GET", "", append(caddy, "X-Forwarded-For", "198.51.100.7, 203.0.113.9"), "ip_denied"},
		{"no address", "GET", "", append(caddy, "X-Forwarded-For", ""), "ip_denied"},
		{"an address of nginx that is none", "GET", "", append(nginx, "X-Real-IP", "unknown"), "ip_denied"},
		{"no call at all", "GET", "", []string{"X-Forwarded-For", "198.51.100.7"}, "endpoint_denied"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := s.do(test.method, "/api/v1/authorize"+test.path, "", append([]string{"X-Api-Key", secret}, test.headers...)...)
			require.Equal(t, test.code, a.Header().Get("X-Viva-Code"), a.Body.String())
		})
	}
}

func TestAuthorizeRefusesWhatACallerMayHaveForged(t *testing.T) {
	s := newServer(t)
	_, secret := s.newKey("")
	for _, headers := range [][]string{
		{"X-Original-URI", "/private", "X-Forwarded-Uri", "/public"},
		{"X-Original-URI", "/private", "X-Forwarded-Method", "GET"},
	} {
		code, fields := s.do(http.MethodGet, "/api/v1/authorize", "", append([]string{"X-Api-Key", secret}, headers...)...).
			is(http.StatusUnprocessableEntity).problem()
		require.Equal(t, "validation_failed", code)
		require.Len(t, fields, 1)
	}
}

func TestACallThatCannotBeReadIsDenied(t *testing.T) {
	s := newServer(t)
	_, secret := s.newKey("")
	for _, headers := range [][]string{
		{"X-Forwarded-Uri", "/%zz"},
		{"X-Forwarded-Uri", "/a%00b"},
		{"X-Forwarded-Uri", "/a%ff"},
		{"X-Forwarded-Uri", "/" + strings.Repeat("a", 2048)},
		{"X-Forwarded-Method", strings.Repeat("A", 17)},
	} {
		// Not a problem: to gateways, 422 is a failure of the whole check.
		a := s.do(http.MethodGet, "/api/v1/authorize", "", append([]string{"X-Api-Key", secret}, headers...)...).is(http.StatusForbidden)
		require.Equal(t, "endpoint_denied", a.Header().Get("X-Viva-Code"))
		require.Zero(t, a.Body.Len())
	}
}

func TestAuthorizeTakesEveryMethodAndABody(t *testing.T) {
	s := newServer(t)
	_, secret := s.newKey("")
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "QUERY"} {
		for _, path := range []string{"", "/", "/v1/a/b"} {
			s.do(method, "/api/v1/authorize"+path, "whatever", "X-Api-Key", secret, "Content-Type", "text/plain").is(http.StatusOK)
		}
	}
}

func TestAKeyPresentedTwiceIsNone(t *testing.T) {
	s := newServer(t)
	_, secret := s.newKey("")
	r := s.request(http.MethodGet, "/api/v1/authorize", "")
	r.Header["X-Api-Key"] = []string{secret, secret}
	require.Equal(t, "key_malformed", s.send(r).is(http.StatusUnauthorized).Header().Get("X-Viva-Code"))
}

func TestTheOwnerIsShownInASCII(t *testing.T) {
	s := newServer(t)
	s.do(http.MethodPost, "/api/v1/owners", `{"external_id":"Kündin%1"}`).is(http.StatusCreated)
	_, secret := s.newKey(`"owner":"Kündin%1"`)
	a := s.do(http.MethodGet, "/api/v1/authorize", "", "X-Api-Key", secret).is(http.StatusOK)
	require.Equal(t, "K%C3%BCndin%251", a.Header().Get("X-Viva-Owner"))
}
