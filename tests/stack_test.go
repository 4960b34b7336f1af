//go:build journeys

package tests

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/viva/rate-limiter/internal/testenv"
)

// alone are the settings of one `viva serve` with nothing beside it: it makes its own admin token.
func alone(t *testing.T) settings {
	t.Helper()
	return settings{
		"VIVA_DATA_DIR":    t.TempDir(),
		"VIVA_SERVER_ADDR": "127.0.0.1:0",
		"VIVA_WORKER_ADDR": "127.0.0.1:0",
		"VIVA_LOG_FORMAT":  "json",
		"VIVA_LOG_LEVEL":   "debug",
	}
}

// onPostgres are the settings of one `viva serve` over a PostgreSQL database.
func onPostgres(t *testing.T, database string) settings {
	t.Helper()
	return alone(t).with(settings{
		"VIVA_DATABASE_URL":           database,
		"VIVA_ACCESS_BOOTSTRAP_TOKEN": newToken(t),
	})
}

// shared are the settings of any number of processes over one PostgreSQL database and one Redis.
func shared(t *testing.T, database, redis string) settings {
	t.Helper()
	return onPostgres(t, database).with(settings{
		"VIVA_REDIS_URL":       redis,
		"VIVA_REDIS_NAMESPACE": strings.ToLower(rand.Text()), // channels are those of the whole server
	})
}

// both are shared settings over fresh engines.
func both(t *testing.T) settings {
	t.Helper()
	return shared(t, testenv.Postgres(t), testenv.Redis(t))
}

// newToken makes an access token that no database knows.
func newToken(t *testing.T) string {
	t.Helper()
	code, said := run(t, nil, "viva", "tokens", "generate")
	if code != 0 {
		t.Fatalf("generate a token: %s", said)
	}
	return strings.TrimSpace(said)
}
