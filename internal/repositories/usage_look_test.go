package repositories_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// idAt makes a UUIDv7 of a time.
func idAt(at time.Time) string {
	id := uuid.Must(uuid.NewV7())
	var head [8]byte
	binary.BigEndian.PutUint64(head[:], uint64(at.UnixMilli())<<16)
	copy(id[:6], head[:6])
	return id.String()
}

func logRow(at time.Time, key models.KeyID, owner models.OwnerID, id string) models.UsageLog {
	return models.UsageLog{
		At: at, RequestID: id, Kind: models.RecordCheck, OwnerID: owner, APIKeyID: key,
		SegmentID: models.NewID[models.SegmentID](), Code: "ok", Allowed: true, Method: "GET", Endpoint: "/v1/Ä", Meter: models.MeterRequests,
		Units: 2, Cost: 2, IP: "::1", UserAgent: "curl", SampleRate: 0.25,
		Limits: []models.RecordedLimit{{Rule: "a", Scope: models.ScopeKey, Limit: 5, Remaining: 3, Tightest: true}},
	}
}

func TestLogsArePagedNewestFirst(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		logs, now := repositories.NewUsageLogs(s.db), s.clock.Now()
		require.NoError(t, repositories.NewUsageUpkeep(s.db).MakePartitions(t.Context(), now, 1))
		keys := []models.KeyID{models.NewID[models.KeyID](), models.NewID[models.KeyID]()}
		owners := []models.OwnerID{models.NewID[models.OwnerID](), models.NewID[models.OwnerID]()}
		var rows []models.UsageLog
		for i := range 60 {
			row := logRow(now.Add(-time.Duration(i%7)*9*time.Hour), keys[i%2], owners[i/2%2], fmt.Sprintf("r%d", i%5))
			row.Kind = models.RecordKind(1 + i%4)
			row.Meter = fmt.Sprintf("meter%d", i)
			if i%3 == 0 {
				row.Code, row.Allowed = "rate_limited", false
			}
			rows = append(rows, row)
		}
		require.NoError(t, repositories.NewIngest(s.db).AddLogs(t.Context(), rows))
		for name, test := range map[string]struct {
			filter models.UsageLogFilter
			match  func(*models.UsageLog) bool
		}{
			"every": {models.UsageLogFilter{}, func(*models.UsageLog) bool { return true }},
			"key":   {models.UsageLogFilter{KeyID: keys[1]}, func(l *models.UsageLog) bool { return l.APIKeyID == keys[1] }},
			"owner": {models.UsageLogFilter{OwnerID: owners[1]}, func(l *models.UsageLog) bool { return l.OwnerID == owners[1] }},
			"code":  {models.UsageLogFilter{Code: "rate_limited"}, func(l *models.UsageLog) bool { return l.Code == "rate_limited" }},
			"time": {models.UsageLogFilter{From: rows[4].At, To: rows[2].At}, func(l *models.UsageLog) bool {
				return !l.At.Before(rows[4].At) && l.At.Before(rows[2].At)
			}},
		} {
			want := map[string]models.UsageLog{}
			for i := range rows {
				if test.match(&rows[i]) {
					want[rows[i].Meter] = rows[i]
				}
			}
			for _, limit := range []int{1, 7, 100} {
				got, page, last := map[string]models.UsageLog{}, models.Page{Limit: limit}, now.Add(time.Hour)
				for {
					list, err := logs.List(t.Context(), test.filter, page)
					require.NoError(t, err, name)
					for _, row := range list {
						require.False(t, row.At.After(last), "newest first")
						last, got[row.Meter] = row.At, row
					}
					if len(list) < limit {
						break
					}
					page.After = ptr(list[len(list)-1].Position())
				}
				require.Equal(t, want, got, "%s by %d", name, limit)
			}
		}
		list, err := logs.List(t.Context(), models.UsageLogFilter{}, models.Page{})
		require.NoError(t, err)
		require.Len(t, list, models.DefaultPageLimit)
		for _, bad := range []models.Position{
			{Value: "x", ID: list[0].Position().ID}, {Value: list[0].Position().Value, ID: "1"},
			{Value: list[0].Position().Value, ID: `{"RequestID":"\u0000"}`},
		} {
			_, err := logs.List(t.Context(), models.UsageLogFilter{}, models.Page{After: &bad})
			require.Equal(t, "cursor", field(t, refused(t, err, apierror.CodeValidationFailed)))
		}
	})
}

func TestARequestIsFoundWithAllThatCameLater(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		logs, now := repositories.NewUsageLogs(s.db), s.clock.Now()
		require.NoError(t, repositories.NewUsageUpkeep(s.db).MakePartitions(t.Context(), now, 1))
		key, owner := models.NewID[models.KeyID](), models.NewID[models.OwnerID]()
		id, old, plain := idAt(now)+"-12", idAt(now.AddDate(0, 0, -9)), "req-1"
		check, adjustment, report := logRow(now, key, owner, id), logRow(now.Add(time.Minute), key, owner, id), logRow(now, key, owner, id)
		adjustment.Kind, adjustment.Units, adjustment.Limits = models.RecordAdjustment, -1, nil
		report.Kind, report.Limits, report.Status, report.LatencyMS = models.RecordReport, nil, 200, 12
		late := logRow(now, key, owner, old) // its id tells of another day
		named := logRow(now.AddDate(0, 0, -20), key, owner, plain)
		require.NoError(t, repositories.NewIngest(s.db).AddLogs(t.Context(), []models.UsageLog{adjustment, report, late, named, check}))
		for _, test := range []struct {
			id     string
			around time.Time
			want   []models.UsageLog
		}{
			{id, time.Time{}, []models.UsageLog{check, report, adjustment}},
			{id, now.Add(time.Hour), []models.UsageLog{check, report, adjustment}},
			{id, now.AddDate(-1, 0, 0), []models.UsageLog{check, report, adjustment}},
			{old, time.Time{}, []models.UsageLog{late}},
			{plain, time.Time{}, []models.UsageLog{named}},
			{"nothing", time.Time{}, nil},
			{"a\x00b", time.Time{}, nil},
			{"\xff", time.Time{}, nil},
		} {
			got, err := logs.Find(t.Context(), test.id, test.around)
			require.NoError(t, err)
			if len(test.want) == 0 {
				require.Empty(t, got, "%q", test.id)
				continue
			}
			require.Equal(t, test.want, got, "%q", test.id)
		}
	})
}

func TestViolationsArePagedNewestFirst(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		violations, now := repositories.NewViolations(s.db), s.clock.Now().Truncate(time.Minute)
		require.NoError(t, repositories.NewUsageUpkeep(s.db).MakePartitions(t.Context(), now, 1))
		key, owner := models.NewID[models.KeyID](), models.NewID[models.OwnerID]()
		var rows []models.RateLimitViolation
		for i := range 40 {
			v := models.RateLimitViolation{
				OwnerID: owner, APIKeyID: key, Rule: []string{"a", "b"}[i%2], Code: "rate_limited", Endpoint: fmt.Sprint("/", i), Limit: 7, Count: 3,
				FirstAt: now.Add(-time.Duration(i%6)*11*time.Hour + time.Second), RequestID: "r", IPs: []string{"::1"}, Severity: models.ViolationLow,
			}
			v.LastAt = v.FirstAt.Add(time.Second)
			if i%4 == 0 {
				v.APIKeyID, v.OwnerID = models.NewID[models.KeyID](), models.NewID[models.OwnerID]()
			}
			v.Identify()
			rows = append(rows, v)
		}
		rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		require.NoError(t, repositories.NewIngest(s.db).AddViolations(t.Context(), rows))
		slices.SortFunc(rows, func(a, b models.RateLimitViolation) int {
			if c := b.Minute.Compare(a.Minute); c != 0 {
				return c
			}
			return -slices.Compare([]byte(a.ID), []byte(b.ID))
		})
		for name, test := range map[string]struct {
			filter models.ViolationFilter
			match  func(*models.RateLimitViolation) bool
		}{
			"every": {models.ViolationFilter{}, func(*models.RateLimitViolation) bool { return true }},
			"key":   {models.ViolationFilter{KeyID: key}, func(v *models.RateLimitViolation) bool { return v.APIKeyID == key }},
			"owner and rule": {models.ViolationFilter{OwnerID: owner, Rule: "b"}, func(v *models.RateLimitViolation) bool {
				return v.OwnerID == owner && v.Rule == "b"
			}},
			"time": {models.ViolationFilter{From: now.Add(-33 * time.Hour), To: now}, func(v *models.RateLimitViolation) bool {
				return !v.Minute.Before(now.Add(-33*time.Hour)) && v.Minute.Before(now)
			}},
		} {
			var want []models.RateLimitViolation
			for i := range rows {
				if test.match(&rows[i]) {
					want = append(want, rows[i])
				}
			}
			for _, limit := range []int{1, 7, 100} {
				var got []models.RateLimitViolation
				page := models.Page{Limit: limit}
				for {
					list, err := violations.List(t.Context(), test.filter, page)
					require.NoError(t, err, name)
					if got = append(got, list...); len(list) < limit {
						break
					}
					page.After = ptr(list[len(list)-1].Position())
				}
				require.Equal(t, want, got, "%s by %d", name, limit)
			}
		}
		_, err := violations.List(t.Context(), models.ViolationFilter{}, models.Page{After: &models.Position{Value: "x", ID: string(rows[0].ID)}})
		require.Equal(t, "cursor", field(t, refused(t, err, apierror.CodeValidationFailed)))
	})
}
