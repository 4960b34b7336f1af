package middleware_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/middleware"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// told is what was told of one request.
type told struct {
	method, route string
	status        int
	took          time.Duration
}

// requests remembers what it is told.
type requests struct {
	began int
	ended []told
}

func (r *requests) Began() { r.began++ }

func (r *requests) Ended(method, route string, status int, took time.Duration) {
	r.ended = append(r.ended, told{method, route, status, took})
}

func TestRequestsAreToldByRouteHoweverTheyEnd(t *testing.T) {
	r := new(requests)
	s := newStack(t, func(o *middleware.Options) { o.Requests = r })
	s.GET("/keys/:id", func(c *gin.Context) {
		require.Equal(t, len(r.ended)+1, r.began)
		s.advance(3 * time.Millisecond)
		c.Status(http.StatusTeapot)
	})
	s.Handle("PROPFIND", "/keys/:id", ok)
	s.GET("/panic", func(*gin.Context) { panic("at once") })
	s.send("GET", "/keys/7")
	s.send("PROPFIND", "/keys/7")
	s.send("GET", "/panic")
	s.send("GET", "/nowhere/8")
	s.send("BREW", "/nowhere/8")
	s.send("POST", "/panic")
	require.Equal(t, []told{
		{"GET", "/keys/:id", 418, 3 * time.Millisecond},
		{"other", "/keys/:id", 200, 0},
		{"GET", "/panic", 500, 0},
		{"GET", "none", 404, 0},
		{"other", "none", 404, 0},
		{"POST", "none", 405, 0},
	}, r.ended)
	require.Equal(t, len(r.ended), r.began)
}

func TestRefusedCallersAreCounted(t *testing.T) {
	s := newStack(t)
	guard := s.authentication(&tokens{valid: map[string]*models.AccessToken{"good": reader}})
	s.GET("/", guard.Bearer("keys:read"), ok)
	s.GET("/plans", guard.Bearer("plans:read"), ok)
	s.send("GET", "/", "Authorization", "Bearer good")
	problem(t, s.send("GET", "/plans", "Authorization", "Bearer good"), apierror.CodeForbidden)
	require.Zero(t, guard.Refused(), "these had a token")
	problem(t, s.send("GET", "/"), apierror.CodeUnauthorized)
	problem(t, s.send("GET", "/", "Authorization", "Bearer bad"), apierror.CodeUnauthorized)
	require.EqualValues(t, 2, guard.Refused())
}
