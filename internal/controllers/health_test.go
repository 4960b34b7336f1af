package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/viva/rate-limiter/internal/controllers"
	"github.com/viva/rate-limiter/internal/logging"
)

func TestReadinessNamesEachDependency(t *testing.T) {
	var down error
	var s *server
	s = newServer(t, withProbes(
		controllers.Probe{Name: "database", Check: func(context.Context) error { return nil }},
		controllers.Probe{Name: "redis", Check: func(ctx context.Context) error {
			_, bounded := ctx.Deadline()
			require.True(t, bounded)
			s.advance(7 * time.Millisecond)
			return down
		}},
	))
	database := map[string]any{"name": "database", "status": "ok"}
	ready := func(status int) []any {
		t.Helper()
		body := s.do(http.MethodGet, "/health/ready", "", "Authorization", "").is(status)
		require.Equal(t, "application/json", body.Header().Get("Content-Type"))
		require.NotContains(t, body.Body.String(), "hunter2")
		require.Equal(t, map[bool]string{true: "ok", false: "unavailable"}[status == http.StatusOK], body.text("status"))
		list := body.object()["dependencies"].([]any)
		// How long the first takes depends on whether it runs beside the second.
		first := list[0].(map[string]any)
		require.Contains(t, first, "latency_ms")
		delete(first, "latency_ms")
		require.Equal(t, database, first)
		return list
	}
	require.Equal(t, map[string]any{"name": "redis", "status": "ok", "latency_ms": 7.0}, ready(http.StatusOK)[1])
	s.do(http.MethodGet, "/health", "").is(http.StatusOK)

	down = errors.New("password=hunter2")
	require.Equal(t, map[string]any{"name": "redis", "status": "unavailable", "latency_ms": 7.0}, ready(http.StatusServiceUnavailable)[1])
	require.Equal(t, "unavailable", s.do(http.MethodGet, "/health", "").is(http.StatusServiceUnavailable).text("status"))
	down = fmt.Errorf("%w: password=hunter2", controllers.ErrDegraded)
	degraded := s.do(http.MethodGet, "/health/ready", "").is(http.StatusOK)
	require.Equal(t, "degraded", degraded.text("status"))
	require.NotContains(t, degraded.Body.String(), "hunter2")
	live := s.do(http.MethodGet, "/health/live", "").is(http.StatusOK)
	require.Equal(t, map[string]any{"status": "ok", "version": "test"}, live.object())
}

func TestAProcessWithoutTheAPITellsItsHealth(t *testing.T) {
	engine := gin.New()
	controllers.NewHealth(engine, controllers.Deps{Version: "test", Now: time.Now})
	s := &server{Engine: engine, t: t}
	require.Equal(t, []any{}, s.do(http.MethodGet, "/health/ready", "").is(http.StatusOK).object()["dependencies"])
	s.do(http.MethodGet, "/health", "").is(http.StatusOK)
	require.Len(t, engine.Routes(), 6)
}

func TestLinesOfAProbeCarryTheRequestsID(t *testing.T) {
	var fields map[string]any
	s := newServer(t, withProbes(controllers.Probe{Name: "database", Check: func(ctx context.Context) error {
		core, lines := observer.New(zap.DebugLevel)
		zap.New(core).Info("line", logging.In(ctx))
		fields = lines.All()[0].ContextMap()
		return nil
	}}))
	s.do(http.MethodGet, "/health/ready", "", "Authorization", "", "X-Request-Id", "r-1").is(http.StatusOK)
	require.Equal(t, map[string]any{"request_id": "r-1"}, fields)
}
