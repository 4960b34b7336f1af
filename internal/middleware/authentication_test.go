package middleware_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/middleware"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

func TestATokenOpensWhatItsScopesName(t *testing.T) {
	s := newStack(t)
	guard := s.authentication(&tokens{valid: map[string]*models.AccessToken{"good": reader}})
	seen := 0
	handler := func(c *gin.Context) {
		seen++
		token, found := middleware.TokenFrom(c.Request.Context())
		require.True(t, found)
		require.Same(t, reader, token)
		require.Equal(t, models.Actor{Kind: "token", ID: "id-of-reader", Name: "reader", IP: "192.0.2.1", RequestID: "r1"},
			models.ActorFrom(c.Request.Context()))
	}
	s.GET("/keys", guard.Bearer("keys:read"), handler)
	s.GET("/plans", guard.Bearer("plans:read"), handler)
	s.GET("/me", guard.Bearer(""), handler)
	s.GET("/gateway", guard.Gateway("keys:read"), handler)

	for _, authorization := range []string{"Bearer good", "bearer good", "BEARER  good"} {
		require.Equal(t, http.StatusOK, s.send("GET", "/keys", "Authorization", authorization, "X-Request-Id", "r1").Code)
	}
	require.Equal(t, http.StatusOK, s.send("GET", "/me", "Authorization", "Bearer good", "X-Request-Id", "r1").Code)
	require.Equal(t, http.StatusOK, s.send("GET", "/gateway", "X-Viva-Token", "good", "Authorization", "Bearer other", "X-Request-Id", "r1").Code)
	require.Equal(t, 5, seen)

	p := problem(t, s.send("GET", "/plans", "Authorization", "Bearer good"), apierror.CodeForbidden)
	require.Contains(t, p.Detail, "plans:read")
	require.Equal(t, 5, seen)
}

func TestCallersWithoutAValidTokenAreChallenged(t *testing.T) {
	s := newStack(t)
	f := &tokens{valid: map[string]*models.AccessToken{"good": reader}}
	s.GET("/", s.authentication(f).Bearer("keys:read"), ok)
	for _, headers := range [][]string{
		{}, {"Authorization", ""}, {"Authorization", "good"}, {"Authorization", "Basic good"}, {"Authorization", "Bearer"},
		{"Authorization", "Bearer "}, {"X-Viva-Token", "good"}, {"Authorization", "Bearer good", "Authorization", "Bearer good"},
	} {
		w := s.send("GET", "/", headers...)
		problem(t, w, apierror.CodeUnauthorized)
		require.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"))
	}
	require.Zero(t, f.asked, "what is no token is not looked up")
	w := s.send("GET", "/", "Authorization", "Bearer wrong")
	problem(t, w, apierror.CodeUnauthorized)
	require.NotContains(t, w.Body.String(), "wrong")
}

func TestAStoreOutOfReachIsNoFailureOfTheCaller(t *testing.T) {
	s := newStack(t)
	f := &tokens{fail: apierror.New(apierror.CodeStoreUnavailable, "gone")}
	s.GET("/", s.authentication(f).Bearer("keys:read"), ok)
	for range 10 {
		problem(t, s.send("GET", "/", "Authorization", "Bearer good"), apierror.CodeStoreUnavailable)
	}
}

func TestFailedAuthenticationsAreLimitedPerAddress(t *testing.T) {
	s := newStack(t)
	f := &tokens{valid: map[string]*models.AccessToken{"good": reader, "new": reader}}
	s.GET("/", s.authentication(f).Bearer("keys:read"), ok)
	get := func(token string) int { return s.send("GET", "/", "Authorization", "Bearer "+token).Code }

	require.Equal(t, http.StatusOK, get("good"))
	for i := range 3 {
		require.Equal(t, http.StatusUnauthorized, get(fmt.Sprint("guess", i)))
	}
	asked := f.asked
	w := s.send("GET", "/", "Authorization", "Bearer guess3")
	problem(t, w, apierror.CodeRateLimited)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	require.Equal(t, http.StatusTooManyRequests, get("new"), "a guess may be right: it is not looked at")
	require.Equal(t, asked, f.asked)
	require.Equal(t, http.StatusOK, get("good"), "who was at work goes on")

	delete(f.valid, "good")
	require.Equal(t, http.StatusUnauthorized, get("good"), "a token known before is still checked")
	s.advance(2 * time.Minute)
	require.Equal(t, http.StatusOK, get("new"))
}

func TestAnIPv6NetworkCountsAsOneAddress(t *testing.T) {
	f := &tokens{}
	s := newStack(t)
	guard := middleware.NewAuthentication(f, limiterOf(s), middleware.FailureLimit{Limit: 3, Window: time.Minute}, networks("192.0.2.1/32"), s.now)
	s.GET("/", guard.Bearer("keys:read"), ok)
	from := func(ip string) int {
		return s.send("GET", "/", "Authorization", "Bearer guess", "X-Forwarded-For", ip).Code
	}
	for i := range 3 {
		require.Equal(t, http.StatusUnauthorized, from(fmt.Sprintf("2001:db8::%d", i)))
	}
	require.Equal(t, http.StatusTooManyRequests, from("2001:db8::ffff"))
	require.Equal(t, http.StatusUnauthorized, from("2001:db8:0:1::1"))
}
