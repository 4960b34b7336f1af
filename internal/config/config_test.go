package config

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// load reads a configuration from YAML text and variables alone.
func load(t *testing.T, yaml string, environ ...string) (*Config, error) {
	t.Helper()
	o := Options{Environ: append([]string{}, environ...)}
	if yaml != "" {
		o.File = write(t, "viva.yaml", yaml)
	}
	return Load(o)
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// problems loads what must be refused and returns what was said, one line each.
func problems(t *testing.T, yaml string, environ ...string) []Problem {
	t.Helper()
	c, err := load(t, yaml, environ...)
	require.Nil(t, c)
	var mistakes *Error
	require.ErrorAs(t, err, &mistakes)
	return mistakes.Problems
}

func TestDefaultsNeedNothing(t *testing.T) {
	c, err := Load(Options{Environ: []string{}, Role: RoleServe})
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8080", c.Server.Addr)
	require.Equal(t, "127.0.0.1:8081", c.Worker.Addr)
	require.Equal(t, "./data", c.Data.Dir)
	require.Equal(t, 50*time.Millisecond, c.RateLimit.StoreTimeout)
	require.Equal(t, int64(1<<20), c.Server.MaxBodyBytes)
	require.Equal(t, []string{"GET", "POST", "PATCH", "DELETE"}, c.Server.CORS.AllowedMethods)
	require.Empty(t, c.Server.TrustedProxies)
	require.False(t, c.JSONLogs())
}

func TestLaterSourcesWin(t *testing.T) {
	file := write(t, "viva.yaml", "log: {level: error, format: json}\nserver: {addr: 127.0.0.1:1, idle_timeout: 1m}\n")
	c, err := Load(Options{
		File:    file,
		Environ: []string{"VIVA_SERVER_ADDR=127.0.0.1:2", "VIVA_LOG_LEVEL=warn"},
		Flags:   map[string]string{"server.addr": "127.0.0.1:3"},
	})
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:3", c.Server.Addr)
	require.Equal(t, "warn", c.Log.Level)
	require.Equal(t, time.Minute, c.Server.IdleTimeout)
	require.Equal(t, "127.0.0.1:8081", c.Worker.Addr)
	require.Equal(t, "command line", c.origins["server.addr"])
	require.Equal(t, "VIVA_LOG_LEVEL", c.origins["log.level"])
	require.Equal(t, file, c.origins["server.idle_timeout"])
	require.Equal(t, "default", c.origins["worker.addr"])
}

func TestFileIsNamedByOptionOrVariable(t *testing.T) {
	one := write(t, "one.yaml", "log: {level: error}")
	two := write(t, "two.yaml", "log: {level: warn}")

	c, err := Load(Options{Environ: []string{"VIVA_CONFIG=" + one}})
	require.NoError(t, err)
	require.Equal(t, "error", c.Log.Level)

	c, err = Load(Options{File: two, Environ: []string{"VIVA_CONFIG=" + one}})
	require.NoError(t, err)
	require.Equal(t, "warn", c.Log.Level)
}

func TestEnvironmentOfTheProcessIsReadByDefault(t *testing.T) {
	t.Setenv("VIVA_LOG_LEVEL", "error")
	c, err := Load(Options{})
	require.NoError(t, err)
	require.Equal(t, "error", c.Log.Level)
}

func TestUnknownFlagPathIsReported(t *testing.T) {
	_, err := Load(Options{Environ: []string{}, Flags: map[string]string{"server.adr": "x", "server": "y"}})
	require.EqualError(t, err, "server (command line): unknown setting; `viva config` lists them all\n"+
		"server.adr (command line): unknown setting; did you mean server.addr?")
}

func TestEveryMistakeIsReportedTogether(t *testing.T) {
	_, err := load(t, `
server:
  adr: 127.0.0.1:8080
  read_timeout: 5
  trusted_proxies: [10.0.0.0/33]
  tls: {cert_file: server.pem}
log: {level: loud}
`, "VIVA_CACHE_TTL=never", "VIVA_WROKER_ADDR=:1", "VIVA_REDIS_URL=localhost")
	require.Error(t, err)
	lines := err.Error()
	require.Contains(t, lines, "server.adr (")
	for _, want := range []string{
		"did you mean server.addr?",
		"VIVA_WROKER_ADDR: unknown variable; did you mean VIVA_WORKER_ADDR?",
		"want a duration from 10ms to 10m",
		"want a list of networks or addresses, such as 10.0.0.0/8",
		"redis.url (VIVA_REDIS_URL): ",
		"cache.ttl (VIVA_CACHE_TTL): want a duration from 1s to 24h",
		"want debug, info, warn or error",
		"server.tls: want both cert_file and key_file, or neither",
	} {
		require.Contains(t, lines, want)
	}
	var mistakes *Error
	require.ErrorAs(t, err, &mistakes)
	require.Len(t, mistakes.Problems, 8, lines)
}

func TestLogFormat(t *testing.T) {
	for _, row := range []struct {
		environment, format string
		json                bool
	}{
		{"dev", "auto", false}, {"prod", "auto", true},
		{"dev", "json", true}, {"prod", "console", false},
	} {
		c, err := load(t, "", "VIVA_ENVIRONMENT="+row.environment, "VIVA_LOG_FORMAT="+row.format)
		require.NoError(t, err)
		require.Equal(t, row.json, c.JSONLogs(), row)
	}
}

func TestShippedFilesLoad(t *testing.T) {
	given := []string{"VIVA_DATABASE_URL=postgres://u:p@db/viva", "VIVA_REDIS_URL=rediss://:p@redis"}
	for _, row := range []struct {
		file, server, worker, database, redis string
		environ                               []string
		json                                  bool
	}{
		{"dev", "127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:5433", "127.0.0.1:6380", nil, false},
		{"full", "127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:5434", "127.0.0.1:6381", nil, true},
		{"prod", "0.0.0.0:8080", "0.0.0.0:8081", "@db/", "redis", given, true},
	} {
		for _, role := range []Role{RoleServe, RoleAPI, RoleWorker} {
			file := filepath.Join("..", "..", "configs", row.file+".yaml")
			c, err := Load(Options{File: file, Environ: append([]string{}, row.environ...), Role: role})
			require.NoError(t, err)
			require.Equal(t, row.server, c.Server.Addr)
			require.Equal(t, row.worker, c.Worker.Addr)
			require.Contains(t, string(c.Database.URL), row.database)
			require.Contains(t, string(c.Redis.URL), row.redis)
			require.Equal(t, row.json, c.JSONLogs())
		}
	}
}
