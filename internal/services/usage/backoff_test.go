package usage_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/usage"
)

func TestTheJournalWaitsWhileTheDatabaseIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, now: noon, journal: newShelf()}
		var away atomic.Bool
		away.Store(true)
		store := &fake{add: func(*models.UsageBatch) error {
			if away.Load() {
				return errors.New("connection refused")
			}
			return nil
		}}
		k, stream := newKey(), w.journal.stream(true)
		w.journal.put(stream, k.check("a", noon))
		ingester := usage.NewIngester(w.journal, store, store, usage.NewActivity(store), usage.IngesterOptions{
			Node: "test", Now: time.Now, Report: func(message string, _ error) { w.reported = append(w.reported, message) },
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- ingester.Run(ctx) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, w.reported, 1, "said once")
		require.Less(t, store.tried, 30, "and not tried all the time")
		require.Zero(t, w.journal.done[stream])
		away.Store(false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Len(t, w.reported, 2)
		require.EqualValues(t, 1, w.journal.done[stream])
		cancel()
		require.NoError(t, <-done)
	})
}

// fake is a database in memory that remembers no more than cursors.
type fake struct {
	add    func(b *models.UsageBatch) error
	tried  int
	cursor models.IngestCursor
}

func (f *fake) InTx(ctx context.Context, fn func(ctx context.Context) error) error { return fn(ctx) }

func (f *fake) Cursor(context.Context, models.StreamID) (models.IngestCursor, error) {
	return f.cursor, nil
}

func (f *fake) LockCursor(context.Context, models.StreamID, string) (models.IngestCursor, error) {
	return f.cursor, nil
}

func (f *fake) SaveCursor(_ context.Context, c *models.IngestCursor) error {
	f.cursor = *c
	return nil
}

func (f *fake) Watermark(context.Context, models.StreamID, string, time.Time) error { return nil }

func (f *fake) Drained(context.Context, models.StreamID, time.Time) error { return nil }

func (f *fake) ClaimIDs(context.Context, []models.EventID, time.Time) (map[models.EventID]bool, error) {
	return nil, nil
}

func (f *fake) ClaimEndpoints(context.Context, map[models.KeyID][]string, int) (map[models.KeyID][]string, error) {
	return nil, nil
}

func (f *fake) Add(_ context.Context, b *models.UsageBatch) error {
	f.tried++
	return f.add(b)
}

func (f *fake) Refused(error) bool { return false }

func (f *fake) Touch(context.Context, []models.KeyActivity) error { return nil }
