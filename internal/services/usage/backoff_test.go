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
		shelf := newShelf()
		var away atomic.Bool
		var said atomic.Int64
		away.Store(true)
		store := &fake{add: func(*models.UsageBatch) error {
			if away.Load() {
				return errors.New("connection refused")
			}
			return nil
		}}
		k, stream := newKey(), shelf.stream(true)
		shelf.put(stream, k.check("a", noon))
		ingester := usage.NewIngester(shelf, store, store, usage.NewActivity(store), usage.IngesterOptions{
			Node: "test", Now: time.Now, Report: func(string, error) { said.Add(1) },
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- ingester.Run(ctx) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.EqualValues(t, 1, said.Load(), "said once")
		require.Less(t, store.tried.Load(), int64(30), "and not tried all the time")
		require.Zero(t, shelf.doneUpTo(stream))
		away.Store(false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.EqualValues(t, 2, said.Load())
		require.EqualValues(t, 1, shelf.doneUpTo(stream))
		cancel()
		require.NoError(t, <-done)
	})
}

func TestATransactionIsAsLargeAsTheDatabaseTakesInTime(t *testing.T) {
	const limit, each, records = 5 * time.Second, time.Millisecond, 65_000
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		var sizes []int
		store := &fake{add: func(b *models.UsageBatch) error {
			sizes = append(sizes, len(b.Rollups))
			took := time.Duration(len(b.Rollups)) * each
			time.Sleep(min(took, limit))
			if took > limit {
				return context.DeadlineExceeded
			}
			return nil
		}}
		stream := shelf.stream(true)
		for range records {
			shelf.put(stream, newKey().check("a", noon))
		}
		ingester := usage.NewIngester(shelf, store, store, usage.NewActivity(store), usage.IngesterOptions{
			Node: "test", Now: time.Now, Report: func(string, error) {},
		})
		for shelf.doneUpTo(stream) < records {
			_ = ingester.Once(t.Context())
		}
		require.Equal(t, []int{60_000, 30_000, 15_000, 7500, 3750, 1000}, sizes[:6], "halved until it is taken, then what takes a second")
		few := newKey()
		for range 2 * records {
			shelf.put(stream, few.check("b", noon))
		}
		before := len(sizes)
		for shelf.doneUpTo(stream) < 3*records {
			require.NoError(t, ingester.Once(t.Context()))
		}
		require.Less(t, len(sizes)-before, 11, "twice as many each time, where they take less")
	})
}

// fake is a database in memory that remembers no more than cursors.
type fake struct {
	add    func(b *models.UsageBatch) error
	tried  atomic.Int64
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
	f.tried.Add(1)
	return f.add(b)
}

func (f *fake) Refused(error) bool { return false }

func (f *fake) Touch(context.Context, []models.KeyActivity) error { return nil }
