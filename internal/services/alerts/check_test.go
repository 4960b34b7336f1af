package alerts_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/alerts"
)

var (
	active   = []models.EventType{models.EventAlertActive}
	repeated = []models.EventType{models.EventAlertRepeated}
	resolved = []models.EventType{models.EventAlertResolved}
)

func TestACrossingIsToldOnceHoweverOftenAndByWhomeverItIsFound(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		w.quotaRule(80)
		acme := w.owner("acme", "UTC", 1)
		w.spend(acme, 7999, 10_000)
		w.check()
		require.Empty(t, w.list(alerts.Filter{}), "79.99 % is not 80 %")
		w.spend(acme, 1, 10_000)
		var checks errgroup.Group
		for range 8 {
			checks.Go(func() error {
				for range 3 {
					if _, err := w.Check(t.Context(), ""); err != nil {
						return err
					}
				}
				return nil
			})
		}
		require.NoError(t, checks.Wait())
		a := w.only()
		require.Equal(t, models.AlertActive, a.State)
		require.InDelta(t, 80, a.Value, 0)
		events := w.told()
		require.Len(t, events, 1)
		require.Equal(t, models.EventAlertActive, events[0].Type)
		require.Equal(t, "quota: owner acme, quota monthly at 80 %", events[0].Title)
		require.Equal(t, "acme", events[0].Owner)
		require.Equal(t, map[string]string{
			"alert_id": string(a.ID), "rule": "quota", "rule_id": string(a.RuleID), "kind": "quota", "subject": "owner:" + string(acme.ID),
			"value": "80", "threshold": "80", "state": "active", "quota": "monthly", "period_start": "2026-03-01T00:00:00Z",
		}, events[0].Data)
		w.advance(10 * time.Hour)
		w.spend(acme, 1000, 10_000)
		w.check()
		require.Empty(t, w.types(), "quotas are not told again")
		require.InDelta(t, 90, w.only().Value, 0)
	})
}

func TestExactlyAHundredPercentIsReached(t *testing.T) {
	w := newWorld(t)
	w.quotaRule(100)
	a, b := w.owner("a", "UTC", 1), w.owner("b", "UTC", 1)
	w.spend(a, 1<<53-1, 1<<53-1)
	w.spend(b, 1<<53-2, 1<<53-1)
	w.check()
	require.Equal(t, &a.ID, w.only().OwnerID)
}

func TestAnAlertOfAQuotaEndsWithItsPeriodInTheZoneOfItsOwner(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		w.quotaRule(80)
		acme := w.owner("acme", "America/New_York", 30) // its month ends at 04:00 UTC of 30 March
		w.spend(acme, 900, 1000)
		w.check()
		require.Equal(t, active, w.types())
		end := time.Date(2026, 3, 30, 4, 0, 0, 0, time.UTC)
		require.True(t, w.only().PeriodEnd.Equal(end))
		w.set(end.Add(-time.Second))
		w.check()
		require.Equal(t, models.AlertActive, w.only().State)
		w.set(end)
		w.check()
		require.Equal(t, models.ResolutionPeriodEnded, w.only().Resolution)
		require.Equal(t, resolved, w.types())
		w.spend(acme, 800, 1000) // of the next
		w.check()
		w.check()
		require.Equal(t, active, w.types())
		require.Len(t, w.list(alerts.Filter{}), 2)
	})
}

func TestARaisedLimitResolvesAnAlert(t *testing.T) {
	w := newWorld(t)
	w.quotaRule(80)
	acme := w.owner("acme", "UTC", 1)
	w.spend(acme, 900, 1000)
	w.check()
	w.spend(acme, 1, 2000)
	w.check()
	require.Equal(t, models.ResolutionCleared, w.only().Resolution)
	require.Equal(t, []models.EventType{models.EventAlertActive, models.EventAlertResolved}, w.types())
}

func TestQuotasOfKeysAndFilters(t *testing.T) {
	w := newWorld(t)
	acme, other := w.owner("acme", "UTC", 1), w.owner("other", "UTC", 1)
	key := w.key(acme)
	w.rule(alerts.NewRule{Name: "q", Kind: models.AlertQuota, Params: models.AlertParams{Percent: 50, Quota: "daily"}, Owner: "acme", Plan: "free"})
	day := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
	use := func(subject, rule string) models.QuotaTotal {
		return models.QuotaTotal{QuotaKey: models.QuotaKey{Subject: subject, Rule: rule, Period: models.PeriodDay, Start: day}, Units: 5, Limit: 10}
	}
	require.NoError(t, w.ingest.AddQuotas(t.Context(), []models.QuotaTotal{
		use("key:"+string(key.ID), "daily"), use("key:"+string(key.ID), "another"), use("owner:"+string(other.ID), "daily"),
		use("key:"+string(models.NewID[models.KeyID]()), "daily"), // erased since
	}))
	w.check()
	a := w.only()
	require.Equal(t, &key.ID, a.KeyID)
	require.Equal(t, &acme.ID, a.OwnerID)
}

func TestRefusalsInAWindowAndFlapping(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		w.refusalRule()
		key := w.key(w.owner("acme", "UTC", 1))
		w.refuse(key, 9)
		w.check()
		require.Empty(t, w.list(alerts.Filter{}))
		w.advance(4 * time.Minute)
		w.refuse(key, 1)
		w.check()
		require.Equal(t, active, w.types())
		w.advance(time.Minute) // the first minute has left the window
		w.check()
		require.Equal(t, models.AlertActive, w.only().State)
		w.advance(4 * time.Minute)
		w.refuse(key, 10)
		w.check()
		require.Nil(t, w.only().ClearedAt)
		w.advance(5 * time.Minute)
		w.check()
		w.advance(5*time.Minute - time.Microsecond)
		w.check()
		require.Equal(t, models.AlertActive, w.only().State)
		require.Empty(t, w.types())
		w.advance(time.Microsecond)
		w.check()
		require.Equal(t, models.AlertResolved, w.only().State)
		require.Equal(t, resolved, w.types())
		w.refuse(key, 10)
		w.check()
		require.Len(t, w.list(alerts.Filter{}), 2, "a new crossing is a new alert")
	})
}

func TestActiveAlertsAreToldAgainUnlessSomebodyIsAtThem(t *testing.T) {
	w := newWorld(t)
	w.refusalRule(func(n *alerts.NewRule) { n.RepeatEvery = ptr(time.Hour) })
	key := w.key(w.owner("acme", "UTC", 1))
	step := func(d time.Duration) []models.EventType {
		w.advance(d)
		w.refuse(key, 10)
		w.check()
		w.check()
		return w.types()
	}
	require.Equal(t, active, step(0))
	require.Empty(t, step(time.Hour-time.Second))
	require.Equal(t, repeated, step(time.Second))
	require.Equal(t, repeated, step(time.Hour))
	_, err := w.Acknowledge(t.Context(), w.only().ID, "on it")
	require.NoError(t, err)
	require.Empty(t, step(2*time.Hour))
	require.Equal(t, models.AlertAcknowledged, w.only().State)
	w.advance(10 * time.Minute)
	w.check()
	w.advance(5 * time.Minute)
	w.check()
	require.Equal(t, resolved, w.types())
}

func TestACauseHasToLastForAWhile(t *testing.T) {
	w := newWorld(t)
	w.refusalRule(func(n *alerts.NewRule) { n.For = 2 * time.Minute })
	key := w.key(w.owner("acme", "UTC", 1))
	w.refuse(key, 10)
	w.check()
	require.Empty(t, w.list(alerts.Filter{}))
	require.Len(t, w.list(alerts.Filter{State: models.AlertPending}), 1)
	w.advance(time.Minute)
	w.check()
	require.Empty(t, w.types())
	w.advance(time.Minute)
	w.check()
	require.Equal(t, active, w.types())
	w.advance(10 * time.Minute)
	w.check()
	w.advance(5 * time.Minute)
	w.check()
	w.refuse(key, 10)
	w.check()
	w.advance(5 * time.Minute)
	w.check()
	require.Empty(t, w.list(alerts.Filter{State: models.AlertPending}), "it never was")
}

func TestErrorRatesAndAnomalies(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		key := w.key(w.owner("acme", "UTC", 1))
		w.rule(alerts.NewRule{Name: "errors", Kind: models.AlertErrorRate, Params: models.AlertParams{
			Percent: 10, Window: models.Span(30 * time.Minute), MinReports: 20, Per: models.AlertPerOwner,
		}})
		w.rule(alerts.NewRule{Name: "unlike", Kind: models.AlertAnomaly, Params: models.AlertParams{Factor: 3, MinUnits: 100, Drop: true}})
		report := func(bucket time.Time, reports, failed int64) {
			require.NoError(t, w.ingest.AddRollups(t.Context(), []models.UsageRollup{{
				UsageCell: models.UsageCell{
					Bucket: bucket, SegmentID: models.NewID[models.SegmentID](), APIKeyID: key.ID, Meter: models.MeterRequests,
				},
				OwnerID: key.OwnerID, UsageCounts: models.UsageCounts{Reports: reports, Status5xx: failed},
			}}))
		}
		report(noon.Add(-15*time.Minute), 15, 1)
		w.check()
		require.Empty(t, w.list(alerts.Filter{}))
		report(noon, 15, 2)
		w.check()
		list := w.list(alerts.Filter{Rule: "errors", Owner: "acme"})
		require.Len(t, list, 1)
		require.InDelta(t, 10, list[0].Value, 0)

		hour := func(at time.Time, units int64) {
			require.NoError(t, w.ingest.AddRollups(t.Context(), []models.UsageRollup{{
				UsageCell: models.UsageCell{
					Bucket: at, SegmentID: models.NewID[models.SegmentID](), APIKeyID: key.ID, Meter: models.MeterRequests,
				},
				OwnerID: key.OwnerID, UsageCounts: models.UsageCounts{Units: units},
			}}))
			require.NoError(t, repositories.NewUsageUpkeep(w.db).Total(t.Context(), at.Add(models.Bucket)))
		}
		last := noon.Add(-time.Hour)
		hour(last, 299)
		hour(last.AddDate(0, 0, -7), 100)
		w.check()
		require.Empty(t, w.list(alerts.Filter{Rule: "unlike"}))
		hour(last, 1)
		w.check()
		require.Empty(t, w.list(alerts.Filter{Rule: "unlike"}), "it was looked for just now")
		w.advance(models.AnomalyEvery)
		w.check()
		list = w.list(alerts.Filter{Rule: "unlike", Key: string(key.ID)})
		require.Len(t, list, 1)
		require.InDelta(t, 300, list[0].Threshold, 0)
		hour(noon.AddDate(0, 0, -7), 300) // and an hour later, nothing
		w.set(noon.Add(time.Hour))
		w.check()
		require.InDelta(t, 0, w.list(alerts.Filter{Rule: "unlike"})[0].Value, 0)
		require.InDelta(t, 100, w.list(alerts.Filter{Rule: "unlike"})[0].Threshold, 0)
	})
}

func TestTheSystemsOwnHealth(t *testing.T) {
	w := newWorld(t)
	w.rule(alerts.NewRule{Name: "health", Kind: models.AlertSystem, Severity: models.SeverityCritical, Params: models.AlertParams{
		FailedJobs: true, IngestionLag: models.Span(5 * time.Minute), IngestLosses: true, DestinationsDisabled: true,
	}})
	streams := repositories.NewStreams(w.db)
	id := models.NewID[models.StreamID]()
	require.NoError(t, streams.Watermark(t.Context(), id, "node", noon))
	w.check()
	w.advance(5*time.Minute - time.Second)
	w.check()
	require.Empty(t, w.types())
	w.advance(time.Second)
	w.check()
	require.NoError(t, w.ingest.AddGaps(t.Context(), []models.IngestGap{{StreamID: id, FromSeq: 1, ToSeq: 2, FoundAt: w.clock()}}))
	w.check()
	var subjects []string
	for _, a := range w.list(alerts.Filter{}) {
		subjects = append(subjects, a.Subject)
		require.Equal(t, models.SeverityCritical, a.Severity)
	}
	require.ElementsMatch(t, []string{"system:ingestion_lag", "system:ingest_losses"}, subjects)
}

func TestABurstIsToldAsOneBeyondSomeAlerts(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		w.refusalRule()
		const many = 2345
		acme := w.owner("acme", "UTC", 1)
		rows := make([]models.RateLimitViolation, many)
		for i := range rows {
			rows[i] = models.RateLimitViolation{
				OwnerID: acme.ID, APIKeyID: models.NewID[models.KeyID](), Rule: "r", Code: "rate_limited", Count: 10, FirstAt: noon, LastAt: noon,
			}
			rows[i].Identify()
		}
		require.NoError(t, w.ingest.AddViolations(t.Context(), rows))
		w.check()
		events := w.told()
		require.Len(t, events, 1001)
		more := 0
		for _, e := range events {
			if e.Data["more"] == fmt.Sprint(many-1000) {
				require.Equal(t, "refusals: 1345 more alerts", e.Title)
				more++
			}
		}
		require.Equal(t, 1, more)
		n := 0
		var after *models.Position
		for {
			page, err := w.List(t.Context(), alerts.Filter{State: models.AlertActive}, models.Page{Limit: 1000, After: after})
			require.NoError(t, err)
			n += len(page)
			if len(page) < 1000 {
				break
			}
			last := page[len(page)-1]
			after = &models.Position{Value: last.CreatedAt.UTC().Format(time.RFC3339Nano), ID: string(last.ID)}
		}
		require.Equal(t, many, n, "all of them are there")
		w.check()
		require.Empty(t, w.told())
		w.advance(10 * time.Minute)
		w.check()
		w.advance(5 * time.Minute)
		w.check()
		require.Len(t, w.told(), 1000, "those that were told one by one end one by one")
		require.Empty(t, w.list(alerts.Filter{State: models.AlertActive}))
	})
}

func TestARuleThatFailsKeepsNoOtherFromBeingChecked(t *testing.T) {
	w := newWorld(t)
	bad := w.owner("bad", "UTC", 1)
	w.spend(bad, 10, 10)
	bad.TimeZone = "Nowhere/Nothing"
	require.NoError(t, w.owners.Update(t.Context(), bad))
	w.quotaRule(50)
	w.refusalRule()
	key := w.key(w.owner("acme", "UTC", 1))
	w.refuse(key, 10)
	_, err := w.Check(t.Context(), "")
	require.ErrorContains(t, err, "time zone of owner")
	require.Equal(t, active, w.types())
}

func ptr[T any](v T) *T { return &v }
