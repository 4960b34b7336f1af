package repositories_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/pkg/apierror"
)

func TestCursorMovesWithItsTransaction(t *testing.T) {
	twoHandles(t, func(t *testing.T, handles [2]*repositories.DB) {
		stream := models.NewID[models.StreamID]()
		_, err := repositories.NewStreams(handles[0]).LockCursor(t.Context(), stream, "n1")
		require.Error(t, err, "outside a transaction it would hold nothing")
		var group errgroup.Group
		for w := range 12 {
			db := handles[w%2]
			streams := repositories.NewStreams(db)
			group.Go(func() error {
				return db.InTx(t.Context(), func(ctx context.Context) error {
					cursor, err := streams.LockCursor(ctx, stream, "n1")
					if err != nil {
						return err
					}
					cursor.LastSeq++
					cursor.Gaps += 2
					return streams.SaveCursor(ctx, &cursor)
				})
			})
		}
		require.NoError(t, group.Wait())
		streams := repositories.NewStreams(handles[0])
		cursor, err := streams.Cursor(t.Context(), stream)
		require.NoError(t, err)
		require.EqualValues(t, 12, cursor.LastSeq)
		require.EqualValues(t, 24, cursor.Gaps)
		require.Equal(t, "n1", cursor.Node)
		require.True(t, cursor.Watermark.IsZero())
		for _, unknown := range []models.StreamID{"", "x", models.NewID[models.StreamID]()} {
			_, err = streams.Cursor(t.Context(), unknown)
			refused(t, err, apierror.CodeNotFound)
			refused(t, streams.Lost(t.Context(), unknown, at(1)), apierror.CodeNotFound)
			refused(t, streams.SaveCursor(t.Context(), &models.IngestCursor{StreamID: unknown}), apierror.CodeNotFound)
		}
	})
}

func TestWatermarkNeverMovesBack(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		streams, stream := repositories.NewStreams(s.db), models.NewID[models.StreamID]()
		watermark := func() time.Time {
			cursor, err := streams.Cursor(t.Context(), stream)
			require.NoError(t, err)
			return cursor.Watermark
		}
		for _, step := range []struct{ at, want int }{{5, 5}, {3, 5}, {9, 9}, {9, 9}} {
			require.NoError(t, streams.Watermark(t.Context(), stream, "n1", at(step.at)))
			require.Equal(t, at(step.want), watermark())
		}
		for _, step := range []struct{ at, want int }{{8, 9}, {10, 10}} {
			require.NoError(t, streams.SaveCursor(t.Context(), &models.IngestCursor{StreamID: stream, Watermark: at(step.at)}))
			require.Equal(t, at(step.want), watermark())
		}
	})
}

func TestUsageIsCompleteUpToTheSlowestStream(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		streams := repositories.NewStreams(s.db)
		complete := func() any {
			until, ok, err := streams.CompleteUntil(t.Context())
			require.NoError(t, err)
			if !ok {
				return nil
			}
			return until
		}
		require.Nil(t, complete())
		ids := []models.StreamID{models.NewID[models.StreamID](), models.NewID[models.StreamID](), models.NewID[models.StreamID]()}
		for i, id := range ids {
			require.NoError(t, streams.Watermark(t.Context(), id, "n1", at(10+i)))
			s.clock.advance(time.Second)
		}
		require.Equal(t, at(10), complete())
		list, err := streams.List(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 3)
		require.Equal(t, ids[0], list[0].StreamID)

		require.NoError(t, streams.Drained(t.Context(), ids[0], at(20)))
		require.NoError(t, streams.Drained(t.Context(), ids[0], at(30)))
		require.Equal(t, at(11), complete())
		require.NoError(t, streams.Lost(t.Context(), ids[1], at(21)))
		require.Equal(t, at(12), complete())
		require.NoError(t, streams.Drained(t.Context(), ids[2], at(22)))
		require.Nil(t, complete())
		list, err = streams.List(t.Context())
		require.NoError(t, err)
		require.Empty(t, list)
		cursor, err := streams.Cursor(t.Context(), ids[0])
		require.NoError(t, err)
		require.Equal(t, at(20), *cursor.DrainedAt, "the first time stays")
		cursor, err = streams.Cursor(t.Context(), ids[1])
		require.NoError(t, err)
		require.Equal(t, at(21), *cursor.LostAt)
	})
}

func TestQuotasAreWhatWasSpentLessWhatWasForgiven(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		ingest, quotas := repositories.NewIngest(s.db), repositories.NewQuotas(s.db)
		day := quotaOf("a")
		month := day
		month.Period, month.Start = models.PeriodMonth, month.Start.AddDate(0, 0, -3)
		other, none := quotaOf("b"), quotaOf("c")
		spend := func(units int64) {
			require.NoError(t, ingest.AddQuotas(t.Context(), []models.QuotaTotal{
				{QuotaKey: day, Units: units}, {QuotaKey: month, Units: 10 * units}, {QuotaKey: other, Units: 7},
			}))
		}
		totals := func() []int64 {
			berlin := day
			berlin.Start = berlin.Start.In(time.FixedZone("CEST", 7200))
			list, err := quotas.Totals(t.Context(), []models.QuotaKey{none, month, day, other, berlin})
			require.NoError(t, err)
			return list
		}
		spend(5)
		require.Equal(t, []int64{0, 50, 5, 7, 5}, totals())
		require.NoError(t, quotas.Forgive(t.Context(), day.Subject, at(1)))
		require.Equal(t, []int64{0, 0, 0, 7, 0}, totals())
		spend(2)
		require.Equal(t, []int64{0, 20, 2, 14, 2}, totals())
		spend(-4)
		require.Equal(t, []int64{0, 0, 0, 21, 0}, totals(), "never below nothing")
		list, err := quotas.Totals(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, list)
		many := make([]models.QuotaKey, 120)
		for i := range many {
			many[i] = none
		}
		many[119] = other
		list, err = quotas.Totals(t.Context(), many)
		require.NoError(t, err)
		require.EqualValues(t, 21, list[119])
	})
}

func TestTheLatestUseOfAKeyIsKept(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		activity, keys := repositories.NewActivity(s.db), someKeys(3)
		require.NoError(t, activity.Touch(t.Context(), []models.KeyActivity{
			{APIKeyID: keys[1], LastUsedAt: at(5)}, {APIKeyID: keys[0], LastUsedAt: at(1)}, {APIKeyID: keys[1], LastUsedAt: at(4)},
		}))
		require.NoError(t, activity.Touch(t.Context(), []models.KeyActivity{
			{APIKeyID: keys[0], LastUsedAt: at(3)}, {APIKeyID: keys[1], LastUsedAt: at(2)},
		}))
		used, err := activity.Of(t.Context(), keys)
		require.NoError(t, err)
		require.Equal(t, map[models.KeyID]time.Time{keys[0]: at(3), keys[1]: at(5)}, used)
	})
}
