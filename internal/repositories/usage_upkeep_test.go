package repositories_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
)

var noon = time.Date(2026, 7, 4, 12, 0, 0, 0, time.UTC)

// logsAt are raw rows, one each hour of the days from noon's on.
func logsAt(days ...int) []models.UsageLog {
	var rows []models.UsageLog
	for _, day := range days {
		for hour := range 24 {
			row := usageOf(someKeys(1)).Logs[0]
			row.At = noon.Truncate(24*time.Hour).AddDate(0, 0, day).Add(time.Duration(hour) * time.Hour)
			rows = append(rows, row)
		}
	}
	return rows
}

func violationsAt(days ...int) []models.RateLimitViolation {
	var rows []models.RateLimitViolation
	for _, log := range logsAt(days...) {
		row := usageOf(someKeys(1)).Violations[0]
		row.FirstAt, row.LastAt = log.At, log.At
		row.Identify()
		rows = append(rows, row)
	}
	return rows
}

// partitions gives the days that a table has partitions of, beside the default.
func partitions(t *testing.T, db *repositories.DB, table string) (days []string) {
	t.Helper()
	rows, err := repositories.Pool(db).QueryContext(t.Context(), `SELECT inhrelid::regclass::text FROM pg_inherits
		WHERE inhparent = $1::regclass ORDER BY 1`, table)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		if day := strings.TrimPrefix(name, table+"_"); day != "default" {
			days = append(days, day)
		}
	}
	require.NoError(t, rows.Err())
	return days
}

func TestPartitionsAreMadeAheadOnceAndTakeTheirRows(t *testing.T) {
	twoHandles(t, func(t *testing.T, handles [2]*repositories.DB) {
		var group errgroup.Group
		for w := range 6 {
			group.Go(func() error {
				return repositories.NewUsageUpkeep(handles[w%2]).MakePartitions(t.Context(), noon, 2)
			})
		}
		require.NoError(t, group.Wait())
		db := handles[0]
		ingest := repositories.NewIngest(db)
		require.NoError(t, ingest.AddLogs(t.Context(), logsAt(-2, -1, 0, 1, 2, 3)))
		require.NoError(t, ingest.AddViolations(t.Context(), violationsAt(-2, -1, 0, 1, 2, 3)))
		require.EqualValues(t, 24*6, number(t, db, "SELECT count(*) FROM usage_logs"))
		if db.Engine() == repositories.SQLite {
			return
		}
		for _, table := range []string{"usage_logs", "rate_limit_violations"} {
			require.Equal(t, []string{"20260703", "20260704", "20260705", "20260706"}, partitions(t, db, table))
			require.EqualValues(t, 24, number(t, db, "SELECT count(*) FROM "+table+"_20260704"))
			require.EqualValues(t, 48, number(t, db, "SELECT count(*) FROM "+table+"_default"), "of days without a partition")
			require.Equal(t, indexesOf(t, db, table+"_default"), indexesOf(t, db, table+"_20260704"))
		}
		plan := explain(t, db, "SELECT * FROM usage_logs WHERE at >= '2026-07-04T03:00:00Z' AND at < '2026-07-04T05:00:00Z'")
		require.Contains(t, plan, "usage_logs_20260704")
		require.NotRegexp(t, "usage_logs_(default|20260703|20260705)", plan)
		plan = explain(t, db, "SELECT * FROM rate_limit_violations WHERE minute >= '2026-07-05T00:00:00Z' AND minute < '2026-07-06T00:00:00Z'")
		require.NotRegexp(t, "violations_(default|20260704|20260706)", plan)
	})
}

func explain(t *testing.T, db *repositories.DB, query string) string {
	t.Helper()
	var lines string
	rows, err := repositories.Pool(db).QueryContext(t.Context(), "EXPLAIN "+query)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var line string
		require.NoError(t, rows.Scan(&line))
		lines += line + "\n"
	}
	require.NoError(t, rows.Err())
	return lines
}

func indexesOf(t *testing.T, db *repositories.DB, table string) int64 {
	t.Helper()
	return number(t, db, "SELECT count(*) FROM pg_index WHERE indrelid = '"+table+"'::regclass")
}

func TestRowsThatCameBeforeTheirPartitionMoveIntoIt(t *testing.T) {
	db := postgresSuite(t).db
	ingest, upkeep := repositories.NewIngest(db), repositories.NewUsageUpkeep(db)
	require.NoError(t, ingest.AddLogs(t.Context(), logsAt(-1, 0, 1, 9)))
	require.NoError(t, ingest.AddViolations(t.Context(), violationsAt(0)))
	stop := make(chan struct{})
	var added int
	var group errgroup.Group
	group.Go(func() error { // others go on adding rows of the same days
		for {
			select {
			case <-stop:
				return nil
			default:
				if err := ingest.AddLogs(t.Context(), logsAt(0)); err != nil {
					return err
				}
				added += 24
			}
		}
	})
	err := upkeep.MakePartitions(t.Context(), noon, 1)
	close(stop)
	require.NoError(t, group.Wait())
	require.NoError(t, err)
	require.EqualValues(t, 24, number(t, db, "SELECT count(*) FROM usage_logs_default"), "of the day that has none")
	require.EqualValues(t, 24+added, number(t, db, "SELECT count(*) FROM usage_logs_20260704"))
	require.EqualValues(t, 24*4+added, number(t, db, "SELECT count(*) FROM usage_logs"))
	require.EqualValues(t, 24, number(t, db, "SELECT count(*) FROM rate_limit_violations_20260704"))
	require.NoError(t, upkeep.MakePartitions(t.Context(), noon.AddDate(0, 0, 1), 1), "the next day")
	require.Equal(t, []string{"20260703", "20260704", "20260705", "20260706"}, partitions(t, db, "usage_logs"))
}

func TestDaysThatAreKeptNoLongerAreDropped(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		ingest, upkeep := repositories.NewIngest(s.db), repositories.NewUsageUpkeep(s.db)
		require.NoError(t, upkeep.MakePartitions(t.Context(), noon, 1))
		require.NoError(t, ingest.AddLogs(t.Context(), logsAt(-30, -1, 0, 1)))
		require.NoError(t, ingest.AddViolations(t.Context(), violationsAt(-30, -1, 0, 1)))
		before := noon.Truncate(24 * time.Hour)
		if s.db.Engine() == repositories.Postgres {
			// As if a process had died after detaching it.
			execSQL(t, s.db, "ALTER TABLE usage_logs DETACH PARTITION usage_logs_20260703")
		}
		for range 2 {
			require.NoError(t, upkeep.DropLogs(t.Context(), before))
			require.NoError(t, upkeep.DropViolations(t.Context(), before))
		}
		require.EqualValues(t, 48, number(t, s.db, "SELECT count(*) FROM usage_logs"))
		require.EqualValues(t, 48, number(t, s.db, "SELECT count(*) FROM rate_limit_violations"))
		if s.db.Engine() == repositories.SQLite {
			return
		}
		for _, table := range []string{"usage_logs", "rate_limit_violations"} {
			require.Equal(t, []string{"20260704", "20260705"}, partitions(t, s.db, table))
			require.Zero(t, number(t, s.db, "SELECT count(*) FROM pg_class WHERE relname = '"+table+"_20260703'"))
			require.Zero(t, number(t, s.db, "SELECT count(*) FROM "+table+"_default"))
		}
		require.NoError(t, upkeep.DropLogs(t.Context(), before.Add(12*time.Hour)))
		require.EqualValues(t, 48, number(t, s.db, "SELECT count(*) FROM usage_logs"), "a day goes as a whole")
	})
}

func TestMoreRowsThanOneStatementErasesAreErased(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		ingest := repositories.NewIngest(s.db)
		old := usageOf(someKeys(5001))
		require.NoError(t, ingest.AddLogs(t.Context(), old.Logs))
		require.NoError(t, ingest.AddLatencies(t.Context(), old.Latencies))
		require.NoError(t, repositories.NewUsageUpkeep(s.db).DropLogs(t.Context(), at(2)))
		require.NoError(t, repositories.NewUsageUpkeep(s.db).DropRollups(t.Context(), at(0)))
		require.Zero(t, number(t, s.db, "SELECT count(*) FROM usage_logs"))
		require.Zero(t, number(t, s.db, "SELECT count(*) FROM usage_latencies"))
	})
}

func TestMonthsAndQuotasOutliveRollups(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		ingest, upkeep := repositories.NewIngest(s.db), repositories.NewUsageUpkeep(s.db)
		b := usageOf(someKeys(1))
		require.NoError(t, ingest.Add(t.Context(), b))
		require.NoError(t, upkeep.DropRollups(t.Context(), at(0).AddDate(0, 2, 0)))
		require.EqualValues(t, 1, number(t, s.db, "SELECT count(*) FROM usage_rollups"), "no total has taken it up")
		require.NoError(t, ingest.Add(t.Context(), &models.UsageBatch{
			Latencies: b.Latencies, Sums: b.Sums, Installation: b.Installation,
		}))
		require.NoError(t, upkeep.Total(t.Context(), at(0).Add(models.Bucket)))
		rows := func() (list []int64) {
			for _, table := range []string{"usage_rollups", "usage_latencies", "usage_sums", "installation_usage",
				"usage_totals WHERE level = 'day'", "usage_totals WHERE level = 'month'", "quota_totals"} {
				list = append(list, number(t, s.db, "SELECT count(*) FROM "+table))
			}
			return list
		}
		require.NoError(t, upkeep.DropRollups(t.Context(), at(0).Truncate(24*time.Hour)))
		require.Equal(t, []int64{1, 1, 1, 1, 1, 1, 1}, rows())
		s.clock.advance(at(0).AddDate(3, 0, -5).Sub(s.clock.Now()))
		require.NoError(t, upkeep.DropRollups(t.Context(), at(0)))
		require.Equal(t, []int64{0, 0, 1, 0, 0, 1, 1}, rows(), "sums go by whole months")
		s.clock.advance(6 * 24 * time.Hour)
		require.NoError(t, upkeep.DropRollups(t.Context(), s.clock.Now()))
		require.Equal(t, []int64{0, 0, 0, 0, 0, 0, 0}, rows())
	})
}

func TestCompactionMergesEndpointsAndNothingElse(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		ingest, upkeep := repositories.NewIngest(s.db), repositories.NewUsageUpkeep(s.db)
		old := usageOf(someKeys(3))
		rollup, latency := old.Rollups, old.Latencies
		for i, r := range old.Rollups {
			for n, change := range []func(*models.UsageCell){
				func(c *models.UsageCell) { c.Endpoint = "/b" },
				func(c *models.UsageCell) { c.Endpoint, c.Method = "", "" },
				func(c *models.UsageCell) { c.Endpoint, c.Method = models.OtherEndpoint, "" },
				func(c *models.UsageCell) { c.Endpoint = models.OtherEndpoint },
				func(c *models.UsageCell) { c.Meter = "tokens" },
				func(c *models.UsageCell) { c.SegmentID = old.Rollups[(i+1)%3].SegmentID },
				func(c *models.UsageCell) { c.Bucket = c.Bucket.Add(models.Bucket) },
				func(c *models.UsageCell) { c.Bucket = c.Bucket.Add(2 * models.Bucket) },
			} {
				changed, slow := r, old.Latencies[i]
				change(&changed.UsageCell)
				change(&slow.UsageCell)
				slow.Latency += n % 2
				rollup, latency = append(rollup, changed), append(latency, slow)
			}
		}
		require.NoError(t, ingest.AddRollups(t.Context(), rollup))
		require.NoError(t, ingest.AddLatencies(t.Context(), latency))
		sums := func() []string {
			return append(lines(t, s.db, `SELECT bucket, segment_id, api_key_id, meter, owner_id, `+everyColumn+` FROM usage_rollups
				GROUP BY bucket, segment_id, api_key_id, meter, owner_id ORDER BY 1, 2, 3, 4, 5`),
				lines(t, s.db, `SELECT bucket, segment_id, api_key_id, meter, owner_id, latency, sum(count) FROM usage_latencies
				GROUP BY bucket, segment_id, api_key_id, meter, owner_id, latency ORDER BY 1, 2, 3, 4, 5, 6`)...)
		}
		before, end := sums(), models.BucketOf(at(0)).Add(2*models.Bucket)

		merged, err := upkeep.Compact(t.Context(), models.BucketOf(at(0)))
		require.NoError(t, err)
		require.Zero(t, merged, "nothing is older")
		merged, err = upkeep.Compact(t.Context(), end)
		require.NoError(t, err)
		require.Positive(t, merged)
		require.Equal(t, before, sums())
		young := number(t, s.db, "SELECT count(*) FROM usage_rollups WHERE endpoint <> 'other' OR method <> ''")
		require.EqualValues(t, 3, young, "those of the bucket that is not old enough")
		require.EqualValues(t, 3*5, number(t, s.db, "SELECT count(*) FROM usage_rollups"))

		merged, err = upkeep.Compact(t.Context(), end)
		require.NoError(t, err)
		require.Zero(t, merged)
		require.Equal(t, before, sums())
		require.NoError(t, ingest.AddRollups(t.Context(), old.Rollups), "records that come late")
		late := sums()
		merged, err = upkeep.Compact(t.Context(), end)
		require.NoError(t, err)
		require.EqualValues(t, 3, merged)
		require.Equal(t, late, sums())
	})
}

// lines gives the rows of a query as text.
func lines(t *testing.T, db *repositories.DB, query string) (list []string) {
	t.Helper()
	rows, err := repositories.Pool(db).QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		require.NoError(t, rows.Scan(into...))
		list = append(list, fmt.Sprint(values...))
	}
	require.NoError(t, rows.Err())
	return list
}

func TestCompactionLosesNothingThatIsAddedMeanwhile(t *testing.T) {
	const rounds = 15
	twoHandles(t, func(t *testing.T, handles [2]*repositories.DB) {
		b := usageOf(someKeys(30))
		ingest, upkeep := repositories.NewIngest(handles[0]), repositories.NewUsageUpkeep(handles[1])
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var adding, compacting errgroup.Group
		adding.Go(func() error {
			for range rounds {
				if err := ingest.AddRollups(t.Context(), b.Rollups); err != nil {
					return err
				}
			}
			return nil
		})
		compacting.Go(func() error {
			for ctx.Err() == nil {
				if _, err := upkeep.Compact(t.Context(), at(0)); err != nil {
					return err
				}
			}
			return nil
		})
		require.NoError(t, adding.Wait())
		stop()
		require.NoError(t, compacting.Wait())
		got, _ := countsOf(t, handles[0], "usage_rollups")
		require.Equal(t, times(everyCount, rounds*30), got)
	})
}
