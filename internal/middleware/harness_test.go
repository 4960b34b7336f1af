package middleware_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/viva/rate-limiter/internal/middleware"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	m.Run()
}

// stack is an engine with everything installed, on a clock of its own.
type stack struct {
	*gin.Engine
	t    *testing.T
	log  *observer.ObservedLogs
	time atomic.Int64 // nanoseconds
}

func newStack(t *testing.T, options ...func(*middleware.Options)) *stack {
	core, log := observer.New(zap.DebugLevel)
	s := &stack{Engine: gin.New(), t: t, log: log}
	s.time.Store(time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC).UnixNano())
	o := middleware.Options{Log: zap.New(core), Now: s.now}
	for _, option := range options {
		option(&o)
	}
	middleware.Install(s.Engine, o)
	return s
}

func (s *stack) now() time.Time          { return time.Unix(0, s.time.Load()) }
func (s *stack) advance(d time.Duration) { s.time.Add(int64(d)) }

// send sends a request; headers are name, value, ….
func (s *stack) send(method, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(s.t.Context(), method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// problem checks that an answer is a problem of the code.
func problem(t *testing.T, w *httptest.ResponseRecorder, code apierror.Code) apierror.Problem {
	t.Helper()
	require.Equal(t, code.Status(), w.Code, w.Body)
	require.Equal(t, apierror.ContentType, w.Header().Get("Content-Type"))
	var p apierror.Problem
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	require.Equal(t, code, p.Code)
	require.Equal(t, w.Header().Get("X-Request-Id"), p.RequestID)
	require.NotEmpty(t, p.RequestID)
	return p
}

// line gives the fields of the last line of the access log.
func (s *stack) line() map[string]any {
	s.t.Helper()
	lines := s.log.FilterMessage("request").All()
	require.NotEmpty(s.t, lines)
	return lines[len(lines)-1].ContextMap()
}

// tokens accepts the tokens it holds, and counts how often it is asked.
type tokens struct {
	valid map[string]*models.AccessToken
	asked int
	fail  error
}

func (f *tokens) Authenticate(_ context.Context, presented string, _ time.Time) (*models.AccessToken, error) {
	f.asked++
	if f.fail != nil {
		return nil, f.fail
	}
	if token := f.valid[presented]; token != nil {
		return token, nil
	}
	return nil, apierror.New(apierror.CodeUnauthorized, "A valid access token is needed")
}

var reader = &models.AccessToken{ID: "id-of-reader", Name: "reader", Scopes: []models.TokenScope{"keys:*"}}

func (s *stack) authentication(f *tokens) *middleware.Authentication {
	return middleware.NewAuthentication(f, limiterOf(s),
		middleware.FailureLimit{Limit: 3, Window: time.Minute}, nil, s.now)
}

func ok(c *gin.Context) { c.String(http.StatusOK, "fine") }

func networks(list ...string) (networks middleware.Proxies) {
	for _, text := range list {
		networks = append(networks, netip.MustParsePrefix(text))
	}
	return networks
}

func limiterOf(s *stack) *ratelimit.Memory { return ratelimit.NewMemory(ratelimit.WithClock(s.now)) }
