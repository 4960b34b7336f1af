package journal_test

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/journal"
)

// manual never syncs or looks after anything within a test by itself, but for
// the retries every 100 ms.
const manual = time.Hour

// A write that fails in its middle leaves nothing behind, and the record goes
// into the journal all the same.
func TestWriteFails(t *testing.T) {
	for _, fsync := range modes {
		for name, err := range map[string]error{"EIO": syscall.EIO, "ENOSPC": syscall.ENOSPC} {
			for _, cut := range []error{nil, syscall.EIO} {
				t.Run(string(fsync)+"/"+name, func(t *testing.T) {
					dir, d := t.TempDir(), &disk{}
					j := open(t, journal.Options{Dir: dir, Fsync: fsync, Interval: manual}.On(d.Create))
					appendNumbers(t, j, 1, 3)
					d.set(func(d *disk) { d.write, d.writes, d.cut = err, 1, cut })
					require.NoError(t, j.AppendAll([][]byte{numbered(4), numbered(5)}))
					require.Equal(t, upTo[uint64](1, 5), numbersOf(all(t, j, j.Stream(), 0)))
					soon(t, "nothing stays in memory", func() bool { return j.Usage().Held == 0 })
					appendNumbers(t, j, 6, 9)
					require.Equal(t, upTo[uint64](1, 9), numbersOf(all(t, j, j.Stream(), 0)))
					d.set(func(d *disk) { d.cut = nil })
					closed(t, j)
					require.Equal(t, upTo[uint64](1, 9), everything(t, dir))
				})
			}
		}
	}
}

// With fsync always, an appender learns that its record is not safe; no number
// is lost or given to two records.
func TestWriteFailsForGood(t *testing.T) {
	dir, d := t.TempDir(), &disk{}
	j := open(t, journal.Options{Dir: dir, Fsync: journal.FsyncAlways, Interval: manual}.On(d.Create))
	appendNumbers(t, j, 1, 3)
	d.set(func(d *disk) { d.write, d.writes = syscall.EIO, -1 })
	for range 20 {
		require.ErrorIs(t, j.Append(numbered(99)), syscall.EIO)
	}
	assert.Len(t, files(t, dir), 1, "attempts leave no files")
	d.set(func(d *disk) { d.write = nil })
	appendNumbers(t, j, 4, 6) // at once
	require.Equal(t, upTo[uint64](1, 6), numbersOf(all(t, j, j.Stream(), 0)))
	require.Equal(t, int64(6), j.Usage().Synced)
	closed(t, j)
	require.Equal(t, upTo[uint64](1, 6), everything(t, dir))
}

// A sync that fails is not believed the next time: what it was about is written
// anew, under the same numbers.
func TestSyncFails(t *testing.T) {
	for _, fsync := range modes {
		t.Run(string(fsync), func(t *testing.T) {
			dir, d := t.TempDir(), &disk{}
			j := open(t, journal.Options{Dir: dir, Fsync: fsync, Interval: manual, SegmentBytes: 600}.On(d.Create))
			appendNumbers(t, j, 1, 5)
			require.NoError(t, j.Sync())
			half := all(t, j, j.Stream(), 2)[:1] // a reader is under way
			d.set(func(d *disk) { d.sync, d.syncs = syscall.EIO, 1 })
			appendNumbers(t, j, 6, 40)
			require.NoError(t, j.Sync())
			require.Equal(t, int64(40), j.Usage().Synced)
			require.Equal(t, upTo[uint64](4, 40), numbersOf(all(t, j, j.Stream(), half[0].Seq)))
			require.Equal(t, upTo[int64](1, 40), seqsOf(all(t, j, j.Stream(), 0)))
			appendNumbers(t, j, 41, 60)
			require.NoError(t, j.Sync())
			require.Equal(t, upTo[uint64](1, 60), everything(t, d.lose(t, dir)))
			closed(t, j)
			require.Equal(t, upTo[uint64](1, 60), everything(t, dir))
		})
	}
}

func TestSyncFailsForGood(t *testing.T) {
	t.Run("always", func(t *testing.T) {
		dir, d := t.TempDir(), &disk{}
		j := open(t, journal.Options{Dir: dir, Fsync: journal.FsyncAlways, Interval: manual}.On(d.Create))
		appendNumbers(t, j, 1, 3)
		d.set(func(d *disk) { d.sync, d.syncs = syscall.EIO, -1 })
		for range 5 {
			require.ErrorIs(t, j.Append(numbered(99)), syscall.EIO)
		}
		require.Equal(t, upTo[uint64](1, 3), numbersOf(all(t, j, j.Stream(), 0)))
		d.set(func(d *disk) { d.sync = nil })
		appendNumbers(t, j, 4, 6)
		// Whatever the attempts have left on the disk, the later records count.
		clone := filepath.Join(t.TempDir(), "clone")
		require.NoError(t, os.CopyFS(clone, os.DirFS(dir)))
		require.Equal(t, upTo[uint64](1, 6), everything(t, clone))
		closed(t, j)
		require.Equal(t, upTo[uint64](1, 6), everything(t, dir))
	})
	t.Run("interval", func(t *testing.T) {
		dir, d := t.TempDir(), &disk{}
		j := open(t, journal.Options{Dir: dir, Interval: manual}.On(d.Create))
		appendNumbers(t, j, 1, 3)
		d.set(func(d *disk) { d.sync, d.syncs, d.create = syscall.EIO, 1, syscall.EIO })
		require.ErrorIs(t, j.Sync(), syscall.EIO)
		require.ErrorIs(t, j.Sync(), syscall.EIO, "the kernel would say that all is well")
		require.Zero(t, j.Usage().Synced)
		appendNumbers(t, j, 4, 6)
		require.NotZero(t, j.Usage().Held)
		require.Equal(t, upTo[uint64](1, 6), numbersOf(all(t, j, j.Stream(), 0)))
		d.set(func(d *disk) { d.sync, d.create = nil, nil })
		soon(t, "it is tried again", func() bool { return j.Usage().Held == 0 })
		require.NoError(t, j.Sync())
		require.Equal(t, int64(6), j.Usage().Synced)
		require.Equal(t, upTo[uint64](1, 6), everything(t, d.lose(t, dir)))
		closed(t, j)
		require.Equal(t, upTo[uint64](1, 6), everything(t, dir))
	})
}

// What cannot be read back after a failed sync is lost, and shows as a gap.
func TestSyncFailsAndLoses(t *testing.T) {
	dir, d := t.TempDir(), &disk{}
	j := open(t, journal.Options{Dir: dir, Interval: manual}.On(d.Create))
	appendNumbers(t, j, 1, 9)
	segment := files(t, dir)[0]
	f, err := os.OpenFile(segment, os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(make([]byte, 64), journal.HeaderSize+4*(journal.RecordSize+8))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	d.set(func(d *disk) { d.sync, d.syncs = syscall.EIO, 1 })
	require.NoError(t, j.Sync())
	require.Equal(t, []uint64{1, 2, 3, 4, 7, 8, 9}, numbersOf(all(t, j, j.Stream(), 0)))
	appendNumbers(t, j, 10, 11)
	require.Equal(t, []int64{7, 8, 9, 10, 11}, seqsOf(all(t, j, j.Stream(), 4)))
}

// Saving what could not be synced changes nothing until it is complete: a
// process that dies in its middle leaves everything.
func TestDiesWhileSaving(t *testing.T) {
	for spare := range 2 { // fails the records, then the header
		dir, d := t.TempDir(), &disk{}
		j := open(t, journal.Options{Dir: dir, Interval: manual, SegmentBytes: 600}.On(d.Create))
		appendNumbers(t, j, 1, 4)
		require.NoError(t, j.Sync())
		appendNumbers(t, j, 5, 40)
		d.set(func(d *disk) { d.sync, d.syncs, d.write, d.writes, d.spare = syscall.EIO, 1, syscall.EIO, -1, spare })
		require.ErrorIs(t, j.Sync(), syscall.EIO)
		require.Equal(t, upTo[uint64](1, 40), numbersOf(all(t, j, j.Stream(), 0)))
		clone := filepath.Join(t.TempDir(), "clone")
		require.NoError(t, os.CopyFS(clone, os.DirFS(dir)))
		require.Equal(t, upTo[uint64](1, 40), everything(t, clone))
		d.set(func(d *disk) { d.write = nil })
		require.NoError(t, j.Sync())
		require.Equal(t, upTo[uint64](1, 40), everything(t, d.lose(t, dir)))
	}
}

// The last record, when it is lost, is not waited for.
func TestSyncFailsAndLosesTheLast(t *testing.T) {
	dir, d := t.TempDir(), &disk{}
	j := open(t, journal.Options{Dir: dir, Interval: manual}.On(d.Create))
	appendNumbers(t, j, 1, 3)
	require.NoError(t, os.Truncate(files(t, dir)[0], journal.HeaderSize+2*(journal.RecordSize+8)))
	d.set(func(d *disk) { d.sync, d.syncs = syscall.EIO, 1 })
	require.NoError(t, j.Sync())
	require.Equal(t, int64(2), j.Usage().Appended)
	appendNumbers(t, j, 4, 4)
	require.Equal(t, []int64{1, 2, 4}, seqsOf(all(t, j, j.Stream(), 0)), "its number is not used again")
}

// A segment that never got its first record gives way to a larger one, which
// has the same name.
func TestFirstWriteFails(t *testing.T) {
	dir, d, c := t.TempDir(), &disk{write: syscall.ENOSPC, writes: 1, spare: 1}, newClock()
	j := open(t, journal.Options{Dir: dir, Refuse: true, SegmentBytes: 600, Interval: manual, Now: c.Now}.On(d.Create))
	require.ErrorIs(t, j.Append(numbered(9)), journal.ErrFull)
	c.move(time.Second)
	group := make([][]byte, 30)
	for i := range group {
		group[i] = numbered(uint64(i + 1))
	}
	require.NoError(t, j.AppendAll(group))
	appendNumbers(t, j, 31, 40)
	require.Equal(t, upTo[uint64](1, 40), numbersOf(all(t, j, j.Stream(), 0)))
	closed(t, j)
	require.Equal(t, upTo[uint64](1, 40), everything(t, dir))
}

// Where files cannot be allocated they grow.
func TestNothingAllocated(t *testing.T) {
	dir, d := t.TempDir(), &disk{flat: true}
	j := open(t, journal.Options{Dir: dir, Interval: manual, SegmentBytes: 600}.On(d.Create))
	appendNumbers(t, j, 1, 50)
	d.set(func(d *disk) { d.write, d.writes = syscall.ENOSPC, 1 })
	appendNumbers(t, j, 51, 60)
	soon(t, "nothing stays in memory", func() bool { return j.Usage().Held == 0 })
	require.Equal(t, upTo[uint64](1, 60), numbersOf(all(t, j, j.Stream(), 0)))
	require.NoError(t, j.Sync())
	require.Equal(t, upTo[uint64](1, 60), everything(t, d.lose(t, dir)))
}

// Records keep their order through a disk that comes and goes, and none is lost.
func TestDiskComesAndGoes(t *testing.T) {
	dir, d := t.TempDir(), &disk{}
	j := open(t, journal.Options{Dir: dir, SegmentBytes: 2048, Interval: time.Millisecond}.On(d.Create))
	var tasks sync.WaitGroup
	stop := make(chan struct{})
	var taken [4]uint64
	for worker := range taken {
		tasks.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if !assert.NoError(t, j.Append(numbered(uint64(worker)<<32|taken[worker]))) {
					return
				}
				taken[worker]++
			}
		})
	}
	after := int64(0)
	next := make([]uint64, len(taken))
	for round := range 24 {
		d.set(func(d *disk) {
			switch round % 4 {
			case 0:
				d.write, d.writes = syscall.ENOSPC, 1
			case 1:
				d.sync, d.syncs = syscall.EIO, 1
			case 2:
				d.create, d.cut = syscall.EIO, syscall.EIO
				d.write, d.writes = syscall.EIO, 2
			default:
				d.create, d.write, d.sync, d.cut = nil, nil, nil, nil
			}
		})
		for range 20 {
			j.Await(t, after)
			entries, err := j.Read(j.Stream(), after, 50)
			require.NoError(t, err)
			for _, e := range entries {
				require.Equal(t, after+1, e.Seq)
				after = e.Seq
				worker := numberOf(e) >> 32
				require.Equal(t, next[worker], numberOf(e)&0xffffffff)
				next[worker]++
			}
		}
	}
	close(stop)
	tasks.Wait()
	closed(t, j)
	var want []uint64
	for worker, n := range taken {
		for i := range n {
			want = append(want, uint64(worker)<<32|i)
		}
	}
	require.Equal(t, want, everything(t, dir))
}
