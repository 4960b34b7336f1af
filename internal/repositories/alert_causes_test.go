package repositories_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
)

func names(sums []models.AlertSum) []string {
	list := make([]string, len(sums))
	for i := range sums {
		list[i] = sums[i].Name
	}
	return list
}

func TestCausesOfQuotas(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		causes, ingest := repositories.NewAlertCauses(s.db), repositories.NewIngest(s.db)
		now := s.clock.Now()
		month, day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC)
		key := models.NewID[models.KeyID]()
		use := func(subject, rule string, period models.PeriodKind, start time.Time, used, limit int64) models.QuotaTotal {
			return models.QuotaTotal{QuotaKey: models.QuotaKey{Subject: subject, Rule: rule, Period: period, Start: start}, Units: used, Limit: limit}
		}
		require.NoError(t, ingest.AddQuotas(t.Context(), []models.QuotaTotal{
			use("owner:a", "monthly", models.PeriodMonth, month, 8000, 10_000),
			use("owner:b", "monthly", models.PeriodMonth, month, 7999, 10_000),
			use("owner:c", "monthly", models.PeriodMonth, month.AddDate(0, -2, 0), 9000, 10_000), // long over
			use("owner:d", "daily", models.PeriodDay, day, 1<<53-1, 1<<53-1),
			use("owner:e", "daily", models.PeriodDay, day, 1<<53-2, 1<<53-1),
			use("owner:f", "unknown", models.PeriodDay, day, 5, 0),
			use("key:"+string(key), "daily", models.PeriodDay, day, 3, 2),
		}))
		found := func(hundredths int64, rule string, key *models.KeyID) (subjects []string) {
			uses, err := causes.Quotas(t.Context(), hundredths, rule, key, now)
			require.NoError(t, err)
			for _, u := range uses {
				subjects = append(subjects, u.Subject)
			}
			return subjects
		}
		require.Equal(t, []string{"key:" + string(key), "owner:d", "owner:e", "owner:a"}, found(80_00, "", nil))
		require.Equal(t, []string{"key:" + string(key), "owner:d"}, found(100_00, "", nil))
		require.Equal(t, []string{"owner:a"}, found(80_00, "monthly", nil))
		require.Equal(t, []string{"key:" + string(key)}, found(150_00, "", &key))
		require.NoError(t, repositories.NewQuotas(s.db).Forgive(t.Context(), "owner:a", now))
		require.Empty(t, found(80_00, "monthly", nil))

		past, err := causes.QuotasDuring(t.Context(), 80_00, "monthly", nil, month.AddDate(0, -2, 0), month, 10)
		require.NoError(t, err)
		require.Len(t, past, 1)
		require.Equal(t, models.QuotaUse{QuotaKey: models.QuotaKey{
			Subject: "owner:c", Rule: "monthly", Period: models.PeriodMonth, Start: past[0].Start,
		}, Used: 9000, Limit: 10_000}, past[0])
	})
}

func TestCausesInWindows(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		causes, ingest := repositories.NewAlertCauses(s.db), repositories.NewIngest(s.db)
		minute := time.Date(2026, 3, 28, 10, 0, 0, 0, time.UTC)
		a, b := s.key(t), s.key(t)
		violation := func(key *models.APIKey, after time.Duration, rule string, n int64) models.RateLimitViolation {
			v := models.RateLimitViolation{
				OwnerID: key.OwnerID, APIKeyID: key.ID, Rule: rule, Code: "rate_limited", Limit: 1, Count: n,
				FirstAt: minute.Add(after), LastAt: minute.Add(after),
			}
			v.Identify()
			return v
		}
		require.NoError(t, ingest.AddViolations(t.Context(), []models.RateLimitViolation{
			violation(a, 0, "x", 3), violation(a, 0, "y", 2), violation(a, 5*time.Minute, "x", 4), violation(b, 4*time.Minute, "x", 6),
		}))
		refusals := func(per models.AlertPer, f models.AlertFilter, least int64, from, to time.Duration) []models.AlertSum {
			sums, err := causes.Violations(t.Context(), per, f, least, minute.Add(from), minute.Add(to))
			require.NoError(t, err)
			return sums
		}
		none := models.AlertFilter{}
		sums := refusals(models.AlertPerKey, none, 9, 0, 5*time.Minute)
		require.Equal(t, []models.AlertSum{{Name: string(a.ID), OwnerID: a.OwnerID, Count: 9}}, sums)
		require.Empty(t, refusals(models.AlertPerKey, none, 9, time.Minute, 5*time.Minute))
		require.Equal(t, []string{string(b.OwnerID)}, names(refusals(models.AlertPerOwner, none, 6, 0, 4*time.Minute)))
		require.Equal(t, []string{string(a.ID)}, names(refusals(models.AlertPerKey, models.AlertFilter{OwnerID: &a.OwnerID}, 1, 0, 9*time.Minute)))
		require.Equal(t, []string{string(b.ID)}, names(refusals(models.AlertPerKey, models.AlertFilter{KeyID: &b.ID}, 1, 0, 9*time.Minute)))
		free, other := s.plan(t, "free").ID, models.NewID[models.PlanID]()
		require.Len(t, refusals(models.AlertPerKey, models.AlertFilter{PlanID: &free}, 1, 0, 9*time.Minute), 2)
		require.Empty(t, refusals(models.AlertPerKey, models.AlertFilter{PlanID: &other}, 1, 0, 9*time.Minute))
		rows, err := causes.ViolationsByMinute(t.Context(), models.AlertPerKey, none, minute, minute.Add(time.Hour), 10)
		require.NoError(t, err)
		require.Equal(t, []string{string(a.ID), string(b.ID), string(a.ID)}, names(rows))
		require.Equal(t, int64(5), rows[0].Count)
		require.True(t, rows[2].At.Equal(minute.Add(5*time.Minute)))

		rollup := func(key *models.APIKey, buckets int, reports, client, server int64) models.UsageRollup {
			return models.UsageRollup{
				UsageCell: models.UsageCell{
					Bucket: minute.Add(time.Duration(buckets) * models.Bucket), SegmentID: models.NewID[models.SegmentID](), APIKeyID: key.ID,
					Meter: models.MeterRequests, Endpoint: "/x",
				},
				OwnerID:     key.OwnerID,
				UsageCounts: models.UsageCounts{Reports: reports, Status2xx: reports - client - server, Status4xx: client, Status5xx: server, Units: 10},
			}
		}
		require.NoError(t, ingest.AddRollups(t.Context(), []models.UsageRollup{
			rollup(a, 0, 100, 0, 5), rollup(a, 1, 100, 10, 0), rollup(b, 0, 1000, 0, 0), rollup(b, 1, 10, 0, 10),
		}))
		failing := func(p models.AlertParams, f models.AlertFilter, from, to int) []models.AlertSum {
			p.Per = models.AlertPerKey
			sums, err := causes.Errors(t.Context(), &p, f, minute.Add(time.Duration(from)*models.Bucket), minute.Add(time.Duration(to)*models.Bucket))
			require.NoError(t, err)
			return sums
		}
		require.Equal(t, []models.AlertSum{{Name: string(a.ID), OwnerID: a.OwnerID, Count: 200, Errors: 5}},
			failing(models.AlertParams{Percent: 2.5, MinReports: 1}, none, 0, 1))
		require.Empty(t, failing(models.AlertParams{Percent: 2.51, MinReports: 1}, none, 0, 1))
		require.Equal(t, []string{string(a.ID)}, names(failing(models.AlertParams{Percent: 7.5, MinReports: 200, ClientErrors: true}, none, 0, 1)))
		require.Equal(t, []string{string(b.ID)}, names(failing(models.AlertParams{Percent: 50, MinReports: 10}, none, 1, 1)))
		require.Empty(t, failing(models.AlertParams{Percent: 50, MinReports: 11}, models.AlertFilter{OwnerID: &b.OwnerID}, 1, 1))
		errors, err := causes.ErrorsByBucket(t.Context(), &models.AlertParams{Per: models.AlertPerKey}, models.AlertFilter{KeyID: &a.ID},
			minute, minute.Add(time.Hour), 10)
		require.NoError(t, err)
		require.Len(t, errors, 2)
		units, err := causes.UnitsByBucket(t.Context(), models.AlertPerOwner, []string{string(b.OwnerID)}, minute, minute, 10)
		require.NoError(t, err)
		require.Len(t, units, 1)
		require.Equal(t, int64(10), units[0].Count)
	})
}

func TestCausesUnlikePastWeeks(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		causes, ingest := repositories.NewAlertCauses(s.db), repositories.NewIngest(s.db)
		hour := time.Date(2026, 3, 28, 10, 0, 0, 0, time.UTC)
		a, b, fresh := s.key(t), s.key(t), s.key(t)
		rollup := func(key *models.APIKey, weeks, bucket int, units int64) models.UsageRollup {
			at := hour.AddDate(0, 0, -7*weeks).Add(time.Duration(bucket) * models.Bucket)
			cell := models.UsageCell{Bucket: at, SegmentID: models.SegmentID(key.ID), APIKeyID: key.ID, Meter: models.MeterRequests}
			return models.UsageRollup{UsageCell: cell, OwnerID: key.OwnerID, UsageCounts: models.UsageCounts{Units: units}}
		}
		require.NoError(t, ingest.AddRollups(t.Context(), []models.UsageRollup{
			rollup(a, 0, 0, 100), rollup(a, 0, 3, 200), rollup(a, 1, 1, 50), rollup(a, 2, 0, 50), rollup(a, 2, 2, 100), // the mean is 100 of two weeks
			rollup(b, 0, 3, 30), rollup(b, 1, 0, 100), rollup(b, 3, 3, 140), // 120
			rollup(fresh, 0, 0, 1000),
		}))
		// All but the last quarter of the hour is taken up into totals.
		upkeep := repositories.NewUsageUpkeep(s.db)
		require.NoError(t, upkeep.Total(t.Context(), hour.Add(3*models.Bucket)))
		past := []time.Time{hour.AddDate(0, 0, -7), hour.AddDate(0, 0, -14), hour.AddDate(0, 0, -21)}
		none := models.AlertFilter{}
		for _, per := range []models.AlertPer{models.AlertPerKey, models.AlertPerOwner} {
			id := func(k *models.APIKey) string {
				if per == models.AlertPerOwner {
					return string(k.OwnerID)
				}
				return string(k.ID)
			}
			surges, err := causes.Surges(t.Context(), &models.AlertParams{Per: per, Factor: 3, MinUnits: 300}, none, hour, past)
			require.NoError(t, err)
			require.Equal(t, []models.AlertSum{{Name: id(a), OwnerID: a.OwnerID, Count: 300, Past: 200, Weeks: 2}}, surges)
			for _, p := range []models.AlertParams{{Per: per, Factor: 3.01, MinUnits: 1}, {Per: per, Factor: 3, MinUnits: 301}} {
				surges, err = causes.Surges(t.Context(), &p, none, hour, past)
				require.NoError(t, err)
				require.Empty(t, surges)
			}
			slumps, err := causes.Slumps(t.Context(), &models.AlertParams{Per: per, Factor: 4, MinUnits: 120}, none, hour, past)
			require.NoError(t, err)
			require.Equal(t, []models.AlertSum{{Name: id(b), OwnerID: b.OwnerID, Count: 30, Past: 240, Weeks: 2}}, slumps)
			slumps, err = causes.Slumps(t.Context(), &models.AlertParams{Per: per, Factor: 4, MinUnits: 121}, models.AlertFilter{OwnerID: &b.OwnerID}, hour, past)
			require.NoError(t, err)
			require.Empty(t, slumps)
			rows, err := causes.UnitsByHour(t.Context(), per, models.AlertFilter{KeyID: &a.ID}, past[2], hour, 10)
			require.NoError(t, err)
			require.Len(t, rows, 3)
		}
		require.NoError(t, upkeep.Total(t.Context(), hour.Add(time.Hour)))
		gone, err := causes.Slumps(t.Context(), &models.AlertParams{Per: models.AlertPerKey, Factor: 4, MinUnits: 1}, none, hour.Add(time.Hour),
			[]time.Time{hour})
		require.NoError(t, err)
		require.Len(t, gone, 3, "who uses nothing at all uses too little")
	})
}

func TestCausesInTheSystem(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		causes, ingest, now := repositories.NewAlertCauses(s.db), repositories.NewIngest(s.db), s.clock.Now()
		require.NoError(t, repositories.NewJobs(s.db).Touch(t.Context(), models.JobAlertCheck, "", 0))
		failed, err := causes.Jobs(t.Context())
		require.NoError(t, err)
		require.Zero(t, failed)
		_, err = repositories.Pool(s.db).ExecContext(t.Context(), "UPDATE jobs SET failed_at = due_at")
		require.NoError(t, err)
		failed, err = causes.Jobs(t.Context())
		require.NoError(t, err)
		require.Equal(t, int64(1), failed)

		stream := models.NewID[models.StreamID]()
		require.NoError(t, ingest.AddGaps(t.Context(), []models.IngestGap{
			{StreamID: stream, FromSeq: 3, ToSeq: 5, FoundAt: now}, {StreamID: stream, FromSeq: 7, ToSeq: 7, FoundAt: now.Add(-2 * time.Hour)},
		}))
		require.NoError(t, ingest.AddRejects(t.Context(), []models.IngestReject{{StreamID: stream, Seq: 9, Payload: []byte{1}, RejectedAt: now}}))
		lost, err := causes.Losses(t.Context(), now.Add(-time.Hour))
		require.NoError(t, err)
		require.Equal(t, int64(4), lost)

		disabled, err := causes.Disabled(t.Context())
		require.NoError(t, err)
		require.Zero(t, disabled)
		id := models.NewID[models.DestinationID]()
		missing, err := causes.Missing(t.Context(), []models.DestinationID{id})
		require.NoError(t, err)
		require.Equal(t, []models.DestinationID{id}, missing)
	})
}
