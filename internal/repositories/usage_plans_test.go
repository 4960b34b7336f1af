package repositories_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
)

var (
	wholeUsage = map[string]*regexp.Regexp{
		// The default partition is empty: reading it costs nothing.
		repositories.Postgres: regexp.MustCompile(`Seq Scan on (usage_(rollups|latencies|totals|sums|logs(_\d+)?)|rate_limit_violations(_\d+)?)\s`),
		repositories.SQLite:   regexp.MustCompile(`SCAN (usage_\w+|rate_limit_violations)(\n| USING)`),
	}
	logDay = regexp.MustCompile(`(?:usage_logs|rate_limit_violations)_(\d{8})`)
)

func TestQueriesOfUsageReadNoWholeTable(t *testing.T) {
	u := randomUsage(20_000, 100)
	eachEngine(t, func(t *testing.T, s *suite) {
		usage, now := u.fill(t, s), u.bucket(u.buckets)
		fillLogs(t, s, u, now)
		logs, violations := repositories.NewUsageLogs(s.db), repositories.NewViolations(s.db)
		var plans []string
		repositories.Explain(s.db, func(plan string) { plans = append(plans, plan) })
		// check demands that the last queries read no whole table and, where days
		// are given, the partitions of no other days.
		check := func(name string, err error, days ...string) {
			t.Helper()
			require.NoError(t, err, name)
			require.NotEmpty(t, plans, name)
			for _, plan := range plans {
				if !strings.HasSuffix(name, "without an index") { // then, a day is read whole
					require.NotRegexp(t, wholeUsage[s.db.Engine()], plan, name)
				}
				for _, read := range logDay.FindAllStringSubmatch(plan, -1) {
					if len(days) > 0 {
						require.Contains(t, days, read[1], "%s: %s", name, plan)
					}
				}
			}
			plans = nil
		}
		month := models.UsageQuery{From: u.bucket(100), To: u.bucket(u.buckets - 100), Meter: models.MeterRequests}
		day := models.UsageQuery{From: u.bucket(1000), To: u.bucket(1096), Meter: models.MeterRequests}
		for name, whose := range map[string]models.UsageQuery{"key": {KeyID: u.keys[3]}, "owner": {OwnerID: u.owners[3]}, "all": {}} {
			for span, q := range map[string]models.UsageQuery{"month": month, "day": day} {
				q.KeyID, q.OwnerID = whose.KeyID, whose.OwnerID
				var edges []time.Time
				for edge := q.From; edge.Before(q.To); edge = edge.Add(4 * models.Bucket) {
					edges = append(edges, edge)
				}
				_, err := usage.Series(t.Context(), q, append(edges, q.To))
				check("series by the hour of "+name+" for a "+span, err)
				_, err = usage.Series(t.Context(), q, []time.Time{q.From, q.To})
				check("series of "+name+" for a "+span, err)
				for _, by := range []models.UsageGroup{models.GroupOwner, models.GroupKey, models.GroupMeter, models.GroupEndpoint} {
					_, err = usage.Grouped(t.Context(), q, by, 100)
					check("by "+string(by)+" of "+name+" for a "+span, err)
				}
				if name == "all" && span == "month" {
					continue // which no caller asks for
				}
				_, err = usage.Latencies(t.Context(), q)
				check("latencies of "+name+" for a "+span, err)
			}
		}
		_, err := repositories.NewActivity(s.db).KeyUsage(t.Context(), u.keys[3:4])
		check("totals", err)
		_, err = usage.Segments(t.Context(), []models.SegmentID{u.batch.Segments[3].ID, u.batch.Segments[5].ID})
		check("segments", err)

		at := now.Add(-50 * time.Hour) // three days before the last partition
		today := at.Format("20060102")
		from, to := at.Truncate(24*time.Hour), at.Truncate(24*time.Hour).AddDate(0, 0, 1)
		for name, f := range map[string]models.UsageLogFilter{"every": {}, "key": {KeyID: u.keys[3]}, "owner": {OwnerID: u.owners[3]}, "code, without an index": {Code: "rate_limited"}} {
			f.From, f.To = from, to
			_, err := logs.List(t.Context(), f, models.Page{Limit: 50})
			check("logs of a day, "+name, err, today)
			f.To = time.Time{}
			row := logRow(at, u.keys[3], u.owners[3], "r")
			_, err = logs.List(t.Context(), f, models.Page{Limit: 50, After: ptr(row.Position())})
			check("logs until a cursor, "+name, err, today)
		}
		for name, f := range map[string]models.ViolationFilter{"every": {}, "key": {KeyID: u.keys[3]}, "owner": {OwnerID: u.owners[3]}, "rule, without an index": {Rule: "a"}} {
			f.From, f.To = from, to
			_, err := violations.List(t.Context(), f, models.Page{Limit: 50})
			check("violations of a day, "+name, err, today)
			f.To = time.Time{}
			_, err = violations.List(t.Context(), f, models.Page{Limit: 50, After: &models.Position{
				Value: at.Truncate(time.Minute).Format(time.RFC3339Nano), ID: string(models.NewID[models.ViolationID]()),
			}})
			check("violations until a cursor, "+name, err, today)
		}
		rows, err := logs.Find(t.Context(), idAt(at), time.Time{})
		require.Empty(t, rows)
		require.Len(t, plans, 2, "around its time, and everywhere")
		plans = plans[:1]
		check("request around its time", err, at.AddDate(0, 0, -1).Format("20060102"), today, at.AddDate(0, 0, 1).Format("20060102"))
		_, err = logs.Find(t.Context(), "of no time", time.Time{})
		check("request", err)
	})
}

// fillLogs stores rows and violations of the last six days.
func fillLogs(t *testing.T, s *suite, u *used, now time.Time) {
	t.Helper()
	first := now.AddDate(0, 0, -5)
	require.NoError(t, repositories.NewUsageUpkeep(s.db).MakePartitions(t.Context(), first.AddDate(0, 0, 1), 4))
	var batch models.UsageBatch
	for i := range 12_000 {
		at := first.Add(time.Duration(i) * 36 * time.Second)
		key := i * 7 % len(u.keys)
		row := logRow(at, u.keys[key], u.owners[key/2], idAt(at))
		v := models.RateLimitViolation{OwnerID: row.OwnerID, APIKeyID: row.APIKeyID, Rule: "a", Code: "rate_limited", Limit: 1, Count: 1, FirstAt: at, LastAt: at, RequestID: row.RequestID}
		v.Identify()
		batch.Logs, batch.Violations = append(batch.Logs, row), append(batch.Violations, v)
	}
	require.NoError(t, repositories.NewIngest(s.db).Add(t.Context(), &batch))
	_, err := repositories.Pool(s.db).ExecContext(t.Context(), "ANALYZE")
	require.NoError(t, err)
}
