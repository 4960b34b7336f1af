package controllers_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
)

// user is a key, its owner, and the segment that its usage belongs to.
type user struct {
	key     string
	segment models.Segment
}

// newUser makes a key of an owner with an external id.
func (s *server) newUser() user {
	s.t.Helper()
	external := fmt.Sprintf("cust_%s", models.NewID[models.OwnerID]())
	owner := s.do(http.MethodPost, "/api/v1/owners", fmt.Sprintf(`{"external_id":%q,"plan":"pro"}`, external)).is(http.StatusCreated).text("id")
	key, _ := s.newKey(fmt.Sprintf(`"owner":%q`, external))
	plan, err := repositories.NewPlans(s.db).Find(s.t.Context(), "pro")
	require.NoError(s.t, err)
	segment := models.Segment{OwnerID: models.OwnerID(owner), PlanID: plan.ID, PlanVersion: 1, Since: start}
	segment.Identify()
	return user{key, segment}
}

// use stores ten checks of one unit, of which two were refused, at an instant:
// their sums, their violation, and one row of each kind.
func (s *server) use(u user, at time.Time) (requestID string) {
	s.t.Helper()
	counts := models.UsageCounts{Requests: 10, Allowed: 8, DeniedLimit: 2, Units: 8, BillableUnits: 8, Reports: 1, Status2xx: 1, BytesOut: 512}
	cell := models.UsageCell{
		Bucket: models.BucketOf(at), SegmentID: u.segment.ID, APIKeyID: models.KeyID(u.key), Endpoint: "/v1/carts", Method: "GET", Meter: models.MeterRequests,
	}
	requestID = "req-" + string(models.NewID[models.AuditID]())
	row := models.UsageLog{
		At: at, RequestID: requestID, Kind: models.RecordCheck, OwnerID: u.segment.OwnerID, APIKeyID: models.KeyID(u.key), SegmentID: u.segment.ID,
		Code: "rate_limited", Method: "GET", Endpoint: "/v1/carts", Meter: models.MeterRequests, Cost: 3, IP: "192.0.2.7", UserAgent: "curl/8", SampleRate: 1,
		Limits: []models.RecordedLimit{
			{Rule: "per-minute", Scope: models.ScopeOwner, Limit: 100, ResetAfterMS: 1200, RetryAfterMS: 1200, Denied: true, Tightest: true},
			{Rule: "monthly", Scope: models.ScopeOwner, Limit: 1000, Remaining: 900},
		},
	}
	report, adjustment := row, row
	report.Kind, report.Limits, report.Status, report.LatencyMS, report.Code, report.Allowed = models.RecordReport, nil, 200, 12, "", false
	adjustment.Kind, adjustment.Limits, adjustment.Units, adjustment.At = models.RecordAdjustment, nil, 2, at.Add(time.Second)
	violation := models.RateLimitViolation{
		OwnerID: u.segment.OwnerID, APIKeyID: models.KeyID(u.key), Rule: "per-minute", Code: "rate_limited", Endpoint: "/v1/carts",
		Limit: 100, Count: 2, FirstAt: at, LastAt: at, RequestID: requestID, IPs: []string{"192.0.2.7"},
	}
	violation.Identify()
	require.NoError(s.t, repositories.NewIngest(s.db).Add(s.t.Context(), &models.UsageBatch{
		Segments: []models.Segment{u.segment}, Logs: []models.UsageLog{row, report, adjustment}, Violations: []models.RateLimitViolation{violation},
		Rollups:   []models.UsageRollup{{UsageCell: cell, OwnerID: u.segment.OwnerID, UsageCounts: counts}},
		Latencies: []models.UsageLatency{{UsageCell: cell, OwnerID: u.segment.OwnerID, Latency: models.LatencyBucket(12), Count: 1}},
		Sums:      []models.UsageSum{{Bucket: cell.Bucket, Meter: cell.Meter, UsageCounts: counts}},
	}))
	return requestID
}

// data reads the rows of an answer.
func (a answer) data() (rows []map[string]any) {
	a.t.Helper()
	for _, row := range a.object()["data"].([]any) {
		rows = append(rows, row.(map[string]any))
	}
	return rows
}

func TestUsageIsASeriesWithoutGaps(t *testing.T) {
	s := newServer(t)
	u := s.newUser()
	s.use(u, start.AddDate(0, 0, -2))
	s.use(u, start.Add(-time.Minute))
	for _, target := range []string{"/api/v1/keys/" + u.key + "/usage", "/api/v1/owners/" + string(u.segment.OwnerID) + "/usage", "/api/v1/usage"} {
		a := s.do(http.MethodGet, target, "").is(http.StatusOK)
		body, rows := a.object(), a.data()
		require.Len(t, rows, 31, "30 days until now, cut at both ends")
		require.Equal(t, "2026-02-08T12:00:00Z", body["from"])
		require.Equal(t, "2026-03-10T12:15:00Z", body["to"], "the bucket of now is in it")
		require.Equal(t, "day", body["granularity"])
		require.Equal(t, "UTC", body["tz"])
		require.Nil(t, body["complete_until"])
		for i, row := range rows {
			want := 0
			if i == 28 || i == 30 {
				want = 10
			}
			require.EqualValues(t, want, row["requests"], "%s %v", target, row["from"])
			if i > 0 {
				require.Equal(t, rows[i-1]["to"], row["from"])
			}
		}
		total := body["total"].(map[string]any)
		for name, want := range map[string]int{
			"requests": 20, "allowed": 16, "denied": 4, "denied_limit": 4, "denied_quota": 0, "units": 16, "billable_units": 16, "reports": 2, "status_2xx": 2, "bytes_out": 1024,
		} {
			require.EqualValues(t, want, total[name], name)
		}
	}
	latency := s.do(http.MethodGet, "/api/v1/keys/"+u.key+"/usage", "").object()["latency"].(map[string]any)
	require.Equal(t, map[string]any{"reports": 2.0, "p50_ms": 14.0, "p90_ms": 14.0, "p95_ms": 14.0, "p99_ms": 14.0}, latency)
	require.Nil(t, s.do(http.MethodGet, "/api/v1/usage", "").object()["latency"], "of all keys for 30 days")

	day := s.do(http.MethodGet, "/api/v1/usage?granularity=day&tz=Europe/Berlin&from=2026-03-08T00:00:00Z&to=2026-03-09T23:30:00Z", "").is(http.StatusOK).data()
	require.Len(t, day, 3)
	require.Equal(t, "2026-03-08T23:00:00Z", day[0]["to"])
	require.Equal(t, "2026-03-09T23:30:00Z", day[2]["to"])
}

func TestAnEndpointIsToldFromNone(t *testing.T) {
	s := newServer(t)
	u := s.newUser()
	s.use(u, start)
	for query, want := range map[string]int{"": 10, "?endpoint=/v1/carts": 10, "?endpoint=": 0, "?endpoint=/none": 0, "?meter=tokens": 0} {
		total := s.do(http.MethodGet, "/api/v1/keys/"+u.key+"/usage"+query, "").is(http.StatusOK).object()["total"].(map[string]any)
		require.EqualValues(t, want, total["requests"], query)
	}
}

func TestUsageIsListedByGroup(t *testing.T) {
	s := newServer(t)
	a, b := s.newUser(), s.newUser()
	s.use(a, start)
	s.use(b, start)
	s.use(b, start.Add(-25*time.Hour))
	rows := s.do(http.MethodGet, "/api/v1/usage?group_by=key", "").is(http.StatusOK).data()
	require.Len(t, rows, 2)
	require.Equal(t, b.key, rows[0]["name"])
	require.Equal(t, "Checkout", rows[0]["label"])
	require.EqualValues(t, 16, rows[0]["units"])
	require.Len(t, s.do(http.MethodGet, "/api/v1/usage?group_by=key&limit=1", "").data(), 1)
	rows = s.do(http.MethodGet, "/api/v1/usage?group_by=owner", "").is(http.StatusOK).data()
	require.Equal(t, string(b.segment.OwnerID), rows[0]["name"])
	require.Contains(t, rows[0]["label"], "cust_")
	rows = s.do(http.MethodGet, "/api/v1/keys/"+a.key+"/usage?group_by=endpoint", "").is(http.StatusOK).data()
	require.Equal(t, "/v1/carts", rows[0]["name"])
	require.Equal(t, "GET", rows[0]["method"])
	rows = s.do(http.MethodGet, "/api/v1/usage?group_by=meter", "").is(http.StatusOK).data()
	require.Equal(t, "requests", rows[0]["name"])
	require.EqualValues(t, 30, rows[0]["requests"])

	s.do(http.MethodDelete, "/api/v1/keys/"+a.key, "").is(http.StatusNoContent)
	rows = s.do(http.MethodGet, "/api/v1/usage?group_by=key", "").is(http.StatusOK).data()
	require.Equal(t, a.key, rows[1]["name"], "usage outlives the key")
	require.Empty(t, rows[1]["label"])
}

func TestUsageComesAsCSV(t *testing.T) {
	s := newServer(t)
	u := s.newUser()
	s.use(u, start)
	for target, want := range map[string]int{"/api/v1/usage": 1 + 31, "/api/v1/usage?group_by=owner": 2, "/api/v1/owners/" + string(u.segment.OwnerID) + "/usage?granularity=hour": 1 + 25} {
		a := s.do(http.MethodGet, target, "", "Accept", "text/csv").is(http.StatusOK)
		rows, err := csv.NewReader(a.Body).ReadAll()
		require.NoError(t, err)
		require.Len(t, rows, want, target)
		for name := range s.do(http.MethodGet, target, "").data()[0] {
			require.Contains(t, rows[0], name, target)
		}
	}
}

func TestUsageOfNobodyIsNotFound(t *testing.T) {
	s := newServer(t)
	for _, target := range []string{"/keys/x/usage", "/keys/" + string(models.NewID[models.KeyID]()) + "/usage", "/owners/nobody/usage"} {
		code, _ := s.do(http.MethodGet, "/api/v1"+target, "").is(http.StatusNotFound).problem()
		require.Equal(t, "not_found", code)
	}
	for _, list := range []string{"violations", "usage/logs"} {
		for query, field := range map[string]string{"key_id=x": "key_id", "key_id=" + string(models.NewID[models.KeyID]()): "key_id", "owner=nobody": "owner"} {
			_, fields := s.do(http.MethodGet, "/api/v1/"+list+"?"+query, "").is(http.StatusUnprocessableEntity).problem()
			require.Equal(t, []string{"query " + field}, fields, query)
		}
	}
}

func TestBadParametersOfUsageAreNamed(t *testing.T) {
	s := newServer(t)
	u := s.newUser()
	own := "/api/v1/keys/" + u.key + "/usage?"
	for target, want := range map[string]string{
		"/api/v1/usage?granularity=year":                                       "granularity",
		"/api/v1/usage?from=yesterday":                                         "from",
		"/api/v1/usage?to=2026-03-10":                                          "to",
		"/api/v1/usage?to=2030-01-01T00:00:00Z&from=2029-12-31T00:00:00Z":      "to",
		"/api/v1/usage?from=1969-01-01T00:00:00Z&to=1969-01-02T00:00:00Z":      "from",
		"/api/v1/usage?from=2026-03-10T00:00:00Z&to=2026-03-10T00:00:00Z":      "from",
		"/api/v1/usage?from=2026-03-11T00:00:00Z":                              "from",
		"/api/v1/usage?granularity=hour&from=2026-02-01T00:00:00Z":             "from",
		"/api/v1/usage?granularity=day&from=2025-03-01T00:00:00Z":              "from",
		"/api/v1/usage?granularity=week&from=2024-03-01T00:00:00Z":             "from",
		"/api/v1/usage?granularity=month&from=2021-03-01T00:00:00Z":            "from",
		"/api/v1/usage?tz=Mars/Olympus":                                        "tz",
		"/api/v1/usage?tz=Local":                                               "tz",
		"/api/v1/usage?endpoint=/a":                                            "from",
		"/api/v1/usage?group_by=color":                                         "group_by",
		"/api/v1/usage?group_by=key&limit=0":                                   "limit",
		"/api/v1/usage?group_by=key&limit=1001":                                "limit",
		"/api/v1/usage?limit=5":                                                "limit",
		"/api/v1/usage?group_by=key&tz=UTC":                                    "tz",
		"/api/v1/usage?group_by=key&granularity=day":                           "granularity",
		"/api/v1/usage?group_by=meter&meter=tokens":                            "meter",
		"/api/v1/usage?group_by=endpoint&from=2026-03-01T00:00:00Z":            "from",
		"/api/v1/usage?group_by=owner&from=2020-03-01T00:00:00Z":               "from",
		"/api/v1/usage?meter=" + strings.Repeat("x", 65):                       "meter",
		own + "group_by=endpoint&from=2025-03-01T00:00:00Z":                    "from",
		"/api/v1/usage/logs?from=2026-01-01T00:00:00Z":                         "from",
		"/api/v1/usage/logs?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z": "from",
		"/api/v1/violations?from=2025-01-01T00:00:00Z":                         "from",
		"/api/v1/violations?cursor=x":                                          "cursor",
		"/api/v1/violations?rule=" + strings.Repeat("x", 65):                   "rule",
		"/api/v1/checks/" + strings.Repeat("x", 129):                           "request_id",
	} {
		_, fields := s.do(http.MethodGet, target, "").is(http.StatusUnprocessableEntity).problem()
		in := "query "
		if want == "request_id" {
			in = "path "
		}
		require.Equal(t, []string{in + want}, fields, target)
	}
}

func TestLogsAndViolationsArePagedAndFiltered(t *testing.T) {
	s := newServer(t)
	a, b := s.newUser(), s.newUser()
	first := s.use(a, start.Add(-time.Hour))
	s.use(b, start.Add(-time.Minute))
	s.use(a, start.AddDate(0, 0, -20))
	for target, want := range map[string]int{
		"usage/logs": 6, "usage/logs?key_id=" + a.key: 3, "usage/logs?owner=" + string(b.segment.OwnerID): 3, "usage/logs?code=ok": 0,
		"usage/logs?from=" + url.QueryEscape("2026-02-18T00:00:00+01:00") + "&to=2026-02-19T00:00:00Z": 3,
		"violations": 2, "violations?key_id=" + a.key: 1, "violations?rule=other": 0, "violations?from=2026-02-01T00:00:00Z": 3,
	} {
		rows := s.do(http.MethodGet, "/api/v1/"+target, "").is(http.StatusOK).data()
		require.Len(t, rows, want, target)
		join := "?"
		if strings.Contains(target, "?") {
			join = "&"
		}
		var paged []map[string]any
		for cursor, more := "", true; more; {
			page := s.do(http.MethodGet, "/api/v1/"+target+join+"limit=1"+cursor, "").is(http.StatusOK)
			paged = append(paged, page.data()...)
			var next string
			next, more = page.object()["next_cursor"].(string)
			cursor = "&cursor=" + next
		}
		require.Equal(t, rows, paged, target)
	}
	rows := s.do(http.MethodGet, "/api/v1/usage/logs?key_id="+a.key, "").data()
	require.Equal(t, "adjustment", rows[0]["kind"], "the newest")
	require.Equal(t, first, rows[0]["request_id"])
	violation := s.do(http.MethodGet, "/api/v1/violations?key_id="+a.key, "").data()[0]
	require.Equal(t, "per-minute", violation["rule"])
	require.Equal(t, "2026-03-10T11:00:00Z", violation["minute"])
	require.Equal(t, []any{"192.0.2.7"}, violation["ips"])
}

func TestACheckIsExplained(t *testing.T) {
	s := newServer(t)
	u := s.newUser()
	id := s.use(u, start)
	e := s.do(http.MethodGet, "/api/v1/checks/"+id, "").is(http.StatusOK).object()
	require.Equal(t, "rate_limited", e["code"])
	require.Equal(t, "per-minute", e["decisive"])
	require.Equal(t, "2026-03-10T12:00:04.45Z", e["retry_at"])
	require.EqualValues(t, 3, e["cost"])
	require.EqualValues(t, 2, e["units"], "as it was corrected")
	require.Equal(t, map[string]any{"id": u.key, "name": "Checkout"}, e["key"])
	require.Equal(t, "pro", e["plan"])
	require.EqualValues(t, 1, e["plan_version"])
	require.Len(t, e["limits"], 2)
	require.Equal(t, []any{map[string]any{"at": "2026-03-10T12:00:04.25Z", "units": 2.0}}, e["adjustments"])
	require.Len(t, e["reports"], 1)

	code, _ := s.do(http.MethodGet, "/api/v1/checks/"+string(models.NewID[models.AuditID]()), "").is(http.StatusNotFound).problem()
	require.Equal(t, "not_recorded", code)
	require.NoError(t, repositories.NewStreams(s.db).Watermark(t.Context(), models.StreamID(models.NewID[models.AuditID]()), "node", start))
	detail := s.do(http.MethodGet, "/api/v1/checks/none", "").is(http.StatusNotFound).text("detail")
	require.Contains(t, detail, "2026-03-10T12:00:03Z")
	require.Equal(t, "2026-03-10T12:00:03.25Z", s.do(http.MethodGet, "/api/v1/usage", "").object()["complete_until"])
}
