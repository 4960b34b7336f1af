package controllers_test

import (
	"database/sql"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
)

const idempotencyKey = "Idempotency-Key"

func TestACreateCallIsSafeToRepeat(t *testing.T) {
	s := newServer(t)
	body := `{"name":"once"}`
	first := s.do(http.MethodPost, "/api/v1/keys", body, idempotencyKey, "k1").is(http.StatusCreated)
	again := s.do(http.MethodPost, "/api/v1/keys", body, idempotencyKey, "k1").is(http.StatusCreated)
	require.Equal(t, first.Body.String(), again.Body.String(), "the secret among it")
	require.Equal(t, first.Header().Get("ETag"), again.Header().Get("ETag"))
	require.Equal(t, "application/json", again.Header().Get("Content-Type"))
	require.Empty(t, first.Header().Get("Idempotency-Replayed"))
	require.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
	require.NotEqual(t, first.Header().Get("X-Request-Id"), again.Header().Get("X-Request-Id"))
	require.Len(t, s.do(http.MethodGet, "/api/v1/keys", "").names(), 1)
}

func TestAnIdempotencyKeyBelongsToItsCallAndItsCaller(t *testing.T) {
	s := newServer(t)
	body := `{"name":"once"}`
	s.do(http.MethodPost, "/api/v1/keys", body, idempotencyKey, "k1").is(http.StatusCreated)
	for _, other := range [][2]string{{"/api/v1/keys", `{"name": "once"}`}, {"/api/v1/keyspaces", body}} {
		code, fields := s.do(http.MethodPost, other[0], other[1], idempotencyKey, "k1").is(http.StatusUnprocessableEntity).problem()
		require.Equal(t, "idempotency_mismatch", code)
		require.Equal(t, []string{"header Idempotency-Key"}, fields)
	}
	other := s.do(http.MethodPost, "/api/v1/keys", body, idempotencyKey, "k1", "Authorization", "Bearer "+s.newToken(models.ScopeAdmin))
	require.Empty(t, other.is(http.StatusCreated).Header().Get("Idempotency-Replayed"))
	require.Len(t, s.do(http.MethodGet, "/api/v1/keys", "").names(), 2)
}

func TestOnlySuccessIsKeptAndOnlyForItsTime(t *testing.T) {
	s := newServer(t)
	s.do(http.MethodPost, "/api/v1/keys", `{"name":"x","plan":"none"}`, idempotencyKey, "k1").is(http.StatusUnprocessableEntity)
	s.do(http.MethodPost, "/api/v1/keys", `{"name":"x","owner":"none"}`, idempotencyKey, "k1").is(http.StatusUnprocessableEntity)
	s.do(http.MethodPost, "/api/v1/keys", `{"name":"x"}`, idempotencyKey, "k1").is(http.StatusCreated)
	s.advance(24*time.Hour - time.Second)
	s.do(http.MethodPost, "/api/v1/keys", `{"name":"y"}`, idempotencyKey, "k1").is(http.StatusUnprocessableEntity)
	s.advance(time.Second)
	fresh := s.do(http.MethodPost, "/api/v1/keys", `{"name":"y"}`, idempotencyKey, "k1").is(http.StatusCreated)
	require.Empty(t, fresh.Header().Get("Idempotency-Replayed"))
	again := s.do(http.MethodPost, "/api/v1/keys", `{"name":"y"}`, idempotencyKey, "k1").is(http.StatusCreated)
	require.Equal(t, fresh.Body.String(), again.Body.String())
}

func TestConcurrentDuplicatesCreateOnce(t *testing.T) {
	s := newServer(t)
	answers := make([]answer, 8)
	var calls sync.WaitGroup
	for i := range answers {
		calls.Go(func() { answers[i] = s.do(http.MethodPost, "/api/v1/keys", `{"name":"once"}`, idempotencyKey, "k1") })
	}
	calls.Wait()
	for _, a := range answers {
		require.Equal(t, answers[0].Body.String(), a.is(http.StatusCreated).Body.String())
	}
	require.Len(t, s.do(http.MethodGet, "/api/v1/keys", "").names(), 1)
}

func TestEveryCreateCallTakesAnIdempotencyKey(t *testing.T) {
	s := newServer(t)
	taking := []string{}
	s.operations(func(method, target string, op *huma.Operation) {
		for _, p := range op.Parameters {
			if p.Name != idempotencyKey {
				continue
			}
			taking = append(taking, op.OperationID)
			body := ""
			if op.RequestBody != nil {
				body = encode(t, s.example(op.RequestBody.Content["application/json"].Schema))
			}
			for _, bad := range []string{strings.Repeat("k", 256), "tab\there", "ümlaut"} {
				_, fields := s.do(method, target, body, idempotencyKey, bad).
					is(http.StatusUnprocessableEntity).problem()
				require.Equal(t, []string{"header Idempotency-Key"}, fields)
			}
		}
	})
	require.ElementsMatch(t, []string{
		"create-key", "create-keys", "rotate-key", "create-keyspace", "create-owner", "create-plan", "publish-plan-version", "create-token",
		"create-alert-rule", "create-maintenance-window", "create-destination", "rotate-destination-secret", "redeliver",
	}, taking)
}

func TestKeptAnswersShowNothingToWhoReadsTheDatabase(t *testing.T) {
	s := newServer(t)
	secret := s.do(http.MethodPost, "/api/v1/keys", `{"name":"once"}`, idempotencyKey, "key-of-the-caller").is(http.StatusCreated).text("secret")
	dump := s.dump(t, "idempotency_records")
	require.NotEmpty(t, dump)
	for _, hidden := range []string{secret, s.token, "key-of-the-caller", "once", "keyspace"} {
		require.NotContains(t, dump, hidden)
	}
}

// dump reads a table past the program, as who holds the file would.
func (s *server) dump(t *testing.T, table string) string {
	t.Helper()
	db, err := sql.Open("sqlite", s.path)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+table)
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	var dump strings.Builder
	for rows.Next() {
		values := make([]sql.RawBytes, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		require.NoError(t, rows.Scan(into...))
		for _, value := range values {
			dump.Write(value)
			dump.WriteByte('\n')
		}
	}
	require.NoError(t, rows.Err())
	return dump.String()
}
