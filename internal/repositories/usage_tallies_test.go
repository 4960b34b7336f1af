package repositories_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
)

// tallied is when tallies are made in these tests, and of what is kept: since
// the begin of its month.
var (
	tallied = time.Date(2026, 2, 3, 9, 45, 0, 0, time.UTC)
	tallyOf = repositories.TallyKeep{Rollups: 82 * time.Hour, Endpoints: 82 * time.Hour, Hours: 82 * time.Hour}
)

const outdated = `SELECT count(*) FROM usage_tallies t WHERE changes <>
	(SELECT sum(changes) FROM usage_sums s WHERE s.meter = t.meter AND s.bucket >= t.since AND s.bucket < t.until)`

func TestGroupsOfAllKeysAreTheSameFromTallies(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		u, late := randomUsage(4000, 4), randomUsage(40, 2)
		usage, upkeep := u.fill(t, s), repositories.NewUsageUpkeep(s.db)
		check := func(t *testing.T) {
			t.Helper()
			rapid.Check(t, func(t *rapid.T) {
				q := u.drawQuery(t)
				q.KeyID, q.OwnerID, q.Endpoint = "", "", nil
				if rapid.Bool().Draw(t, "lately") { // where there are tallies of every kind
					until := int(tallied.Sub(u.from)/models.Bucket) + 4
					n := rapid.IntRange(until-10*24, until).Draw(t, "lately from")
					q.From, q.To = u.bucket(n), u.bucket(rapid.IntRange(n, until).Draw(t, "lately to"))
				}
				by := rapid.SampledFrom([]models.UsageGroup{models.GroupOwner, models.GroupKey, models.GroupEndpoint}).Draw(t, "by")
				q.Meter = rapid.SampledFrom([]string{models.MeterRequests, "tokens", "none"}).Draw(t, "meter")
				limit := rapid.IntRange(1, 12).Draw(t, "limit")
				want := u.grouped(&q, by)
				got, err := usage.Grouped(t.Context(), q, by, limit)
				require.NoError(t, err)
				require.Equal(t, want[:min(limit, len(want))], append([]models.UsageOf{}, got...))
			})
		}
		require.NoError(t, upkeep.Tally(t.Context(), tallied, tallyOf))
		made := number(t, s.db, "SELECT count(*) FROM usage_tallies")
		require.EqualValues(t, 0, number(t, s.db, outdated))
		require.Greater(t, made, int64(500))
		check(t)

		late.fill(t, s)
		u.cells = append(u.cells, late.cells...)
		require.Positive(t, number(t, s.db, outdated))
		check(t)

		require.NoError(t, upkeep.Tally(t.Context(), tallied, tallyOf))
		require.EqualValues(t, 0, number(t, s.db, outdated))
		require.Equal(t, made, number(t, s.db, "SELECT count(*) FROM usage_tallies"))
		check(t)
	})
}

func TestTalliesAreReadInPlaceOfTotals(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		u := randomUsage(2000, 4)
		usage, upkeep := u.fill(t, s), repositories.NewUsageUpkeep(s.db)
		require.NoError(t, upkeep.Tally(t.Context(), tallied, tallyOf))
		q := models.UsageQuery{From: tallied.Add(-30*time.Hour - 30*time.Minute), To: tallied, Meter: models.MeterRequests}
		for _, table := range []string{"usage_totals", "usage_rollups"} {
			_, err := repositories.Pool(s.db).ExecContext(t.Context(), "DELETE FROM "+table)
			require.NoError(t, err)
		}
		for _, by := range []models.UsageGroup{models.GroupOwner, models.GroupKey, models.GroupEndpoint} {
			want := u.grouped(&q, by)
			got, err := usage.Grouped(t.Context(), q, by, 100)
			require.NoError(t, err)
			require.NotEmpty(t, want)
			require.Equal(t, want, got, by)
		}
	})
}

func TestTalliesAreDroppedAndNotMadeOfWhatIs(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		u := randomUsage(2000, 4)
		usage, upkeep := u.fill(t, s), repositories.NewUsageUpkeep(s.db)
		require.NoError(t, upkeep.Tally(t.Context(), tallied, tallyOf))
		of := func(where string) int64 { return number(t, s.db, "SELECT count(*) FROM usage_tallies WHERE "+where) }
		require.Positive(t, of("grouped_by = 'key'"))

		// Two months on, days and buckets until then are gone, and of the tallies
		// those of whole months remain.
		later := time.Date(2026, 4, 9, 0, 0, 0, 0, time.UTC)
		require.NoError(t, upkeep.DropRollups(t.Context(), later.Add(-tallyOf.Rollups)))
		require.NoError(t, upkeep.Tally(t.Context(), later, tallyOf))
		const used = " AND length(data) > 18" // which is that of nobody
		require.EqualValues(t, 3, of("grouped_by = 'key' AND meter = 'requests'"+used))
		require.EqualValues(t, 0, of("grouped_by = 'endpoint'"+used))
		q := models.UsageQuery{From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Meter: models.MeterRequests}
		got, err := usage.Grouped(t.Context(), q, models.GroupKey, 100)
		require.NoError(t, err)
		require.Equal(t, u.grouped(&q, models.GroupKey), got)
		require.NoError(t, upkeep.Tally(context.Background(), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), tallyOf))
	})
}
