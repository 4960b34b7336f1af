package journal_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/journal"
)

// BenchmarkAppend writes records of 200 bytes. Budget, interval, serial: 1.5 µs
// and no allocation.
func BenchmarkAppend(b *testing.B) {
	payload := make([]byte, 200)
	for _, fsync := range []journal.Fsync{journal.FsyncInterval, journal.FsyncAlways} {
		open := func(b *testing.B) *journal.Journal {
			j, err := journal.Open(journal.Options{Dir: b.TempDir(), Fsync: fsync, Keep: -1})
			require.NoError(b, err)
			b.Cleanup(func() { require.NoError(b, j.Close()) })
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			b.ResetTimer()
			return j
		}
		b.Run(string(fsync)+"/serial", func(b *testing.B) {
			j := open(b)
			for i := range b.N {
				if err := j.Append(payload); err != nil {
					b.Fatal(err)
				}
				if i%100_000 == 0 {
					j.Done(j.Stream(), int64(i)) // so that it does not fill the disk
				}
			}
		})
		for _, many := range []int{1, 64} {
			b.Run(string(fsync)+"/parallel-"+map[int]string{1: "cores", 64: "many"}[many], func(b *testing.B) {
				j := open(b)
				b.SetParallelism(many)
				b.RunParallel(func(p *testing.PB) {
					for i := 0; p.Next(); i++ {
						if err := j.Append(payload); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

// BenchmarkRead reads a thousand records at a time. Budget: 300 ns a record.
func BenchmarkRead(b *testing.B) {
	j, err := journal.Open(journal.Options{Dir: b.TempDir(), Interval: time.Hour})
	require.NoError(b, err)
	defer j.Close()
	payload := make([]byte, 200)
	group := make([][]byte, 1000)
	for i := range group {
		group[i] = payload
	}
	const records = 500_000
	for range records / len(group) {
		require.NoError(b, j.AppendAll(group))
	}
	after := int64(0)
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; {
		entries, err := j.Read(j.Stream(), after, 1000)
		if err != nil {
			b.Fatal(err)
		}
		n += len(entries)
		if after += int64(len(entries)); after == records {
			after = 0
		}
	}
}
