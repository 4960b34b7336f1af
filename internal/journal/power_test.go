package journal_test

import (
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/journal"
)

// With fsync always, what an append answered nil to is in what a loss of power
// leaves: of each file the part that was synced, under the name it was made by.
func TestPowerLoss(t *testing.T) {
	for name, fault := range map[string]func(*disk){
		"good disk":   func(*disk) {},
		"syncs fail":  func(d *disk) { d.sync, d.syncs = syscall.EIO, 1 },
		"writes fail": func(d *disk) { d.write, d.writes = syscall.EIO, 1 },
	} {
		t.Run(name, func(t *testing.T) {
			dir, d := t.TempDir(), &disk{}
			j := open(t, journal.Options{Dir: dir, Fsync: journal.FsyncAlways, SegmentBytes: 1024}.On(d.Create))
			var mu sync.Mutex
			var acknowledged []uint64
			var tasks sync.WaitGroup
			for worker := range uint64(4) {
				tasks.Go(func() {
					for i := range uint64(60) {
						number := worker<<32 | i
						for err := j.Append(numbered(number)); err != nil; err = j.Append(numbered(number)) {
							// It failed twice in a row, and is said not to be there.
							if !assert.ErrorIs(t, err, syscall.EIO) {
								return
							}
						}
						mu.Lock()
						acknowledged = append(acknowledged, number)
						if len(acknowledged)%20 == 0 {
							d.set(fault)
						}
						mu.Unlock()
					}
				})
			}
			check := func() {
				mu.Lock()
				want := slices.Clone(acknowledged)
				mu.Unlock()
				left := d.lose(t, dir)
				if left == "" {
					return
				}
				found := everything(t, left)
				for _, number := range want {
					_, ok := slices.BinarySearch(found, number)
					require.True(t, ok, "record %x is lost", number)
				}
			}
			for range 20 {
				check()
			}
			tasks.Wait()
			check()
			require.Len(t, everything(t, d.lose(t, dir)), 4*60)
		})
	}
}

// With fsync interval, it is what was there at the last sync.
func TestPowerLossBetweenSyncs(t *testing.T) {
	dir, d := t.TempDir(), &disk{}
	j := open(t, journal.Options{Dir: dir, Interval: manual, SegmentBytes: 1024}.On(d.Create))
	appendNumbers(t, j, 1, 100)
	require.NoError(t, j.Sync())
	appendNumbers(t, j, 101, 150)
	require.Equal(t, upTo[uint64](1, 100), everything(t, d.lose(t, dir)))
	require.Equal(t, int64(100), j.Usage().Synced)
	require.NoError(t, j.Sync())
	require.Equal(t, upTo[uint64](1, 150), everything(t, d.lose(t, dir)))
}
