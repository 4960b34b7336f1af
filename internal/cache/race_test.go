package cache

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// Readers on two processes race with writers on one of them. Whoever asks after
// a change was published where it asks must see it.
func TestPublishedChangeIsSeenByWhoeverAsksAfterIt(t *testing.T) {
	for name, client := range map[string]redis.UniversalClient{"in memory": nil, "through Redis": openURL(t, testenv.Redis(t))} {
		t.Run(name, func(t *testing.T) {
			db := newDatabase()
			writer, other := startProcess(t, db, client, t.Name()), startProcess(t, db, client, t.Name())
			keys := make([]apikey.Hash, 8)
			var published [8]atomic.Int64
			for i := range keys {
				keys[i] = hashOf(i)
				db.put(keys[i], 1)
				published[i].Store(1)
			}
			db.set(func(d *database) { d.reading = dawdle })
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var busy sync.WaitGroup
			for range 4 {
				busy.Go(func() {
					for ctx.Err() == nil {
						i := rand.IntN(len(keys))
						least := published[i].Load()
						value, err := writer.cache.get(ctx, keys[i], time.Now())
						if err == nil && value.Version < least {
							t.Errorf("served version %d after %d was published", value.Version, least)
						}
						_, _ = other.cache.get(ctx, keys[i], time.Now())
					}
				})
			}
			for i := range keys {
				busy.Go(func() {
					for version := int64(2); ctx.Err() == nil; version++ {
						if writer.feed.Publish(ctx, db.put(keys[i], version)) == nil {
							published[i].Store(version)
						}
						dawdle(ctx)
					}
				})
			}
			busy.Wait()
			require.Greater(t, published[0].Load(), int64(3))

			for i := range keys {
				require.Eventually(t, func() bool {
					value, err := other.cache.get(t.Context(), keys[i], time.Now())
					return err == nil && value.Version >= published[i].Load()
				}, time.Second, time.Millisecond)
			}
		})
	}
}

// dawdle lets others in for a moment, of any length up to a few milliseconds.
func dawdle(ctx context.Context) {
	select {
	case <-time.After(rand.N(4 * time.Millisecond)):
	case <-ctx.Done():
	}
}
