package app

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/journal"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/repositories/repotest"
	"github.com/viva/rate-limiter/internal/services/privacy"
	"github.com/viva/rate-limiter/internal/testenv"
)

// BenchmarkIngest measures how fast records come from the journal into the
// database: of a thousand keys with a few endpoints each, with the default
// share of raw rows.
//
// Of the records of refused, each tenth is a refusal, and adds to a violation.
func BenchmarkIngest(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		benchmarkIngest(b, 0, repotest.Migrated(b, time.Now, func(o repositories.Options) (*repositories.DB, error) {
			return repositories.OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "viva.db"), o)
		}))
	})
	for name, refused := range map[string]int{"postgres": 0, "refused": 10} {
		b.Run(name, func(b *testing.B) {
			url := testenv.Postgres(b)
			benchmarkIngest(b, refused, repotest.Migrated(b, time.Now, func(o repositories.Options) (*repositories.DB, error) {
				return repositories.OpenPostgres(b.Context(), url, o)
			}))
		})
	}
}

func benchmarkIngest(b *testing.B, refused int, db *repositories.DB) {
	j, err := journal.Open(journal.Options{Dir: b.TempDir(), Fsync: journal.FsyncInterval, Now: time.Now})
	require.NoError(b, err)
	defer func() { require.NoError(b, j.Close()) }()
	keys := make([]*models.Snapshot, 1000)
	for i := range keys {
		s := &models.Snapshot{Owner: models.Owner{ID: models.NewID[models.OwnerID](), TimeZone: "UTC", AnchorDay: 1}}
		s.Key.ID, s.Plan.ID = models.NewID[models.KeyID](), models.NewID[models.PlanID]()
		require.NoError(b, s.Compile())
		keys[i] = s
	}
	r, began := recorder{journal: j}, time.Now()
	for n := range b.N {
		// A hundred thousand a second, as far as the records say.
		at := began.Add(time.Duration(n) * 10 * time.Microsecond)
		record := models.Record{
			Kind: models.RecordCheck, RequestID: fmt.Sprintf("0199f0a0-0000-7000-8000-%012d", n), At: at, Code: "ok", Allowed: true, Live: true,
			Cost: 1, Units: 1, Meter: models.MeterRequests, Method: "GET", Endpoint: fmt.Sprint("/v1/users/", n%5), IP: netip.MustParseAddr("203.0.113.9"),
			Limits: []models.RecordedLimit{
				{Rule: "per-minute", Scope: models.ScopeOwner, Limit: 100, Remaining: 42, ResetAfterMS: 17_000, Tightest: true, Spent: 1},
				{Rule: "monthly", Scope: models.ScopeOwner, Limit: 10_000, Remaining: 9_000, Spent: 1, Period: models.PeriodMonth, Start: began.Truncate(time.Hour)},
			},
		}
		if refused > 0 && n/len(keys)%refused == 0 { // by each of the keys
			record.Code, record.Allowed, record.Units = "rate_limited", false, 0
			record.Limits[0].Denied, record.Limits[0].Spent, record.Limits[1].Spent = true, 0, 0
		}
		require.NoError(b, r.Record(keys[n%len(keys)], &record))
	}
	cfg := &config.Config{Usage: config.Usage{RawRowsPerSecond: 500, EndpointsPerKey: 200}}
	ingester := newIngester(cfg, db, journalSource{j}, privacy.NewForgotten(repositories.NewPrivacy(db)), nil, func(string, error) {})
	b.ResetTimer()
	require.NoError(b, ingester.Drain(b.Context()))
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
