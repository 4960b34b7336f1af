package repositories_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
)

func TestUsageIsTheSameHoweverFarTotalsAre(t *testing.T) {
	const rounds = 12
	eachEngine(t, func(t *testing.T, s *suite) {
		r := rand.New(rand.NewPCG(3, 5))
		all, u := randomUsage(1200, 3), randomUsage(0, 0)
		u.keys, u.owners = all.keys, all.owners
		ingest, usage, activity := repositories.NewIngest(s.db), repositories.NewUsage(s.db), repositories.NewActivity(s.db)
		check := func(t *rapid.T) {
			q := u.drawQuery(t)
			by := rapid.SampledFrom([]models.UsageGroup{models.GroupOwner, models.GroupKey}).Draw(t, "by")
			got, err := usage.Grouped(t.Context(), q, by, 100)
			require.NoError(t, err)
			require.Equal(t, u.grouped(&q, by), append([]models.UsageOf{}, got...))

			key := rapid.SampledFrom(u.keys).Draw(t, "whom")
			ever := models.UsageQuery{From: u.bucket(0), To: u.bucket(u.buckets), KeyID: key, Meter: models.MeterRequests}
			want := map[models.KeyID]models.KeyUsage{}
			for _, sum := range u.grouped(&ever, models.GroupKey) {
				want[key] = models.KeyUsage{Requests: sum.Requests, Allowed: sum.Allowed, Units: sum.Units}
			}
			used, err := activity.KeyUsage(t.Context(), []models.KeyID{key})
			require.NoError(t, err)
			require.Equal(t, want, used)
		}
		for round := range rounds {
			n := len(all.cells) / rounds
			some := all.cells[round*n : (round+1)*n]
			u.cells = append(u.cells, some...)
			require.NoError(t, ingest.Add(t.Context(), &models.UsageBatch{Rollups: some}))
			// Of a bucket with two keys or more, it may take up the first alone.
			require.NoError(t, repositories.TotalSome(t.Context(), s.db, u.bucket(u.buckets), 1, 1+r.IntN(300)))
			rapid.Check(t, check)
		}
		require.NoError(t, repositories.NewUsageUpkeep(s.db).Total(t.Context(), u.bucket(u.buckets)))
		require.NoError(t, repositories.NewUsageUpkeep(s.db).Total(t.Context(), u.bucket(u.buckets)))
		rapid.Check(t, check)
		for _, level := range models.TotalLevels {
			require.Equal(t, number(t, s.db, "SELECT sum(units) FROM usage_rollups"),
				number(t, s.db, "SELECT sum(units) FROM usage_totals WHERE level = '"+string(level)+"'"), level)
		}
	})
}

func TestABucketIsTakenUpOnceItIsOver(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		upkeep, batch := repositories.NewUsageUpkeep(s.db), usageOf(someKeys(3))
		totals := func() int64 { return number(t, s.db, "SELECT count(*) FROM usage_totals") }
		require.NoError(t, upkeep.Total(t.Context(), at(0)), "there is nothing")
		require.NoError(t, repositories.NewIngest(s.db).Add(t.Context(), batch))
		end := models.BucketOf(at(0)).Add(models.Bucket)
		require.NoError(t, upkeep.Total(t.Context(), end.Add(-time.Microsecond)))
		require.EqualValues(t, 0, totals())
		require.NoError(t, upkeep.Total(t.Context(), end))
		require.EqualValues(t, 9, totals())
		require.NoError(t, upkeep.Total(t.Context(), end.Add(time.Hour)))
		require.NoError(t, repositories.NewIngest(s.db).Add(t.Context(), batch), "late")
		require.EqualValues(t, 9, totals())
		sum, _ := countsOf(t, s.db, "usage_totals")
		require.Equal(t, times(everyCount, 2*9), sum)
	})
}

func TestWhatIsBroughtInWhileItIsTakenUpIsCountedOnce(t *testing.T) {
	const rounds = 60
	twoHandles(t, func(t *testing.T, handles [2]*repositories.DB) {
		keys, end := someKeys(8), models.BucketOf(at(0)).Add(rounds*models.Bucket)
		var group errgroup.Group
		for w, db := range handles {
			group.Go(func() error {
				for round := range rounds {
					batch := usageOf(keys).Rollups
					for i := range batch { // one writes of the buckets that the other is done with
						batch[i].Bucket = batch[i].Bucket.Add(time.Duration((round+w*rounds/2)%rounds) * models.Bucket)
					}
					if err := repositories.NewIngest(db).AddRollups(t.Context(), batch); err != nil {
						return err
					}
				}
				return nil
			})
			group.Go(func() error { return repositories.TotalSome(t.Context(), db, end, 3, 3*rounds) })
		}
		require.NoError(t, group.Wait())
		require.NoError(t, repositories.NewUsageUpkeep(handles[0]).Total(t.Context(), end))
		for table, levels := range map[string]int{"usage_rollups": 1, "usage_totals": len(models.TotalLevels)} {
			got, _ := countsOf(t, handles[0], table)
			require.Equal(t, times(everyCount, 2*rounds*len(keys)*levels), got, table)
		}
	})
}
