package keys_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/keys"
)

func TestKeysTellWhatTheyWereUsedFor(t *testing.T) {
	w := newWorld(t)
	used, err := w.Create(t.Context(), keys.NewKey{Name: "used"})
	require.NoError(t, err)
	idle, err := w.Create(t.Context(), keys.NewKey{Name: "idle"})
	require.NoError(t, err)
	at := w.now.Add(-time.Minute)
	ingest, rollup := repositories.NewIngest(w.db), models.UsageRollup{
		UsageCell:   models.UsageCell{SegmentID: models.NewID[models.SegmentID](), APIKeyID: used.Key.ID, Meter: models.MeterRequests},
		OwnerID:     used.Owner.ID,
		UsageCounts: models.UsageCounts{Requests: 5, Allowed: 4, Units: 7},
	}
	for _, month := range []time.Month{1, 2} {
		rollup.Bucket = time.Date(2026, month, 1, 0, 0, 0, 0, time.UTC)
		require.NoError(t, ingest.AddRollups(t.Context(), []models.UsageRollup{rollup}))
	}
	rollup.Meter = "tokens"
	require.NoError(t, ingest.AddRollups(t.Context(), []models.UsageRollup{rollup}))
	require.NoError(t, repositories.NewUsageUpkeep(w.db).Total(t.Context(), rollup.Bucket)) // the first of the months
	require.NoError(t, repositories.NewActivity(w.db).Touch(t.Context(), []models.KeyActivity{{APIKeyID: used.Key.ID, LastUsedAt: at}}))

	view, err := w.Find(t.Context(), used.Key.ID)
	require.NoError(t, err)
	require.Equal(t, models.KeyUsage{Requests: 10, Allowed: 8, Units: 14, LastUsedAt: &at}, view.Used)
	list, err := w.List(t.Context(), keys.Filter{}, models.Page{Sort: "name"})
	require.NoError(t, err)
	require.Equal(t, idle.Key.ID, list[0].Key.ID)
	require.Zero(t, list[0].Used)
	require.Equal(t, view.Used, list[1].Used)
}
