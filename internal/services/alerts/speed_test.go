package alerts_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/alerts"
	"github.com/viva/rate-limiter/internal/testenv"
)

// benchmark: what a check of each kind costs with 100,000 keys that are used.
func BenchmarkCheckWithAHundredThousandKeys(b *testing.B) {
	engines := map[string]func() *world{
		"postgres": func() *world {
			url := testenv.Postgres(b)
			return worldOver(b, func(o repositories.Options) (*repositories.DB, error) {
				return repositories.OpenPostgres(b.Context(), url, o)
			})
		},
		"sqlite": func() *world { return newWorld(b) },
	}
	for engine, open := range engines {
		w := open()
		fill(b, w, 100_000)
		for name, rule := range map[string]alerts.NewRule{
			"quota":      {Kind: models.AlertQuota, Params: models.AlertParams{Percent: 80}},
			"violations": {Kind: models.AlertViolations, Params: models.AlertParams{Count: 1000, Window: models.Span(time.Hour)}},
			"error_rate": {Kind: models.AlertErrorRate, Params: models.AlertParams{Percent: 50, Window: models.Span(time.Hour)}},
			"anomaly":    {Kind: models.AlertAnomaly, Params: models.AlertParams{Factor: 3, MinUnits: 50}},
			"drop":       {Kind: models.AlertAnomaly, Params: models.AlertParams{Factor: 3, MinUnits: 50, Drop: true}},
		} {
			b.Run(engine+"/"+name, func(b *testing.B) {
				rule.Name = name
				made := w.rule(rule)
				for b.Loop() {
					_, err := w.Check(b.Context(), "")
					require.NoError(b, err)
				}
				b.StopTimer()
				require.NoError(b, w.DeleteRule(b.Context(), string(made.ID)))
			})
		}
	}
}

func fill(tb testing.TB, w *world, n int) {
	tb.Helper()
	hour := noon.Add(-time.Hour)
	month := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	segment := models.NewID[models.SegmentID]()
	for begin := 0; begin < n; begin += 5000 {
		var b models.UsageBatch
		for i := begin; i < begin+5000; i++ {
			key, owner := models.NewID[models.KeyID](), models.NewID[models.OwnerID]()
			b.Quotas = append(b.Quotas, models.QuotaTotal{QuotaKey: models.QuotaKey{
				Subject: "owner:" + string(owner), Rule: "monthly", Period: models.PeriodMonth, Start: month,
			}, Units: int64(i % 70), Limit: 100})
			for week := range 5 {
				b.Rollups = append(b.Rollups, models.UsageRollup{
					UsageCell: models.UsageCell{Bucket: hour.AddDate(0, 0, -7*week), SegmentID: segment, APIKeyID: key, Meter: models.MeterRequests},
					OwnerID:   owner, UsageCounts: models.UsageCounts{Units: int64(i % 100)},
				})
			}
			for bucket := range 4 {
				counts := models.UsageCounts{Units: 10, Reports: 10, Status2xx: 10}
				if i%100 == 0 {
					counts.Status2xx, counts.Status5xx = 9, 1
				}
				b.Rollups = append(b.Rollups, models.UsageRollup{
					UsageCell: models.UsageCell{Bucket: noon.Add(time.Duration(-bucket) * models.Bucket), SegmentID: segment, APIKeyID: key, Meter: models.MeterRequests},
					OwnerID:   owner, UsageCounts: counts,
				})
			}
			if i%10 == 0 {
				v := models.RateLimitViolation{OwnerID: owner, APIKeyID: key, Rule: "r", Code: "rate_limited", Count: 5, FirstAt: noon, LastAt: noon}
				v.Identify()
				b.Violations = append(b.Violations, v)
			}
		}
		require.NoError(tb, w.ingest.InTx(tb.Context(), func(ctx context.Context) error { return w.ingest.Add(ctx, &b) }))
	}
	require.NoError(tb, repositories.NewUsageUpkeep(w.db).Total(tb.Context(), noon))
}
