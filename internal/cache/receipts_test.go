package cache

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/apierror"
)

type receipts interface {
	Keep(ctx context.Context, requestID string, receipt []byte) error
	Find(ctx context.Context, requestID string) ([]byte, error)
	Settle(ctx context.Context, requestID string, cost int64) (int64, error)
}

func TestReceipts(t *testing.T) {
	for name, r := range map[string]receipts{
		"redis": NewReceipts(openURL(t, testenv.Redis(t)), t.Name(), time.Minute, time.Second),
		"local": NewLocalReceipts(time.Minute, time.Now),
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			_, err := r.Find(ctx, "a")
			require.ErrorIs(t, err, apierror.CodeNotFound)
			_, err = r.Settle(ctx, "a", 1)
			require.ErrorIs(t, err, apierror.CodeNotFound, "what is not there cannot be settled")
			require.NoError(t, r.Keep(ctx, "a", []byte("one")))
			data, err := r.Find(ctx, "a")
			require.NoError(t, err)
			require.Equal(t, "one", string(data))

			var first sync.Map
			var callers sync.WaitGroup
			for cost := range int64(8) {
				callers.Go(func() {
					settled, err := r.Settle(ctx, "a", cost+1)
					if err != nil {
						t.Error(err)
					}
					first.Store(settled, true)
				})
			}
			callers.Wait()
			seen := 0
			first.Range(func(any, any) bool { seen++; return true })
			require.Equal(t, 1, seen, "all are told the same")

			require.NoError(t, r.Keep(ctx, "a", []byte("two")))
			settled, err := r.Settle(ctx, "a", 77)
			require.NoError(t, err)
			require.EqualValues(t, 77, settled, "another check of that id")
		})
	}
}

func TestReceiptsLapse(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	r := NewLocalReceipts(time.Minute, func() time.Time { return now })
	require.NoError(t, r.Keep(t.Context(), "a", nil))
	now = now.Add(time.Second)
	require.NoError(t, r.Keep(t.Context(), "a", nil))
	now = now.Add(time.Minute - 1)
	_, err := r.Find(t.Context(), "a")
	require.NoError(t, err, "the newer one")
	now = now.Add(1)
	_, err = r.Find(t.Context(), "a")
	require.ErrorIs(t, err, apierror.CodeNotFound)
	require.Empty(t, r.kept)
	require.Empty(t, r.order)
}

func TestReceiptsInRedisLapse(t *testing.T) {
	client := openURL(t, testenv.Redis(t))
	r := NewReceipts(client, t.Name(), time.Minute, time.Second)
	require.NoError(t, r.Keep(t.Context(), "a", []byte("x")))
	left, err := client.PTTL(t.Context(), r.key("a")).Result()
	require.NoError(t, err)
	require.Greater(t, left, 50*time.Second)
	require.LessOrEqual(t, left, time.Minute)
	_, err = r.Settle(t.Context(), "a", 5)
	require.NoError(t, err)
	settled, err := client.PTTL(t.Context(), r.key("a")).Result()
	require.NoError(t, err)
	require.LessOrEqual(t, settled, left, "settling does not make it last longer")
}
