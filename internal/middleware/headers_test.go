package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/middleware"
	"github.com/viva/rate-limiter/pkg/apierror"
)

func newRecorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }

func TestTheClientIsWhoTheNearestTrustedProxySaw(t *testing.T) {
	trusted := networks("10.0.0.0/8", "fd00::/8")
	tests := []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "203.0.113.9:1", nil, "203.0.113.9"},
		{"a stranger cannot speak for others", "203.0.113.9:1", []string{"198.51.100.7"}, "203.0.113.9"},
		{"one proxy", "10.0.0.1:1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"two proxies", "10.0.0.1:1", []string{"198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
		{"what the client forged is left of it", "10.0.0.1:1", []string{"1.1.1.1, 198.51.100.7"}, "198.51.100.7"},
		{"a proxy that adds a line of its own", "10.0.0.1:1", []string{"1.1.1.1", "198.51.100.7"}, "198.51.100.7"},
		{"proxies alone", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"nothing forwarded", "10.0.0.1:1", nil, "10.0.0.1"},
		{"no address", "10.0.0.1:1", []string{"unknown"}, "10.0.0.1"},
		{"no address, further left", "10.0.0.1:1", []string{"evil, 10.0.0.2"}, "10.0.0.2"},
		{"an empty element", "10.0.0.1:1", []string{"198.51.100.7,"}, "10.0.0.1"},
		{"with a port", "10.0.0.1:1", []string{"198.51.100.7:4711"}, "198.51.100.7"},
		{"IPv6", "[fd00::1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv6 with a port", "[fd00::1]:1", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"IPv6 in brackets", "[fd00::1]:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{"with a zone", "[fe80::1%eth0]:1", nil, "fe80::1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: test.peer, Header: http.Header{"X-Forwarded-For": test.forwarded}}
			require.Equal(t, test.want, trusted.ClientIP(r).String())
		})
	}
	require.False(t, trusted.ClientIP(&http.Request{RemoteAddr: "@"}).IsValid(), "a Unix socket has no address")
}

func TestAnAuthenticatedGatewayIsBelievedAsAProxyIs(t *testing.T) {
	h := http.Header{"X-Forwarded-For": {"1.1.1.1, 198.51.100.7"}}
	require.Equal(t, "198.51.100.7", networks().ForwardedFor(h, netip.Addr{}).String())
	require.False(t, networks().ForwardedFor(http.Header{}, netip.Addr{}).IsValid())
}

func TestCORSLetsPagesOfItsOriginsIn(t *testing.T) {
	s := newStack(t, func(o *middleware.Options) {
		o.CORS = middleware.CORS{
			AllowedOrigins: []string{"https://app.example.com"}, AllowedMethods: []string{"GET", "POST"},
			AllowedHeaders: []string{"Authorization", "If-Match"}, MaxAge: 10 * time.Minute,
		}
	})
	s.GET("/a", ok)
	s.OPTIONS("/gateway", ok)

	w := s.send("OPTIONS", "/a", "Origin", "https://app.example.com", "Access-Control-Request-Method", "POST")
	require.Equal(t, http.StatusNoContent, w.Code)
	require.Equal(t, "https://app.example.com", w.Header().Get("Access-Control-Allow-Origin"))
	require.Equal(t, "GET, POST", w.Header().Get("Access-Control-Allow-Methods"))
	require.Equal(t, "Authorization, If-Match", w.Header().Get("Access-Control-Allow-Headers"))
	require.Equal(t, "600", w.Header().Get("Access-Control-Max-Age"))
	require.Empty(t, w.Header().Get("Access-Control-Allow-Credentials"))
	require.Equal(t, "Origin", w.Header().Get("Vary"))

	w = s.send("GET", "/a", "Origin", "https://app.example.com")
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Header().Get("Access-Control-Expose-Headers"), "ETag")

	for _, origin := range []string{"https://evil.example", "https://app.example.com.evil.example", "null"} {
		w = s.send("GET", "/a", "Origin", origin)
		require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"), origin)
		require.Equal(t, "Origin", w.Header().Get("Vary"), "a cache must not give one origin's answer to another")
		problem(t, s.send("OPTIONS", "/a", "Origin", origin, "Access-Control-Request-Method", "POST"), apierror.CodeMethodNotAllowed)
	}
	w = s.send("OPTIONS", "/gateway", "Origin", "https://app.example.com", "Access-Control-Request-Method", "POST")
	require.Equal(t, "fine", w.Body.String(), "an OPTIONS that a route takes is the route's")
	require.Equal(t, "https://app.example.com", s.send("GET", "/none", "Origin", "https://app.example.com").Header().Get("Access-Control-Allow-Origin"),
		"scripts may read problems")
}

func TestCORSForAllOrigins(t *testing.T) {
	s := newStack(t, func(o *middleware.Options) { o.CORS = middleware.CORS{AllowedOrigins: []string{"*"}} })
	s.GET("/", ok)
	require.Equal(t, "*", s.send("GET", "/", "Origin", "https://any.example").Header().Get("Access-Control-Allow-Origin"))
	require.Empty(t, s.send("GET", "/").Header().Get("Access-Control-Allow-Origin"))
}

func TestSecurityHeadersAreOnEveryAnswer(t *testing.T) {
	s := newStack(t, func(o *middleware.Options) {
		o.Security = middleware.Security{Enabled: true, HSTSMaxAge: time.Hour, HSTSIncludeSubdomains: true}
	})
	s.GET("/a", ok)
	for _, path := range []string{"/a", "/none"} {
		h := s.send("GET", path).Header()
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
		require.Equal(t, "DENY", h.Get("X-Frame-Options"))
		require.Equal(t, "no-referrer", h.Get("Referrer-Policy"))
		require.Equal(t, "no-store", h.Get("Cache-Control"))
		require.Equal(t, "default-src 'none'; frame-ancestors 'none'", h.Get("Content-Security-Policy"))
		require.Equal(t, "max-age=3600; includeSubDomains", h.Get("Strict-Transport-Security"))
	}
	require.Empty(t, newStack(t).send("GET", "/").Header().Get("X-Frame-Options"))
}
