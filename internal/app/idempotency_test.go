package app

import (
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/testenv"
)

func TestACreateCallUnderWayIsNotMadeTwice(t *testing.T) {
	database := testenv.Postgres(t)
	p := run(t, config.RoleServe, "VIVA_DATABASE_URL="+database)
	p.headers = http.Header{"Idempotency-Key": {"once"}}
	create := func() (int, object) { return p.call("POST", "/api/v1/keys", object{"name": "k"}) }

	conn, err := pgx.Connect(t.Context(), database)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	blocker, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = blocker.Exec(t.Context(), "LOCK TABLE owners IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)

	type answer struct {
		status int
		body   object
	}
	first := make(chan answer, 1)
	go func() { // awaited below
		status, body := create()
		first <- answer{status, body}
	}()
	require.Eventually(t, func() bool { // the first call has claimed the key, and waits for the table
		var waiting int
		err := blocker.QueryRow(t.Context(),
			"SELECT count(*) FROM pg_locks WHERE relation = 'owners'::regclass AND NOT granted").Scan(&waiting)
		return err == nil && waiting > 0
	}, 10*time.Second, 10*time.Millisecond)
	status, problem := create()
	require.Equal(t, http.StatusConflict, status)
	require.Equal(t, "idempotency_conflict", problem["code"])

	require.NoError(t, blocker.Rollback(t.Context()))
	made := <-first
	require.Equal(t, http.StatusCreated, made.status, made.body)
	status, again := create()
	require.Equal(t, http.StatusCreated, status)
	require.Equal(t, made.body, again, "the first answer, its secret too")
	require.Len(t, p.do("GET", "/api/v1/keys", nil)["data"], 1)

	status, problem = p.call("POST", "/api/v1/keys", object{"name": "another"})
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Equal(t, "idempotency_mismatch", problem["code"])

	var stored string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT encode(response, 'escape') FROM idempotency_records").Scan(&stored))
	require.NotContains(t, stored, made.body["secret"])
}
