package cache

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apikey"
)

// BenchmarkHit is the way of almost every check: budget 200 ns, no allocation.
func BenchmarkHit(b *testing.B) {
	for name, values := range map[string]int{"one key": 1, "100k keys": 100_000} {
		b.Run(name, func(b *testing.B) {
			db := newDatabase()
			feed := db.feed()
			_, err := feed.poll(b.Context())
			require.NoError(b, err)
			c := newVersioned(feed, Options{MaxEntries: 2 * values, NegativeMaxEntries: 1, TTL: time.Hour, MaxStale: time.Hour}, db.kind())
			defer c.stop()
			hashes := make([]apikey.Hash, values)
			now := time.Now()
			for i := range hashes {
				hashes[i] = hashOf(i)
				db.put(hashes[i], 1)
				_, err := c.get(b.Context(), hashes[i], now)
				require.NoError(b, err)
			}
			// In another order than they were stored in.
			rand.Shuffle(values, func(i, j int) { hashes[i], hashes[j] = hashes[j], hashes[i] })
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				ctx := b.Context()
				for i := 0; p.Next(); i++ {
					if _, err := c.get(ctx, hashes[i%values], now); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func hashOf(i int) apikey.Hash {
	var text [8]byte
	binary.LittleEndian.PutUint64(text[:], uint64(i))
	return apikey.Sum(string(text[:]))
}
