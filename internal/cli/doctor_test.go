package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/app"
)

// findings gives what `viva doctor --json` printed.
func findings(t *testing.T, got result) (list []app.Finding) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &list), got.stdout+got.stderr)
	return list
}

func TestDoctorSaysOnALineWhatIsWrongAndWhatToDo(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	t.Setenv("VIVA_DATA_DIR", data)
	t.Setenv("VIVA_SERVER_ADDR", "127.0.0.1:0")
	require.Zero(t, run(t, "", "migrate", "up").code)
	got := run(t, "", "doctor")
	require.Zero(t, got.code, got.stdout+got.stderr)
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	require.Len(t, lines, len(app.DoctorChecks()))
	for i, check := range app.DoctorChecks() {
		require.Equal(t, []string{"ok", check.Name}, strings.Fields(lines[i])[:2])
	}

	header := filepath.Join(data, "admin.header")
	require.NoError(t, os.WriteFile(header, []byte("Authorization: Bearer x\n"), 0o600))
	require.NoError(t, os.Chmod(header, 0o644))
	got = run(t, "", "doctor", "--only", "data,tls")
	require.Equal(t, 1, got.code)
	require.Equal(t, "failed       data            others can read "+header+" (mode 0644) -> chmod 600 "+header+"\n"+
		"ok           tls             the API is served without TLS\n", got.stdout)
	require.Equal(t, "viva: 1 of the findings is a failure\n", got.stderr)
	require.NoError(t, os.Chmod(header, 0o600))

	t.Setenv("VIVA_RATELIMIT_ON_STORE_FAILURE", "allow")
	got = run(t, "", "doctor", "--only=config", "--json")
	require.Zero(t, got.code, "a warning is no failure")
	require.Equal(t, []app.Finding{{
		Name: "config", Status: app.Warning, Found: "ratelimit.on_store_failure is allow: while limits cannot be counted, nothing is limited",
		Advice: "set ratelimit.on_store_failure to local",
	}}, findings(t, got))
}

func TestDoctorRefusesMistakesOfTheOperator(t *testing.T) {
	t.Setenv("VIVA_DATA_DIR", t.TempDir())
	for say, args := range map[string][]string{
		`no check "radis"`: {"--only", "redis,radis"},
		"--timeout":        {"--timeout", "0s"},
		"takes no":         {"redis"},
	} {
		got := run(t, "", append([]string{"doctor"}, args...)...)
		require.Equal(t, 2, got.code, args)
		require.Contains(t, got.stderr, say)
		require.Empty(t, got.stdout)
	}
	t.Setenv("VIVA_REDIS_URL", "redis://127.0.0.1:1/0")
	got := run(t, "", "doctor")
	require.Equal(t, 2, got.code)
	require.Contains(t, got.stderr, "database.url")
}

func TestDoctorListsItsChecks(t *testing.T) {
	got := run(t, "", "doctor", "--help")
	require.Zero(t, got.code)
	for _, check := range app.DoctorChecks() {
		require.Contains(t, got.stdout, check.Name)
		require.Contains(t, got.stdout, check.About)
	}
}
