package controllers_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// sender sends nothing, and says that it came unless it is to fail.
type sender struct {
	mu   sync.Mutex
	sent []models.Message
	fail string
}

func (s *sender) Send(_ context.Context, _ *models.Destination, _ string, m *models.Message) models.Sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, *m)
	if s.fail != "" {
		return models.Sent{Status: 500, Error: s.fail, Request: "POST"}
	}
	return models.Sent{Delivered: true, Status: 200, Request: "POST", Response: "thanks"}
}

func (s *sender) Check(v *apierror.Validator, d *models.Destination) {
	v.Check(!strings.Contains(d.URL, models.Concealed), "url", "must be a URL")
}

const destinationsPath = "/api/v1/destinations"

func (s *server) newDestination(members string) answer {
	s.t.Helper()
	return s.do(http.MethodPost, destinationsPath, `{"name":"on-call","type":"webhook","url":"https://example.com/hook?token=hunter2"`+members+`}`).is(http.StatusCreated)
}

func TestASigningSecretIsShownOnceAndNothingElseThatOpens(t *testing.T) {
	s := newServer(t)
	created := s.newDestination(`,"headers":{"Authorization":"Bearer hunter2"}`)
	require.Equal(t, "no-store", created.Header().Get("Cache-Control"))
	secrets := []string{created.text("secret"), "hunter2", "T000", "B000"}
	require.True(t, strings.HasPrefix(secrets[0], "whsec_"))
	s.do(http.MethodPost, destinationsPath, `{"name":"chat","type":"slack","url":"https://hooks.slack.com/services/T000/B000/x"}`).is(http.StatusCreated)
	rotated := s.do(http.MethodPost, destinationsPath+"/on-call/rotate-secret", `{"grace":"48h"}`).is(http.StatusCreated)
	require.NotEqual(t, secrets[0], rotated.text("secret"))
	secrets = append(secrets, rotated.text("secret"))
	require.Equal(t, start.Add(48*time.Hour).Format(time.RFC3339Nano), rotated.text("secret_previous_until"))
	changed := s.do(http.MethodPatch, destinationsPath+"/on-call", `{"rate_per_minute":7,"events":["alert.*"]}`, "If-Match", "*").is(http.StatusOK)
	require.EqualValues(t, 7, changed.object()["rate_per_minute"])
	require.Equal(t, map[string]any{"Authorization": "…"}, changed.object()["headers"])
	s.do(http.MethodPost, destinationsPath+"/on-call/test", "").is(http.StatusOK)
	s.do(http.MethodDelete, destinationsPath+"/chat", "").is(http.StatusNoContent)

	for _, target := range []string{destinationsPath, destinationsPath + "/on-call", "/api/v1/deliveries", "/api/v1/admin/audit-logs"} {
		for _, accept := range []string{"application/json", "text/csv"} {
			a := s.do(http.MethodGet, target, "", "Accept", accept)
			if a.Code == http.StatusNotAcceptable {
				continue // one object has no CSV form
			}
			for _, secret := range secrets {
				require.NotContains(t, a.is(http.StatusOK).Body.String(), secret, "%s as %s", target, accept)
			}
		}
	}
	for _, entry := range s.log.All() {
		text, err := json.Marshal(entry.ContextMap())
		require.NoError(t, err)
		for _, secret := range secrets {
			require.NotContains(t, entry.Message+string(text), secret)
		}
	}
	shown := s.do(http.MethodGet, destinationsPath+"/on-call", "").is(http.StatusOK)
	require.Equal(t, "https://example.com/hook?…", shown.text("url"))
	s.refuses(t, 422, "body url", http.MethodPatch, destinationsPath+"/on-call", `{"url":"`+shown.text("url")+`"}`, "If-Match", "*")
}

func TestCreatingADestinationTwiceByOneKeyMakesOne(t *testing.T) {
	s := newServer(t)
	body := `{"name":"on-call","type":"webhook","url":"https://example.com/hook"}`
	first := s.do(http.MethodPost, destinationsPath, body, "Idempotency-Key", "k").is(http.StatusCreated)
	again := s.do(http.MethodPost, destinationsPath, body, "Idempotency-Key", "k").is(http.StatusCreated)
	require.Equal(t, first.Body.String(), again.Body.String())
	require.Equal(t, []string{"on-call"}, s.do(http.MethodGet, destinationsPath, "").names())
	code, fields := s.do(http.MethodPost, destinationsPath, body).is(http.StatusConflict).problem()
	require.Equal(t, "already_exists", code)
	require.Equal(t, []string{"body name"}, fields)
}

func TestDestinationsAreSwitchedOffAndOn(t *testing.T) {
	s := newServer(t)
	s.newDestination("")
	off := s.do(http.MethodPost, destinationsPath+"/on-call/disable", `{"reason":"on holiday"}`).is(http.StatusOK).object()
	require.Equal(t, "on holiday", off["disabled_reason"])
	require.NotNil(t, off["disabled_at"])
	on := s.do(http.MethodPost, destinationsPath+"/on-call/enable", "").is(http.StatusOK).object()
	require.Nil(t, on["disabled_at"])
	s.do(http.MethodPost, destinationsPath+"/nobody/enable", "").is(http.StatusNotFound)
	for body, field := range map[string]string{
		`{"name":"x","type":"pigeon"}`:                                       "body type",
		`{"name":"x","type":"webhook"}`:                                      "body url",
		`{"name":"x y","type":"slack","url":"https://a"}`:                    "body name",
		`{"name":"x","type":"slack","url":"https://a","events":["no.*"]}`:    "body events[0]",
		`{"name":"x","type":"slack","url":"https://a","rate_per_minute":0}`:  "body rate_per_minute",
		`{"name":"x","type":"slack","url":"https://a","min_severity":"low"}`: "body min_severity",
		`{"name":"x","type":"email"}`:                                        "body to",
	} {
		s.refuses(t, 422, field, http.MethodPost, destinationsPath, body)
	}
	for _, bad := range []string{`{"grace":"169h"}`, `{"grace":"-1s"}`, `{"grace":"soon"}`} {
		s.refuses(t, 422, "body grace", http.MethodPost, destinationsPath+"/on-call/rotate-secret", bad)
	}
}

func TestDeliveriesAreSeenAndMadeAgain(t *testing.T) {
	s := newServer(t)
	s.newDestination("")
	s.sender.fail = "the receiver is on fire"
	tested := s.do(http.MethodPost, destinationsPath+"/on-call/test", "").is(http.StatusOK)
	require.Equal(t, "failed", tested.text("state"))
	tries := tested.object()["tries"].([]any)
	require.Equal(t, "the receiver is on fire", tries[0].(map[string]any)["error"])
	id := tested.text("id")
	require.Equal(t, tested.object(), s.do(http.MethodGet, "/api/v1/deliveries/"+id, "").is(http.StatusOK).object())

	s.advance(time.Second)
	again := s.do(http.MethodPost, "/api/v1/deliveries/"+id+"/redeliver", "", "Idempotency-Key", "k").is(http.StatusCreated)
	s.do(http.MethodPost, "/api/v1/deliveries/"+id+"/redeliver", "", "Idempotency-Key", "k").is(http.StatusCreated)
	require.Equal(t, id, again.text("origin_id"))
	require.Equal(t, tested.text("message_id"), again.text("message_id"))
	require.Equal(t, "pending", again.text("state"))
	job, err := repositories.NewJobs(s.db).Load(t.Context(), models.JobNotifyDeliver, again.text("id"))
	require.NoError(t, err)
	require.NotNil(t, job)
	for query, want := range map[string]int{
		"": 2, "?destination=on-call": 2, "?state=failed": 1, "?state=pending&destination=" + again.text("destination_id"): 1,
		"?since=" + s.clock().Format(time.RFC3339Nano): 1, "?limit=1": 1,
	} {
		list := s.do(http.MethodGet, "/api/v1/deliveries"+query, "").is(http.StatusOK).object()["data"].([]any)
		require.Len(t, list, want, query)
		require.Equal(t, query != "?state=failed", list[0].(map[string]any)["id"] == again.text("id"), "newest first")
	}
	s.refuses(t, 422, "query destination", http.MethodGet, "/api/v1/deliveries?destination=nobody", "")
	s.do(http.MethodGet, "/api/v1/deliveries/nothing", "").is(http.StatusNotFound)
	s.do(http.MethodPost, "/api/v1/deliveries/"+again.text("id")+"/redeliver", "").is(http.StatusConflict)
}
