package usage_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/usage"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// keysOfAll and ownersOfAll find every key and owner, whether there is one or not.
type keysOfAll struct{}

func (keysOfAll) Find(_ context.Context, id models.KeyID) (*models.APIKey, error) {
	return &models.APIKey{ID: id}, nil
}

func (keysOfAll) FindMany(_ context.Context, ids []models.KeyID) (map[models.KeyID]models.APIKey, error) {
	found := map[models.KeyID]models.APIKey{}
	for _, id := range ids {
		found[id] = models.APIKey{ID: id, Name: "key " + string(id)}
	}
	return found, nil
}

type ownersOfAll struct{}

func (ownersOfAll) Find(_ context.Context, ref string) (*models.Owner, error) {
	return &models.Owner{ID: models.OwnerID(ref)}, nil
}

func (ownersOfAll) FindMany(_ context.Context, ids []models.OwnerID) (map[models.OwnerID]models.Owner, error) {
	found := map[models.OwnerID]models.Owner{}
	for _, id := range ids {
		found[id] = models.Owner{ID: id, Name: "owner " + string(id)}
	}
	return found, nil
}

func (w *world) service() *usage.Service {
	return usage.New(usage.Deps{
		Usage: repositories.NewUsage(w.db), Logs: repositories.NewUsageLogs(w.db), Violations: repositories.NewViolations(w.db),
		Progress: w.streams, Keys: keysOfAll{}, Owners: ownersOfAll{}, Plans: repositories.NewPlans(w.db), Now: w.clock,
	})
}

// randomChecks brings in checks of three keys from the days before an instant.
func (w *world) randomChecks(n int, until time.Time, days int) (keys []key, records []models.Record) {
	w.t.Helper()
	r := rand.New(rand.NewPCG(3, 5))
	keys = []key{newKey(), newKey(), newKey()}
	keys[1].segment.OwnerID = keys[0].segment.OwnerID
	for i := range n {
		at := until.Add(-time.Duration(r.Int64N(int64(days) * int64(24*time.Hour)))).Truncate(time.Microsecond)
		records = append(records, keys[r.IntN(3)].check(fmt.Sprint("r", i), at, func(c *models.Record) {
			c.Units, c.Cost = r.Int64N(5), 5
			c.Endpoint = []string{"", "/a", "/b"}[r.IntN(3)]
		}))
	}
	w.journal.put(w.journal.stream(true), records...)
	w.drain()
	return keys, records
}

// unitsIn adds up the records of a time, as a caller would by hand.
func unitsIn(records []models.Record, from, to time.Time, match func(*models.Record) bool) (units int64) {
	for i := range records {
		if at := records[i].At; !at.Before(from) && at.Before(to) && match(&records[i]) {
			units += records[i].Units
		}
	}
	return units
}

func TestSeriesAddUpWhateverTheirPeriodsAndZone(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		for _, test := range []struct {
			zone  string
			until time.Time
		}{
			{"UTC", noon},
			{"Europe/Berlin", time.Date(2025, 10, 27, 10, 0, 0, 0, time.UTC)},   // the clock went back the day before
			{"America/Sao_Paulo", time.Date(2018, 11, 6, 0, 0, 0, 0, time.UTC)}, // a day that began at one
			{"Asia/Kathmandu", time.Date(2024, 3, 3, 7, 0, 0, 0, time.UTC)},
		} {
			w.now = test.until
			keys, records := w.randomChecks(400, test.until, 40)
			s := w.service()
			whose := map[string]struct {
				usage.Whose
				match func(*models.Record) bool
			}{
				"key": {usage.Whose{Key: keys[0].id}, func(r *models.Record) bool { return r.KeyID == keys[0].id }},
				"owner": {usage.Whose{Owner: string(keys[0].segment.OwnerID)}, func(r *models.Record) bool {
					return r.Segment.OwnerID == keys[0].segment.OwnerID
				}},
				"key of an owner": {usage.Whose{Key: keys[2].id, Owner: string(keys[2].segment.OwnerID)}, func(r *models.Record) bool { return r.KeyID == keys[2].id }},
				"all":             {usage.Whose{}, func(*models.Record) bool { return true }},
			}
			from, to := test.until.AddDate(0, 0, -30).Add(5*time.Hour+15*time.Minute), test.until.Add(-time.Hour)
			for name, who := range whose {
				want := unitsIn(records, from, to, who.match)
				require.NotZero(t, want)
				for _, g := range []models.Granularity{models.GranularityHour, models.GranularityDay, models.GranularityWeek, models.GranularityMonth} {
					series, err := s.Series(t.Context(), usage.SeriesQuery{Whose: who.Whose, From: from, To: to, Granularity: g, Zone: test.zone})
					require.NoError(t, err)
					require.Equal(t, want, series.Total.Units, "%s %s by %s", test.zone, name, g)
					require.Equal(t, from, series.Periods[0].From)
					require.Equal(t, to, series.Periods[len(series.Periods)-1].To)
					for i, p := range series.Periods {
						require.Equal(t, unitsIn(records, p.From, p.To, who.match), p.Units, "%s %s from %s", test.zone, name, p.From)
						require.False(t, i > 0 && !p.From.Equal(series.Periods[i-1].To), "no gap")
					}
				}
				groups, err := s.Grouped(t.Context(), usage.GroupQuery{Whose: who.Whose, From: from, To: to, By: models.GroupKey})
				require.NoError(t, err)
				var sum int64
				for _, g := range groups.Groups {
					sum += g.Units
					require.Equal(t, "key "+g.Name, g.Label)
				}
				require.Equal(t, want, sum, name)
			}
			endpoint := "/a"
			series, err := s.Series(t.Context(), usage.SeriesQuery{Whose: usage.Whose{Key: keys[0].id}, From: from, To: to, Endpoint: &endpoint})
			require.NoError(t, err)
			require.Equal(t, unitsIn(records, from, to, func(r *models.Record) bool { return r.KeyID == keys[0].id && r.Endpoint == "/a" }), series.Total.Units)
		}
	})
}

func TestNothingUsedIsZeros(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		s, k := w.service(), newKey()
		for g, want := range map[models.Granularity]int{
			"": 31, models.GranularityHour: 24, models.GranularityDay: 31, models.GranularityWeek: 12, models.GranularityMonth: 13,
		} {
			// noon is on a Sunday, in Berlin the day the clock goes ahead.
			series, err := s.Series(t.Context(), usage.SeriesQuery{Whose: usage.Whose{Key: k.id}, Granularity: g, Zone: "Europe/Berlin"})
			require.NoError(t, err)
			if g == models.GranularityWeek {
				want = 13 // cut at both ends
			}
			require.Len(t, series.Periods, want, g)
			require.Equal(t, noon, series.To)
			require.Zero(t, series.Total)
			require.Nil(t, series.Latency)
			require.Nil(t, series.CompleteUntil)
			require.Nil(t, series.KeptFrom)
		}
		groups, err := s.Grouped(t.Context(), usage.GroupQuery{By: models.GroupOwner})
		require.NoError(t, err)
		require.Empty(t, groups.Groups)
	})
}

func TestLatenciesAreToldOfReports(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		k, stream := newKey(), w.journal.stream(true)
		for i := range 100 {
			w.journal.put(stream, k.check(fmt.Sprint("r", i), noon.Add(-time.Minute), func(r *models.Record) {
				r.Kind, r.Units, r.Status, r.HasTiming, r.LatencyMS = models.RecordReport, 0, 200, true, int64(1+i)
			}))
		}
		w.drain()
		series, err := w.service().Series(t.Context(), usage.SeriesQuery{Whose: usage.Whose{Key: k.id}})
		require.NoError(t, err)
		require.EqualValues(t, 100, series.Latency.Reports)
		for got, want := range map[float64]float64{series.Latency.P50: 50, series.Latency.P90: 90, series.Latency.P99: 99} {
			require.GreaterOrEqual(t, got, want)
			require.Less(t, got, want*1.2)
		}
		require.Nil(t, series.CompleteUntil, "as no stream is open")
		require.NoError(t, w.streams.Watermark(t.Context(), models.StreamID(models.NewID[models.KeyID]()), "other", noon.Add(-time.Second)))
		series, err = w.service().Series(t.Context(), usage.SeriesQuery{})
		require.NoError(t, err)
		require.Equal(t, noon.Add(-time.Second), *series.CompleteUntil)
	})
}

func TestChecksAreExplained(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		k, s := newKey(), w.service()
		limit := func(l models.RecordedLimit) func(*models.Record) {
			return func(r *models.Record) { r.Limits = append(r.Limits, l) }
		}
		never := func(r *models.Record) { r.Code, r.Limits[0].RetryAfterMS = "cost_exceeds_limit", -1 }
		settled := func(r *models.Record) { r.Kind, r.Units, r.Limits = models.RecordAdjustment, 4, nil }
		once := func(r *models.Record) { r.Once = models.EventIDOf("check", "a", "b") }
		replayed := func(r *models.Record) { r.Replayed = true }
		w.journal.put(w.journal.stream(true),
			k.check("ok", noon, limit(models.RecordedLimit{Rule: "a", Limit: 5, Remaining: 4, Tightest: true}), once),
			k.check("ok", noon.Add(time.Second), settled), k.check("ok", noon.Add(2*time.Second), once, replayed),
			k.check("no", noon, denied("a"), func(r *models.Record) { r.Limits[0].RetryAfterMS = 1500 }, limit(models.RecordedLimit{Rule: "b", Denied: true, RetryAfterMS: 900})),
			k.check("never", noon, denied("a"), never, limit(models.RecordedLimit{Rule: "b", Denied: true, RetryAfterMS: 900})),
			k.check("report", noon, func(r *models.Record) { r.Kind = models.RecordReport }),
		)
		w.drain()
		e, err := s.Explain(t.Context(), "ok")
		require.NoError(t, err)
		require.EqualValues(t, 5, e.Units)
		require.Equal(t, "a", e.Decisive.Rule)
		require.Nil(t, e.RetryAt)
		require.Len(t, e.Adjustments, 1)
		require.Equal(t, 1, e.Repeats)
		require.Equal(t, 1, e.PlanVersion)
		require.Equal(t, "key "+string(k.id), e.Key)
		require.Equal(t, "owner "+string(k.segment.OwnerID), e.Owner)

		e, err = s.Explain(t.Context(), "no")
		require.NoError(t, err)
		require.Equal(t, noon.Add(1500*time.Millisecond), *e.RetryAt, "the longest of those that refused")
		e, err = s.Explain(t.Context(), "never")
		require.NoError(t, err)
		require.Nil(t, e.RetryAt)
		for _, id := range []string{"report", "none"} {
			_, err = s.Explain(t.Context(), id)
			require.ErrorIs(t, err, apierror.CodeNotRecorded)
		}
	})
}

func TestAnswersTellFromWhenUsageIsKept(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		s := usage.New(usage.Deps{
			Usage: repositories.NewUsage(w.db), Progress: w.streams, Keys: keysOfAll{}, Owners: ownersOfAll{}, Now: w.clock, Keep: 400 * 24 * time.Hour,
		})
		series, err := s.Series(t.Context(), usage.SeriesQuery{Granularity: models.GranularityMonth, From: noon.AddDate(-2, 0, 0)})
		require.NoError(t, err)
		require.Equal(t, noon.AddDate(0, 0, -400), *series.KeptFrom)
		series, err = s.Series(t.Context(), usage.SeriesQuery{})
		require.NoError(t, err)
		require.Nil(t, series.KeptFrom)
	})
}

// slow is a database that does not add up in time.
type slow struct{ usage.Reader }

func (slow) Grouped(context.Context, models.UsageQuery, models.UsageGroup, int) ([]models.UsageOf, error) {
	return nil, apierror.New(apierror.CodeStoreUnavailable, "overloaded").Wrap(context.DeadlineExceeded)
}

func TestAListThatTakesTooLongSaysWhatWouldNot(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		s := usage.New(usage.Deps{Usage: slow{repositories.NewUsage(w.db)}, Progress: w.streams, Now: w.clock})
		_, err := s.Grouped(t.Context(), usage.GroupQuery{By: models.GroupKey})
		require.ErrorIs(t, err, apierror.CodeTimeout)
		require.ErrorContains(t, err, "whole months")
	})
}
