//go:build journeys

package tests

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
)

func TestMistakesOfTheOperatorExitWithTwoAndSayWhatWouldBeRight(t *testing.T) {
	token := newToken(t)
	const postgres, redis = "postgres://viva@127.0.0.1:1/viva", "redis://127.0.0.1:1/0"
	for name, c := range map[string]struct {
		program  string
		args     []string
		settings settings
		says     []string
	}{
		"api without engines":    {"api", nil, nil, []string{"database.url", "redis.url", "viva serve"}},
		"worker without engines": {"worker", nil, nil, []string{"database.url", "redis.url", "viva serve"}},
		"api without redis":      {"api", nil, settings{"VIVA_DATABASE_URL": postgres}, []string{"redis.url"}},
		"redis without postgres": {"viva", []string{"serve"}, settings{"VIVA_REDIS_URL": redis}, []string{"redis.url", "database.url"}},
		"many mistakes at once": {"viva", []string{"serve"}, settings{
			"VIVA_SERVER_ADDR": "nowhere", "VIVA_LOG_LEVEL": "loud", "VIVA_CACHE_TTL": "5", "VIVA_RATELIMIT_MAX_ENTRIES": "-1",
			"VIVA_RATELIMIT_ON_STORE_FAILURE": "panic", "VIVA_DATABSE_URL": postgres, "VIVA_KEYS_PEPPER": "too short",
		}, []string{
			"server.addr", "log.level", "cache.ttl", "ratelimit.max_entries", "ratelimit.on_store_failure", "keys.pepper",
			"VIVA_DATABSE_URL", "VIVA_DATABASE_URL", "debug, info, warn or error", "local, deny or allow",
		}},
		"unknown setting in a file": {"viva", []string{"serve", "--config", written(t, "serverr:\n  addr: 127.0.0.1:0\n")}, nil, []string{"serverr", "server"}},
		"file that is not there":    {"viva", []string{"serve", "--config", "/nowhere/viva.yaml"}, nil, []string{"/nowhere/viva.yaml"}},
		"unknown command":           {"viva", []string{"sevre"}, nil, []string{"unknown command", "serve"}},
		"unknown flag":              {"viva", []string{"serve", "--prot", "1"}, nil, []string{"--prot"}},
		"argument too many":         {"viva", []string{"serve", "now"}, nil, []string{"argument"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, said := run(t, settings{"VIVA_BOOTSTRAP_TOKEN": token, "VIVA_DATA_DIR": t.TempDir()}.with(c.settings), c.program, c.args...)
			require.Equal(t, 2, code, said)
			for _, part := range c.says {
				require.Contains(t, said, part)
			}
			require.NotContains(t, said, "too short", "it repeats no secret")
			require.NotContains(t, said, token)
			require.NotContains(t, said, "goroutine")
		})
	}
}

func written(t *testing.T, text string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "viva.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestConfigPrintsWhatIsInEffectAndNoSecret(t *testing.T) {
	token := newToken(t)
	tokenFile := written(t, token+"\n")
	code, said := run(t, settings{
		"VIVA_DATABASE_URL": "postgres://viva:" + password + "@db.example/viva", "VIVA_REDIS_URL": "redis://:" + password + "@redis.example:6379/3",
		"VIVA_KEYS_PEPPER": pepper, "VIVA_BOOTSTRAP_TOKEN_FILE": tokenFile, "VIVA_CACHE_TTL": "90s",
		"VIVA_CONFIG": written(t, "log:\n  level: warn\n"),
	}, "viva", "config")
	require.Equal(t, 0, code, said)
	for _, shown := range []string{"db.example", "redis.example:6379/3", "***", "1m30s", "VIVA_CACHE_TTL", "warn", "viva.yaml"} {
		require.Contains(t, said, shown)
	}
	for _, hidden := range []string{password, pepper, token} {
		require.NotContains(t, said, hidden)
	}
}

func TestManyProcessesMigrateAtOnceAndOneDoesIt(t *testing.T) {
	for name, stack := range map[string]func(t *testing.T) settings{
		"sqlite":   alone,
		"postgres": func(t *testing.T) settings { return onPostgres(t, testenv.Postgres(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := stack(t)
			applied := func() (yes, no int) {
				code, said := run(t, s, "viva", "migrate", "status")
				require.Equal(t, 0, code, said)
				lines := strings.Split(strings.TrimSpace(said), "\n")[1:]
				for _, line := range lines {
					require.Contains(t, line, ".sql")
					if strings.HasSuffix(line, "no") {
						no++
					} else {
						yes++
					}
				}
				return yes, no
			}
			yes, all := applied()
			require.Zero(t, yes)
			require.Positive(t, all)

			up := make([]*process, 10)
			for i := range up {
				up[i] = launch(t, s, program("viva"), "migrate", "up")
			}
			for _, p := range up {
				require.Equal(t, 0, p.exit(), p.output)
			}
			yes, no := applied()
			require.Equal(t, all, yes)
			require.Zero(t, no)

			code, said := run(t, s, "viva", "migrate", "down")
			require.Equal(t, 0, code, said)
			_, no = applied()
			require.Equal(t, 1, no)
			code, said = run(t, s, "viva", "migrate", "down", "--steps", "1000")
			require.Equal(t, 0, code, said)
			_, no = applied()
			require.Equal(t, all, no)
			start(t, s, "viva", "serve").client().create(object{"name": "all is well"}) // it migrates by itself
		})
	}
}

func TestManyProcessesStartAtOnce(t *testing.T) {
	s := both(t)
	starting := make([]*process, 4)
	for i := range starting {
		starting[i] = launch(t, s, program("api"))
	}
	for _, p := range starting {
		p.awaitReady()
	}
	secret := starting[0].client().create(object{"name": "everyone's"}).Secret
	for _, p := range starting {
		require.NoError(t, p.client().says("ok", secret))
	}
}

func TestAProcessThatMayNotMigrateSaysWhatIsMissing(t *testing.T) {
	s := onPostgres(t, testenv.Postgres(t)).with(settings{"VIVA_DATABASE_MIGRATE": "false"})
	code, said := run(t, s, "viva", "serve")
	require.Equal(t, 1, code, said)
	require.Contains(t, said, "viva migrate up")
}

func TestAPortInUseIsSaid(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	code, said := run(t, alone(t).with(settings{"VIVA_SERVER_ADDR": taken.Addr().String()}), "viva", "serve")
	require.Equal(t, 1, code, said)
	require.Contains(t, said, taken.Addr().String())
	require.Contains(t, said, "in use")
}

func TestAWorkerAnswersHealthChecksAndNothingElse(t *testing.T) {
	redis := testenv.StartProxy(t, testenv.Redis(t))
	s := shared(t, testenv.Postgres(t), redis.URL())
	worker := start(t, s, "worker")
	c := worker.client()
	for _, path := range []string{"/health", "/health/live", "/health/ready"} {
		c.call(200, "GET", path, nil)
	}
	ready := string(c.call(200, "GET", "/health/ready", nil).body)
	require.Contains(t, ready, `"name":"database","status":"ok"`)
	require.Contains(t, ready, `"name":"redis","status":"ok"`)
	c.call(404, "GET", "/api/v1/keys", nil)
	c.call(404, "POST", "/api/v1/validate", object{"api_key": "x"})

	redis.Cut()
	lost, err := c.send("GET", "/health/ready", nil)
	require.NoError(t, err)
	require.NotContains(t, string(lost.body), `"name":"redis","status":"ok"`)
	c.call(200, "GET", "/health/live", nil)
	redis.Restore()
	eventually(t, patience, func() error { return c.answers(200, "GET", "/health/ready") })

	worker.signal(syscall.SIGUSR2)
	worker.awaitOutput(patience, regexp.MustCompile(`changed by a signal.*debug`))
	worker.signal(syscall.SIGINT)
	require.Equal(t, 0, worker.exit(), worker.output)
}
