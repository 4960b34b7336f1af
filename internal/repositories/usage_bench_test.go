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
