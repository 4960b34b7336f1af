package app

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/config"
)

func TestTheLogLevelChangesWhileTheProcessRuns(t *testing.T) {
	const path = "/api/v1/admin/log-level"
	p := run(t, config.RoleServe, "VIVA_LOG_LEVEL=warn", "VIVA_LOG_FORMAT=json")
	lines := func() int { return strings.Count(p.logs.String(), `"msg":"request"`) }
	p.do("GET", "/api/v1/keys", nil)
	require.Zero(t, lines())
	require.Equal(t, object{"node": nodeName(), "level": "warn", "configured": "warn", "until": nil}, p.do("GET", path, nil))
	changed := p.do("PUT", path, object{"level": "info", "for": "1h"})
	require.Equal(t, "info", changed["level"])
	require.NotNil(t, changed["until"])
	p.do("GET", "/api/v1/keys", nil)
	require.Positive(t, lines())
	for _, wrong := range []object{{"level": "loud"}, {"level": "info", "for": "1ms"}, {"level": "info", "for": "25h"}} {
		status, _ := p.call("PUT", path, wrong)
		require.Equal(t, http.StatusUnprocessableEntity, status)
	}
	require.Equal(t, "info", p.do("GET", path, nil)["level"])
	entries := p.do("GET", "/api/v1/admin/audit-logs?action=log_level.set", nil)["data"].([]any)
	require.Len(t, entries, 1)
	require.Equal(t, object{"level": "warn"}, entries[0].(object)["before"])
	require.Equal(t, object{"level": "info", "for": "1h0m0s"}, entries[0].(object)["after"])

	p.ToggleDebug()
	require.Equal(t, "debug", p.do("GET", path, nil)["level"])
	p.ToggleDebug()
	require.Equal(t, object{"node": nodeName(), "level": "warn", "configured": "warn", "until": nil}, p.do("GET", path, nil))
}

func TestALogLevelFallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, level, err := newLogger(&config.Config{Log: config.Log{Level: "info"}}, t.Output())
		require.NoError(t, err)
		after := func(d time.Duration) string {
			<-time.After(d)
			synctest.Wait()
			return level.State().Level
		}
		level.set(-1, time.Minute)
		require.Equal(t, "debug", after(59*time.Second))
		require.Equal(t, "info", after(time.Second))
		require.Nil(t, level.State().Until)

		level.set(-1, time.Minute)
		require.Equal(t, "debug", after(30*time.Second))
		level.set(1, 2*time.Minute)
		require.Equal(t, "warn", after(time.Minute), "what it was set to before ends nothing")
		require.Equal(t, "info", after(time.Minute))

		level.set(1, time.Minute)
		require.NoError(t, level.close())
		require.Equal(t, "warn", after(time.Hour))
	})
}
