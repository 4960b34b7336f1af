package controllers_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
)

const (
	alertsPath      = "/api/v1/alerts"
	alertRulesPath  = "/api/v1/alert-rules"
	maintenancePath = "/api/v1/maintenance-windows"
)

// newAlert opens an alert of the rule about an owner, as a check does.
func (s *server) newAlert(ruleName string, owner string) string {
	s.t.Helper()
	rule, err := repositories.NewAlertRules(s.db).Find(s.t.Context(), ruleName)
	require.NoError(s.t, err)
	cause := models.AlertCause{
		Subject: "owner:" + owner, OwnerID: models.OwnerID(owner), Quota: "monthly", Period: models.PeriodMonth,
		PeriodStart: start.Add(-time.Hour), PeriodEnd: start.Add(time.Hour), Value: 80.5, Threshold: 80, Text: "It is so.",
	}
	alert := models.NewAlert(rule, &cause, s.clock())
	require.NoError(s.t, repositories.NewAlerts(s.db).Create(s.t.Context(), []models.Alert{*alert}))
	return string(alert.ID)
}

func (s *server) newMaintenance(members string) string {
	s.t.Helper()
	return s.do(http.MethodPost, maintenancePath, `{"name":"upgrade","starts_at":"2026-03-10T12:00:00Z","ends_at":"2026-03-10T13:00:00Z"`+members+`}`).
		is(http.StatusCreated).text("id")
}

func TestAlertsAreSeenAndActedOn(t *testing.T) {
	s := newServer(t)
	owner := s.do(http.MethodPost, "/api/v1/owners", `{"external_id":"acme"}`).is(http.StatusCreated).text("id")
	id := s.newAlert("quota-80", owner)
	one := alertsPath + "/" + id
	a := s.do(http.MethodGet, one, "").is(http.StatusOK)
	body := a.object()
	require.Equal(t, "active", body["state"])
	require.Equal(t, "quota-80", body["rule"])
	require.Equal(t, owner, body["owner_id"])
	require.Nil(t, body["key_id"])
	require.Equal(t, "2026-03-10T13:00:03.25Z", body["period_end"])
	s.do(http.MethodGet, one, "", "If-None-Match", a.Header().Get("ETag")).is(http.StatusNotModified)

	for query, n := range map[string]int{
		"": 1, "?state=active": 1, "?state=pending": 0, "?rule=quota-80&owner=acme&severity=warning&since=2026-03-10T12:00:00Z": 1,
		"?since=2026-03-10T12:00:04Z": 0, "?rule=quota-100": 0,
	} {
		require.Len(t, s.do(http.MethodGet, alertsPath+query, "").is(http.StatusOK).object()["data"], n, query)
	}
	for query, field := range map[string]string{"?rule=nope": "query rule", "?owner=nope": "query owner", "?key=nope": "query key"} {
		_, fields := s.do(http.MethodGet, alertsPath+query, "").is(http.StatusUnprocessableEntity).problem()
		require.Equal(t, []string{field}, fields)
	}

	require.Equal(t, "acknowledged", s.do(http.MethodPost, one+"/acknowledge", "").is(http.StatusOK).object()["state"])
	code, _ := s.do(http.MethodPost, one+"/acknowledge", `{"note":"again"}`).is(http.StatusConflict).problem()
	require.Equal(t, "conflict", code)
	for _, bad := range []string{`{}`, `{"until":"2026-03-11T00:00:00Z","for":"1h"}`, `{"for":"-1h"}`, `{"for":"2161h"}`} {
		_, fields := s.do(http.MethodPost, one+"/suppress", bad).is(http.StatusUnprocessableEntity).problem()
		require.Equal(t, []string{"body until"}, fields, bad)
	}
	suppressed := s.do(http.MethodPost, one+"/suppress", `{"for":"1h","note":"later"}`).is(http.StatusOK).object()
	require.Equal(t, "2026-03-10T13:00:03.25Z", suppressed["suppressed_until"])
	require.Equal(t, "later", suppressed["note"])
	resolved := s.do(http.MethodPost, one+"/resolve", `{"note":"done"}`).is(http.StatusOK).object()
	require.Equal(t, "manual", resolved["resolution"])
	s.do(http.MethodPost, one+"/suppress", `{"for":"1h"}`).is(http.StatusConflict)
	s.do(http.MethodGet, alertsPath+"/nope", "").is(http.StatusNotFound)
	actions := s.do(http.MethodGet, "/api/v1/admin/audit-logs?object_id="+id, "").is(http.StatusOK).object()["data"].([]any)
	require.Len(t, actions, 3)
}

func TestAlertRulesAreMadeChangedAndTried(t *testing.T) {
	s := newServer(t)
	rule := s.do(http.MethodPost, alertRulesPath, `{"name":"refusals","kind":"violations","params":{"count":5,"window":"10m"},"repeat_every":"0s"}`).
		is(http.StatusCreated)
	body := rule.object()
	require.Equal(t, map[string]any{"count": 5.0, "window_ms": 600_000.0, "per": "key"}, body["params"])
	require.EqualValues(t, 300_000, body["resolve_after_ms"])
	require.Zero(t, body["repeat_every_ms"])
	require.Equal(t, "warning", body["severity"])
	require.Equal(t, true, body["enabled"])
	s.do(http.MethodPost, alertRulesPath, `{"name":"refusals","kind":"quota","params":{"percent":80}}`).is(http.StatusConflict)
	_, fields := s.do(http.MethodPost, alertRulesPath, `{"name":"x","kind":"violations","params":{"window":"90s"}}`).is(http.StatusUnprocessableEntity).problem()
	require.Equal(t, []string{"body params.count", "body params.window"}, fields)

	one := alertRulesPath + "/refusals"
	s.do(http.MethodPatch, one, `{"enabled":false}`).is(http.StatusPreconditionRequired)
	changed := s.do(http.MethodPatch, one, `{"enabled":false,"for":"1m","params":{"count":6,"window":"5m","per":"owner"}}`,
		"If-Match", rule.Header().Get("ETag")).is(http.StatusOK).object()
	require.Equal(t, false, changed["enabled"])
	require.EqualValues(t, 60_000, changed["for_ms"])
	require.Equal(t, map[string]any{"count": 6.0, "window_ms": 300_000.0, "per": "owner"}, changed["params"])
	s.do(http.MethodPatch, one, `{"enabled":true}`, "If-Match", rule.Header().Get("ETag")).is(http.StatusPreconditionFailed)
	require.Len(t, s.do(http.MethodGet, alertRulesPath, "").is(http.StatusOK).object()["data"], 4)

	v := models.RateLimitViolation{
		OwnerID: models.NewID[models.OwnerID](), APIKeyID: models.NewID[models.KeyID](), Rule: "r", Code: "rate_limited", Count: 7,
		FirstAt: start.Add(-time.Hour), LastAt: start.Add(-time.Hour),
	}
	v.Identify()
	require.NoError(t, repositories.NewIngest(s.db).AddViolations(t.Context(), []models.RateLimitViolation{v}))
	preview := s.do(http.MethodPost, alertRulesPath+"/preview", `{"rule":{"kind":"violations","params":{"count":7,"window":"10m"}}}`).is(http.StatusOK).object()
	require.Equal(t, "2026-03-03T12:00:03.25Z", preview["from"])
	firing := preview["data"].([]any)[0].(map[string]any)
	require.Equal(t, "2026-03-10T11:00:00Z", firing["at"])
	require.Equal(t, "2026-03-10T11:15:00Z", firing["resolved_at"])
	_, fields = s.do(http.MethodPost, alertRulesPath+"/preview", `{"rule":{"kind":"system","params":{"failed_jobs":true}}}`).is(http.StatusUnprocessableEntity).problem()
	require.Equal(t, []string{"body rule.kind"}, fields)

	s.do(http.MethodDelete, one, "").is(http.StatusNoContent)
	s.do(http.MethodGet, one, "").is(http.StatusNotFound)
}

func TestMaintenanceWindowsAreMadeAndChanged(t *testing.T) {
	s := newServer(t)
	owner := s.do(http.MethodPost, "/api/v1/owners", `{"external_id":"acme"}`).is(http.StatusCreated).text("id")
	one := maintenancePath + "/" + s.newMaintenance(`,"rules":["quota-80"],"owner":"acme"`)
	body := s.do(http.MethodGet, one, "").is(http.StatusOK).object()
	require.Equal(t, owner, body["owner_id"])
	require.Len(t, body["rules"], 1)
	changed := s.do(http.MethodPatch, one, `{"owner":null,"rules":null,"ends_at":"2026-03-10T14:00:00Z"}`, "If-Match", "*").is(http.StatusOK).object()
	require.Nil(t, changed["owner_id"])
	require.Empty(t, changed["rules"])
	require.Equal(t, "2026-03-10T14:00:00Z", changed["ends_at"])
	_, fields := s.do(http.MethodPatch, one, `{"ends_at":"2026-03-10T11:00:00Z"}`, "If-Match", "*").is(http.StatusUnprocessableEntity).problem()
	require.Equal(t, []string{"body ends_at"}, fields)
	s.do(http.MethodDelete, one, "").is(http.StatusNoContent)
	s.do(http.MethodGet, one, "").is(http.StatusNotFound)
}
