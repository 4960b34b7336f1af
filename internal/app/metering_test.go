package app

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/journal"
	"github.com/viva/rate-limiter/internal/models"
)

// BenchmarkRecord measures what metering adds to a check.
func BenchmarkRecord(b *testing.B) {
	j, err := journal.Open(journal.Options{Dir: b.TempDir(), Fsync: journal.FsyncInterval, KeepBytes: 1, Now: time.Now})
	require.NoError(b, err)
	defer func() { require.NoError(b, j.Close()) }()
	s := &models.Snapshot{Owner: models.Owner{ID: models.NewID[models.OwnerID](), TimeZone: "UTC", AnchorDay: 1}}
	s.Key.ID, s.Plan.ID = models.NewID[models.KeyID](), models.NewID[models.PlanID]()
	require.NoError(b, s.Compile())
	r := recorder{journal: j}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		record := models.Record{
			Kind: models.RecordCheck, RequestID: "0199f0a0-0000-7000-8000-000000000000", At: time.Now(), Code: "ok", Allowed: true,
			Cost: 1, Units: 1, Meter: models.MeterRequests, Method: "GET", Endpoint: "/v1/users/42", IP: netip.MustParseAddr("203.0.113.9"),
			Limits: []models.RecordedLimit{
				{Rule: "per-minute", Scope: models.ScopeOwner, Limit: 100, Remaining: 42, ResetAfterMS: 17_000, Tightest: true, Spent: 1},
				{Rule: "monthly", Scope: models.ScopeOwner, Limit: 10_000, Remaining: 9_000, Spent: 1, Period: models.PeriodMonth, Start: time.Now()},
			},
		}
		for n := 0; pb.Next(); n++ {
			if err := r.Record(s, &record); err != nil {
				b.Fatal(err)
			}
			if n%100_000 == 99_999 {
				j.Done(j.Stream(), int64(n/2))
			}
		}
	})
}

func TestProcessesOfOneMachineHaveJournalsBesideEachOther(t *testing.T) {
	cfg := &config.Config{Data: config.Data{Dir: t.TempDir()}}
	cfg.Journal.SegmentBytes = 1 << 20
	var open []*journal.Journal
	for _, name := range []string{"journal", "journal-2", "journal-3"} {
		j, err := openJournal(cfg, zap.NewNop())
		require.NoError(t, err)
		require.DirExists(t, filepath.Join(cfg.Data.Dir, name))
		open = append(open, j)
	}
	require.NoError(t, open[1].Close())
	again, err := openJournal(cfg, zap.NewNop())
	require.NoError(t, err, "the second is free, and is taken before a fourth")
	require.NoDirExists(t, filepath.Join(cfg.Data.Dir, "journal-4"))
	for _, j := range []*journal.Journal{open[0], open[2], again} {
		require.NoError(t, j.Close())
	}
}
