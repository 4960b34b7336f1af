//go:build journeys

package tests

import (
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// repeats makes calls again as a client does that got no answer.
func repeats(r *recording) {
	body := object{"name": "Once"}
	first := r.call(201, "POST", "/api/v1/keys", body, "Idempotency-Key", "job-1")
	second := r.call(201, "POST", "/api/v1/keys", body, "Idempotency-Key", "job-1")
	require.Equal(r.t, into[key](r.t, first), into[key](r.t, second))
	r.call(422, "POST", "/api/v1/keys", object{"name": "Other"}, "Idempotency-Key", "job-1")
	r.call(200, "GET", "/api/v1/keys?name=Once", nil)

	k := into[key](r.t, first)
	rotated := r.call(201, "POST", "/api/v1/keys/"+k.ID+"/rotate", nil, "Idempotency-Key", "job-2")
	again := r.call(201, "POST", "/api/v1/keys/"+k.ID+"/rotate", nil, "Idempotency-Key", "job-2")
	require.Equal(r.t, into[key](r.t, rotated), into[key](r.t, again))
}

// tokens hands out access, and takes it back.
func tokens(r *recording) {
	made := into[struct{ ID, Token string }](r.t, r.call(201, "POST", "/api/v1/admin/tokens",
		object{"name": "reader", "scopes": []string{"keys:read"}}, "Idempotency-Key", "token-1"))
	reader := r.as(made.Token)
	reader.call(200, "GET", "/api/v1/whoami", nil)
	reader.call(200, "GET", "/api/v1/keyspaces", nil)
	reader.call(403, "POST", "/api/v1/keyspaces", object{"name": "mine"})
	reader.call(403, "POST", "/api/v1/validate", object{"api_key": "x"})
	reader.call(403, "GET", "/api/v1/admin/tokens", nil)
	r.call(200, "DELETE", "/api/v1/admin/tokens/"+made.ID, nil)
	eventually(r.t, time.Second, func() error { return reader.answers(401, "GET", "/api/v1/whoami") })
	reader.call(401, "GET", "/api/v1/whoami", nil)
	r.as("").call(401, "GET", "/api/v1/keys", nil)
	r.call(422, "POST", "/api/v1/admin/tokens", object{"name": "both", "role": "viewer", "scopes": []string{"admin"}})
	r.call(200, "GET", "/api/v1/admin/tokens?sort=name", nil)
}

// leftovers looks back at what was done, and clears away what may be.
func leftovers(r *recording) {
	r.call(409, "DELETE", "/api/v1/owners/cust_42", nil)
	r.call(409, "DELETE", "/api/v1/keyspaces/payments", nil)
	r.call(409, "DELETE", "/api/v1/plans/starter", nil)
	r.call(201, "POST", "/api/v1/keyspaces", object{"name": "empty", "prefix": "empty"})
	r.call(204, "DELETE", "/api/v1/keyspaces/empty", nil)
	r.call(201, "POST", "/api/v1/owners", object{"external_id": "gone"})
	r.call(204, "DELETE", "/api/v1/owners/gone", nil)
	r.call(200, "GET", "/api/v1/owners?include_archived=true&name=", nil)
	r.call(200, "GET", "/api/v1/admin/audit-logs?sort=at&limit=100", nil)
	r.call(200, "GET", "/api/v1/admin/audit-logs?action=key.revoke", nil)
	r.call(404, "GET", "/api/v1/nothing", nil)
	r.call(405, "DELETE", "/api/v1/keys", nil)
}

// misplace puts secrets where they do not belong, as people do. Answers are not looked at: what counts is that none
// of it reaches the log.
func misplace(r *recording) {
	k := r.create(object{"name": "Misplaced"})
	r.secrets[k.Secret] = true
	garbled := strings.ToLower(k.Secret)
	r.secrets[garbled] = true
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/api/v1/keys/" + k.Secret, ""},
		{"GET", "/" + k.Secret, ""},
		{k.Secret, "/api/v1/keys", ""},
		{"GET", "/api/v1/keys?api_key=" + k.Secret, ""},
		{"GET", "/api/v1/keys?cursor=" + k.Secret, ""},
		{"GET", "/api/v1/keys?%" + k.Secret, ""},
		{"GET", "/api/v1/authorize/" + k.Secret, ""},
		{"POST", "/api/v1/validate", `{"` + k.Secret + `": 1}`},
		{"POST", "/api/v1/validate", `{"api_key": "` + k.Secret + `", "api_key": "` + k.Secret + `"}`},
		{"POST", "/api/v1/validate", `{"api_key": ` + k.Secret + `}`},
		{"POST", "/api/v1/validate", `{"api_key": "` + garbled + `"}`},
		{"POST", "/api/v1/keys", `{"name": 1, "owner": "` + k.Secret + `"}`},
	} {
		request, err := http.NewRequest(c.method, r.url+c.path, strings.NewReader(c.body))
		require.NoError(r.t, err)
		for name, value := range map[string]string{
			"Authorization": "Bearer " + r.token, "Content-Type": "application/json", "X-Viva-Token": r.token,
			"X-Request-Id": k.Secret, "User-Agent": k.Secret, "Referer": "http://" + k.Secret, "Idempotency-Key": k.Secret,
			"X-Forwarded-For": k.Secret, "Origin": "https://" + k.Secret, "Accept-Language": k.Secret,
		} {
			request.Header.Set(name, value)
		}
		response, err := r.http.Do(request)
		require.NoError(r.t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(r.t, err)
		require.NoError(r.t, response.Body.Close())
	}
	for _, header := range []string{"Bearer " + k.Secret, "Basic " + k.Secret, k.Secret} {
		_, err := r.as("").send("GET", "/api/v1/keys", nil, "Authorization", header)
		require.NoError(r.t, err)
	}
}
