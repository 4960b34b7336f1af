package controllers_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
)

// exported reads an export and checks that it is whole.
func exported(a answer) (list []map[string]any) {
	a.t.Helper()
	a.is(http.StatusOK)
	require.Equal(a.t, "application/x-ndjson", a.Header().Get("Content-Type"))
	require.Equal(a.t, "no-store", a.Header().Get("Cache-Control"))
	text := a.Body.String()
	require.True(a.t, strings.HasSuffix(text, "\n"))
	for line := range strings.Lines(text) {
		require.True(a.t, strings.HasPrefix(line, `{"kind":"`), line)
		var object map[string]any
		require.NoError(a.t, json.Unmarshal([]byte(line), &object), line)
		list = append(list, object)
	}
	last := len(list) - 1
	require.Equal(a.t, map[string]any{"kind": "end", "lines": float64(last)}, list[last])
	return list[:last]
}

func TestAnExportEndsWithTheNumberOfItsLines(t *testing.T) {
	s := newServer(t)
	owner := s.do(http.MethodPost, "/api/v1/owners", `{"external_id":"cust_42","name":"Ada","email":"ada@example.com"}`).is(http.StatusCreated).text("id")
	id, secret := s.newKey(`"owner":"cust_42","metadata":{"who":"Ada"}`)
	rows := make([]models.UsageLog, 1234)
	for i := range rows {
		rows[i] = models.UsageLog{
			At: start, RequestID: fmt.Sprint(i), Kind: models.RecordCheck, OwnerID: models.OwnerID(owner), APIKeyID: models.KeyID(id),
			SegmentID: models.NewID[models.SegmentID](), Code: "ok", Allowed: true, IP: "198.51.100.1", UserAgent: "curl", SampleRate: 1,
		}
	}
	require.NoError(t, repositories.NewIngest(s.db).AddLogs(t.Context(), rows))

	list := exported(s.do(http.MethodGet, "/api/v1/keys/"+id+"/export", ""))
	require.Len(t, list, 1+len(rows)+1)
	require.Equal(t, "key", list[0]["kind"])
	require.Equal(t, id, list[0]["id"])
	require.Equal(t, "usage_logs", list[1]["kind"])
	require.Equal(t, "198.51.100.1", list[1]["ip"])
	require.EqualValues(t, models.RecordCheck, list[1]["record_kind"])
	require.Equal(t, "audit_logs", list[len(list)-1]["kind"])
	list = exported(s.do(http.MethodGet, "/api/v1/owners/cust_42/export", "", "Accept", "application/x-ndjson"))
	require.Equal(t, "owner", list[0]["kind"])
	require.Equal(t, "ada@example.com", list[0]["email"])
	require.Equal(t, "key", list[1]["kind"])
	require.NotContains(t, s.do(http.MethodGet, "/api/v1/owners/"+owner+"/export", "").Body.String(), secret)

	counts := s.do(http.MethodPost, "/api/v1/owners/cust_42/erase-personal-data", "").is(http.StatusOK).object()
	require.Equal(t, map[string]any{"logs": 1234.0, "violations": 0.0, "audit_logs": 2.0}, counts)
	counts = s.do(http.MethodPost, "/api/v1/keys/"+id+"/erase-personal-data", "").is(http.StatusOK).object()
	require.Equal(t, map[string]any{"logs": 0.0, "violations": 0.0, "audit_logs": 0.0}, counts)
	key := s.do(http.MethodGet, "/api/v1/keys/"+id, "").is(http.StatusOK).object()
	require.Equal(t, map[string]any{}, key["metadata"])
	require.Equal(t, "cust_42", key["owner"])
	account := s.do(http.MethodGet, "/api/v1/owners/cust_42", "").is(http.StatusOK).object()
	require.Equal(t, []any{"erased", "", map[string]any{}}, []any{account["name"], account["email"], account["metadata"]})
	require.Len(t, exported(s.do(http.MethodGet, "/api/v1/keys/"+id+"/export", "")), 1+len(rows)+3)
	require.Equal(t, map[string]any{"logs": 0.0, "violations": 0.0, "audit_logs": 0.0},
		s.do(http.MethodPost, "/api/v1/owners/cust_42/erase-personal-data", "").is(http.StatusOK).object())
}

func TestExportAndErasureAreForAdmins(t *testing.T) {
	s := newServer(t)
	id, _ := s.newKey("")
	for _, target := range []string{"/api/v1/keys/" + id, "/api/v1/owners/" + id} {
		for method, verb := range map[string]string{http.MethodGet: "/export", http.MethodPost: "/erase-personal-data"} {
			token := s.newToken(models.ScopeKeysWrite, models.ScopeUsageRead)
			code, _ := s.do(method, target+verb, "", "Authorization", "Bearer "+token).is(http.StatusForbidden).problem()
			require.Equal(t, "forbidden", code)
			s.do(method, target+verb, "", "Authorization", "").is(http.StatusUnauthorized)
		}
	}
	for _, target := range []string{"/api/v1/keys/nonsense", "/api/v1/keys/" + string(models.NewID[models.KeyID]()), "/api/v1/owners/nobody"} {
		code, _ := s.do(http.MethodGet, target+"/export", "").is(http.StatusNotFound).problem()
		require.Equal(t, "not_found", code)
		s.do(http.MethodPost, target+"/erase-personal-data", "").is(http.StatusNotFound).problem()
	}
	s.do(http.MethodGet, "/api/v1/keys/"+id+"/export?x=1", "").is(http.StatusUnprocessableEntity).problem()
	s.do(http.MethodGet, "/api/v1/keys/"+id+"/export", "", "Accept", "text/csv").is(http.StatusNotAcceptable).problem()
	s.do(http.MethodPost, "/api/v1/keys/"+id+"/erase-personal-data", `{}`).is(http.StatusBadRequest).problem()
}

func TestAnExportThatFailsHasNoEnd(t *testing.T) {
	s := newServer(t)
	id, _ := s.newKey("")
	db, err := sql.Open("sqlite", s.path)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), "DROP TABLE audit_logs")
	require.NoError(t, err)
	a := s.do(http.MethodGet, "/api/v1/keys/"+id+"/export", "")
	require.NotContains(t, a.Body.String(), `"kind":"end"`)
}
