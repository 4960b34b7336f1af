package controllers_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAMergePatchSetsLeavesAndClears(t *testing.T) {
	s := newServer(t)
	id, _ := s.newKey(`"tags":["a"],"expires_at":"2027-01-01T00:00:00+02:00","metadata":{"region":"eu","tier":"1"},"rules":[{"name":"r","limit":5,"window":"90m"}]`)
	target := "/api/v1/keys/" + id
	before := s.do(http.MethodGet, target, "").is(http.StatusOK)
	require.Equal(t, "2026-12-31T22:00:00Z", before.text("expires_at"))

	after := s.do(http.MethodPatch, target,
		`{"name":"Renamed","expires_at":null,"tags":null,"metadata":{"tier":null,"zone":"b"}}`,
		"If-Match", before.Header().Get("ETag"), "Content-Type", "application/merge-patch+json").is(http.StatusOK)
	key := after.object()
	require.Equal(t, "Renamed", key["name"])
	require.Nil(t, key["expires_at"])
	require.Equal(t, []any{}, key["tags"])
	require.Equal(t, map[string]any{"region": "eu", "zone": "b"}, key["metadata"])
	require.Equal(t, before.object()["rules"], key["rules"])
	require.Equal(t, "1h30m", key["rules"].([]any)[0].(map[string]any)["window"])

	cleared := s.do(http.MethodPatch, target, `{"metadata":null,"rules":[]}`, "If-Match", "*").is(http.StatusOK).object()
	require.Equal(t, map[string]any{}, cleared["metadata"])
	require.Equal(t, []any{}, cleared["rules"])
}

func TestWhatWasReadCanBeSentBack(t *testing.T) {
	s := newServer(t)
	id, _ := s.newKey(`"rules":[{"name":"r","limit":5,"window":"1h"},{"name":"q","limit":9,"period":"month","overage":"allow"},` +
		`{"name":"s","limit":1,"window":"100ms","algorithm":"fixed_window",` +
		`"methods":["get"],"endpoints":["/v1/**"],"shadow":true},` +
		`{"name":"b","limit":5,"window":"1m","algorithm":"gcra","burst":20},` +
		`{"name":"c","limit":5,"window":"1m","algorithm":"gcra"},` +
		`{"name":"l","limit":10000,"window":"1h","algorithm":"sliding_log"}]`)
	target := "/api/v1/keys/" + id
	rules := s.do(http.MethodGet, target, "").object()["rules"].([]any)
	require.EqualValues(t, 20, rules[3].(map[string]any)["burst"])
	require.EqualValues(t, 5, rules[4].(map[string]any)["burst"], "what was left out is filled")
	require.NotContains(t, rules[5], "burst")
	after := s.do(http.MethodPatch, target, `{"rules":`+encode(t, rules)+`}`, "If-Match", "*").is(http.StatusOK)
	require.Equal(t, rules, after.object()["rules"])
}

func TestAChangeSaysWhichVersionItIsAbout(t *testing.T) {
	s := newServer(t)
	id, _ := s.newKey("")
	s.do(http.MethodPost, "/api/v1/owners", `{"external_id":"cust_1"}`).is(http.StatusCreated)
	for _, target := range []string{"/api/v1/keys/" + id, "/api/v1/owners/cust_1", "/api/v1/plans/pro", "/api/v1/keyspaces/default"} {
		first := s.do(http.MethodGet, target, "").is(http.StatusOK).Header().Get("ETag")
		change := `{"metadata":{"a":"1"}}`
		code, fields := s.do(http.MethodPatch, target, change).is(http.StatusPreconditionRequired).problem()
		require.Equal(t, "precondition_required", code)
		require.Equal(t, []string{"header If-Match"}, fields)

		second := s.do(http.MethodPatch, target, change, "If-Match", first).is(http.StatusOK).Header().Get("ETag")
		require.NotEqual(t, first, second)
		for _, stale := range []string{first, `"nonsense"`, `W/` + second, `"99-0"`, second + `, "9-1"`, strings.Trim(second, `"`)} {
			code, _ := s.do(http.MethodPatch, target, `{"metadata":{"a":"2"}}`, "If-Match", stale).is(http.StatusPreconditionFailed).problem()
			require.Equal(t, "precondition_failed", code, "%s with %s", target, stale)
		}
		s.do(http.MethodPatch, target, `{"metadata":{"a":"3"}}`, "If-Match", second).is(http.StatusOK)
	}
}

func TestAnAnswerTheCallerHasIsNotSentAgain(t *testing.T) {
	s := newServer(t)
	id, _ := s.newKey(`"plan":"pro"`)
	target := "/api/v1/keys/" + id
	tag := s.do(http.MethodGet, target, "").Header().Get("ETag")
	for _, have := range []string{tag, `"1-0", ` + tag, "W/" + tag, "*"} {
		a := s.do(http.MethodGet, target, "", "If-None-Match", have).is(http.StatusNotModified)
		require.Empty(t, a.Body.String())
		require.Equal(t, tag, a.Header().Get("ETag"))
	}
	s.do(http.MethodGet, target, "", "If-None-Match", `"1-0"`).is(http.StatusOK)

	// The answer shows the plan's name, so it changes with it.
	s.do(http.MethodPatch, "/api/v1/plans/pro", `{"name":"professional"}`, "If-Match", "*").is(http.StatusOK)
	a := s.do(http.MethodGet, target, "", "If-None-Match", tag).is(http.StatusOK)
	require.Equal(t, "professional", a.text("plan"))
	s.do(http.MethodPatch, target, `{"name":"still version one"}`, "If-Match", tag).is(http.StatusOK)
}

func TestMembersThatCannotBeClearedRefuseNull(t *testing.T) {
	s := newServer(t)
	id, _ := s.newKey("")
	_, fields := s.do(http.MethodPatch, "/api/v1/keys/"+id, `{"name":null,"owner":null,"tags":[null]}`, "If-Match", "*").
		is(http.StatusUnprocessableEntity).problem()
	require.ElementsMatch(t, []string{"body name", "body owner", "body tags[0]"}, fields)
}
