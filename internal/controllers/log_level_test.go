package controllers_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/controllers"
	"github.com/viva/rate-limiter/internal/models"
)

// logLevel keeps what it is told.
type logLevel struct {
	level string
	lasts time.Duration
}

func (l *logLevel) State() controllers.LogState {
	state := controllers.LogState{Node: "host/1", Level: l.level, Configured: "info"}
	if l.lasts > 0 {
		until := start.Add(l.lasts)
		state.Until = &until
	}
	return state
}

func (l *logLevel) Set(_ context.Context, level string, lasts time.Duration) (controllers.LogState, error) {
	l.level, l.lasts = level, lasts
	return l.State(), nil
}

func TestTheLogLevelIsToldAndChangedByAdmins(t *testing.T) {
	const path = "/api/v1/admin/log-level"
	s := newServer(t)
	changed := s.do(http.MethodPut, path, `{"level":"debug","for":"10m"}`).is(http.StatusOK).object()
	want := map[string]any{"node": "host/1", "level": "debug", "configured": "info", "until": "2026-03-10T12:10:03.25Z"}
	require.Equal(t, want, changed)
	require.Equal(t, want, s.do(http.MethodGet, path, "").is(http.StatusOK).object())
	require.Nil(t, s.do(http.MethodPut, path, `{"level":"warn"}`).is(http.StatusOK).object()["until"])
	require.Equal(t, logLevel{level: "warn"}, s.logLevel)
	_, fields := s.do(http.MethodPut, path, `{"for":"soon"}`).is(http.StatusUnprocessableEntity).problem()
	require.Contains(t, fields, "body level")
	require.Contains(t, fields, "body for")

	s.token = s.newToken(models.ScopeKeysWrite)
	s.do(http.MethodGet, path, "").is(http.StatusForbidden)
	s.do(http.MethodPut, path, `{"level":"debug"}`).is(http.StatusForbidden)
}
