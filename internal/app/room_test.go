package app

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/testenv"
)

func TestMadeUpIdentifiersLeaveRoomForKeys(t *testing.T) {
	for _, e := range []struct {
		name  string
		start func(t *testing.T, environ string) *process
	}{
		{"embedded", func(t *testing.T, environ string) *process { return run(t, config.RoleServe, environ) }},
		{"without Redis", func(t *testing.T, environ string) *process {
			redis := testenv.RedisServer(t)
			p := run(t, config.RoleAPI, environ, "VIVA_DATABASE_URL="+testenv.Postgres(t), "VIVA_REDIS_URL="+redis.URL())
			redis.Kill()
			return p
		}},
	} {
		t.Run(e.name, func(t *testing.T) {
			p := e.start(t, "VIVA_RATELIMIT_LIMITS_CHECK_MAX_ENTRIES=1000")
			rules := make([]object, 20)
			for i := range rules {
				rules[i] = object{"name": fmt.Sprint("r", i), "limit": 2, "window": "1h", "algorithm": "gcra"}
			}
			ask := func(identifier int) (int, object) {
				return p.call("POST", "/api/v1/limits/check", object{
					"namespace": "logins", "identifier": fmt.Sprint(identifier), "rules": rules,
				})
			}
			for i := range 1000 / len(rules) {
				status, answer := ask(i)
				require.Equal(t, http.StatusOK, status, answer)
			}
			status, problem := ask(1000)
			require.Equal(t, http.StatusServiceUnavailable, status)
			require.Equal(t, "store_unavailable", problem["code"])

			for i := range 10 {
				key := p.do("POST", "/api/v1/keys", object{"name": fmt.Sprint(i)})
				require.Equal(t, true, p.check(key["secret"].(string))["allowed"], "a key made since")
			}
			status, answer := ask(0)
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, true, answer["allowed"], "identifiers that are known go on")
		})
	}
}
