package repositories_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
)

// BenchmarkIngest tells what one call costs, with its transaction. Half of the
// rollups are there already.
func BenchmarkIngest(b *testing.B) {
	for name, open := range engines {
		db := open(b, repositories.Options{})
		require.NoError(b, db.Migrate(b.Context()))
		ingest := repositories.NewIngest(db)
		require.NoError(b, repositories.NewUsageUpkeep(db).MakePartitions(b.Context(), at(0), 1))
		keys := make([]models.KeyID, 2000)
		for i := range keys {
			keys[i] = models.NewID[models.KeyID]()
		}
		var round int
		run := func(call string, n int, prepare func() func(ctx context.Context) error) {
			b.Run(fmt.Sprintf("%s/%s/%d", name, call, n), func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					round++
					add := prepare()
					b.StartTimer()
					require.NoError(b, add(b.Context()))
				}
			})
		}
		run("AddRollups", 10_000, func() func(ctx context.Context) error {
			rows := benchRollups(keys, round)
			return func(ctx context.Context) error { return ingest.AddRollups(ctx, rows) }
		})
		run("AddLogs", 5000, func() func(ctx context.Context) error {
			rows := benchLogs(keys)
			return func(ctx context.Context) error { return ingest.AddLogs(ctx, rows) }
		})
		run("ClaimIDs", 5000, func() func(ctx context.Context) error {
			ids := make([]models.EventID, 5000)
			for i := range ids {
				ids[i] = models.EventIDOf("bench", name, "", int64(round), int64(i))
			}
			return func(ctx context.Context) error {
				_, err := ingest.ClaimIDs(ctx, ids, at(0))
				return err
			}
		})
	}
}

// benchRollups are 10,000 cells, of which half were in the round before.
func benchRollups(keys []models.KeyID, round int) []models.UsageRollup {
	rows := make([]models.UsageRollup, 0, 10_000)
	bucket := models.BucketOf(at(0))
	for i := range 5000 {
		for _, r := range []int{round, round - 1} {
			rows = append(rows, models.UsageRollup{
				UsageCell: models.UsageCell{
					Bucket: bucket.Add(time.Duration(r) * models.Bucket), SegmentID: models.SegmentID(keys[i%7]), APIKeyID: keys[i%len(keys)],
					Endpoint: fmt.Sprintf("/v1/orders/%d", i/len(keys)), Method: "GET", Meter: models.MeterRequests,
				},
				OwnerID: models.OwnerID(keys[i%500]),
				UsageCounts: models.UsageCounts{Requests: 70, Allowed: 60, DeniedLimit: 10, Units: 12345, BillableUnits: 12345,
					BytesIn: 1 << 20, BytesOut: 1 << 30},
			})
		}
	}
	rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows
}

func benchLogs(keys []models.KeyID) []models.UsageLog {
	rows := make([]models.UsageLog, 5000)
	for i := range rows {
		rows[i] = models.UsageLog{
			At: at(0).Add(time.Duration(i) * time.Millisecond), RequestID: string(models.NewID[models.KeyID]()), Kind: models.RecordCheck,
			OwnerID: models.OwnerID(keys[i%500]), APIKeyID: keys[i%len(keys)], SegmentID: models.SegmentID(keys[i%7]), Code: "ok", Allowed: true,
			Method: "GET", Endpoint: "/v1/orders/42", Meter: models.MeterRequests, Units: 1, Cost: 1, IP: "192.0.2.77",
			UserAgent: "bench/1.0 (linux; amd64)", SampleRate: 1,
			Limits: []models.RecordedLimit{
				{Rule: "per-minute", Scope: models.ScopeOwner, Limit: 1000, Remaining: 999, ResetAfterMS: 60_000, Tightest: true, Spent: 1},
				{Rule: "monthly", Scope: models.ScopeOwner, Limit: 1_000_000, Remaining: 1, Period: models.PeriodMonth, Start: at(0), Spent: 1},
			},
		}
	}
	return rows
}

// BenchmarkIngestSpread brings in batches in which each record is of another key:
// the most rows that records can become. All of them are there already.
func BenchmarkIngestSpread(b *testing.B) {
	for name, open := range engines {
		db := open(b, repositories.Options{QueryTimeout: time.Minute, TxTimeout: time.Minute})
		require.NoError(b, db.Migrate(b.Context()))
		ingest := repositories.NewIngest(db)
		keys := make([]models.KeyID, 100_000)
		for i := range keys {
			keys[i] = models.NewID[models.KeyID]()
		}
		require.NoError(b, ingest.Add(b.Context(), spread(keys)))
		for _, n := range []int{4000, 20_000, 80_000} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
					batch := spread(keys[:n])
					b.StartTimer()
					require.NoError(b, ingest.Add(b.Context(), batch))
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}

// spread is what one check of each key becomes, with a monthly quota.
func spread(keys []models.KeyID) *models.UsageBatch {
	batch, bucket := new(models.UsageBatch), models.BucketOf(at(0))
	counts := models.UsageCounts{Requests: 1, Allowed: 1, Units: 1, BillableUnits: 1}
	for _, key := range keys {
		owner := models.OwnerID(key)
		batch.Rollups = append(batch.Rollups, models.UsageRollup{
			UsageCell: models.UsageCell{Bucket: bucket, SegmentID: models.SegmentID(key), APIKeyID: key, Method: "GET",
				Endpoint: "/v1/orders", Meter: models.MeterRequests},
			OwnerID: owner, UsageCounts: counts,
		})
		batch.Quotas = append(batch.Quotas, models.QuotaTotal{QuotaKey: models.QuotaKey{Subject: string(key), Rule: "monthly",
			Period: models.PeriodMonth, Start: models.StartOf(models.PeriodMonth, bucket)}, Units: 1, Limit: 1000})
	}
	return batch
}
