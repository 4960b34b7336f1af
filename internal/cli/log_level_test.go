package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheLogLevelIsToldAndChanged(t *testing.T) {
	const table = "node        api-1/4711\nlevel       debug\nconfigured  info\nuntil       2026-03-01 12:10:00\n"
	answer := ok(`{"node":"api-1/4711","level":"debug","configured":"info","until":"2026-03-01T12:10:00Z"}`)
	s := start(t, map[string]reply{"GET /api/v1/admin/log-level": answer, "PUT /api/v1/admin/log-level": answer})
	for _, args := range [][]string{{"log-level"}, {"log-level", "debug", "--for", "10m"}, {"log-level", "debug"}} {
		got := run(t, "", args...)
		require.Zero(t, got.code, got.stderr)
		require.Equal(t, table, got.stdout)
	}
	require.Equal(t, []string{"GET /api/v1/admin/log-level", "PUT /api/v1/admin/log-level", "PUT /api/v1/admin/log-level"}, s.lines())
	require.JSONEq(t, `{"level":"debug","for":"10m0s"}`, s.requests[1].body)
	require.JSONEq(t, `{"level":"debug"}`, s.requests[2].body)
	for _, wrong := range [][]string{{"log-level", "debug", "now"}, {"log-level", "--for", "10m"}, {"log-level", "debug", "--for", "soon"}} {
		require.Equal(t, 2, run(t, "", wrong...).code)
	}
	require.Len(t, s.requests, 3)
}
