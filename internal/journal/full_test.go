package journal_test

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/journal"
)

// fullDisk is a folder on a disk of 1 MiB that can be filled and emptied.
func fullDisk(t *testing.T) (o journal.Options, fill, empty func()) {
	t.Helper()
	dir, ok := mountSmall(t, "1m")
	o = journal.Options{Dir: filepath.Join(dir, "journal"), SegmentBytes: 64 << 10, Interval: manual}
	if !ok {
		d := &disk{}
		return o.On(d.Create),
			func() { d.set(func(d *disk) { d.create, d.write, d.writes = syscall.ENOSPC, syscall.ENOSPC, -1 }) },
			func() { d.set(func(d *disk) { d.create, d.write = nil, nil }) }
	}
	ballast := filepath.Join(dir, "ballast")
	fill = func() {
		f, err := os.Create(ballast)
		require.NoError(t, err)
		defer f.Close()
		for _, piece := range []int{64 << 10, 4 << 10} {
			for err = nil; err == nil; {
				_, err = f.Write(make([]byte, piece))
			}
			require.ErrorIs(t, err, syscall.ENOSPC)
		}
	}
	return o, fill, func() { require.NoError(t, os.Remove(ballast)) }
}

func TestDiskFull(t *testing.T) {
	for _, fsync := range modes {
		t.Run(string(fsync), func(t *testing.T) {
			o, fill, empty := fullDisk(t)
			o.Fsync, o.Memory = fsync, 100<<10
			j := open(t, o)
			record := func(i uint64) []byte { return append(numbered(i), make([]byte, 1000)...) }
			require.NoError(t, j.Append(record(1)))
			fill()
			next := uint64(2)
			var err error
			for ; err == nil; next++ {
				err = j.Append(record(next))
			}
			next-- // that one has no number
			require.ErrorIs(t, err, journal.ErrFull)
			require.ErrorIs(t, err, syscall.ENOSPC)
			u := j.Usage()
			require.InDelta(t, o.Memory, u.Held, 1100)
			require.Equal(t, int64(next-1), u.Appended)
			require.Less(t, u.Synced, u.Appended)
			require.True(t, u.Blocked)
			require.Equal(t, u.Appended, u.Missing)
			j.Done(j.Stream(), 1)
			require.Equal(t, u.Appended-1, j.Usage().Missing)
			require.Error(t, j.Sync())
			require.Equal(t, upTo(1, next-1), numbersOf(all(t, j, j.Stream(), 0)), "what is in memory can be read")

			empty()
			soon(t, "space returns", func() bool { return j.Usage().Held == 0 })
			require.False(t, j.Usage().Blocked)
			require.NoError(t, j.Append(record(next)))
			require.NoError(t, j.Sync())
			require.Equal(t, int64(next), j.Usage().Synced)
			require.Equal(t, upTo(1, next), numbersOf(all(t, j, j.Stream(), 0)))
			closed(t, j)
			require.Equal(t, upTo(1, next), everything(t, o.Dir))
		})
	}
}

// While the database takes records, space comes from what it has.
func TestDiskFullOfOurs(t *testing.T) {
	dir, ok := mountSmall(t, "1m")
	o := journal.Options{Dir: filepath.Join(dir, "journal"), SegmentBytes: 64 << 10, Interval: time.Millisecond, Keep: time.Hour}
	d := &disk{}
	j := open(t, o.On(d.Create))
	payload := make([]byte, 1000)
	for i := 0; j.Usage().Held == 0; i++ {
		require.NoError(t, j.Append(payload))
		if !ok && i == 100 {
			d.set(func(d *disk) { d.create = syscall.ENOSPC })
		}
	}
	if !ok {
		d.set(func(d *disk) { d.create = nil })
	}
	j.Done(j.Stream(), j.Usage().Appended)
	soon(t, "done segments make room", func() bool { return j.Usage().Held == 0 })
	if ok {
		assert.Greater(t, j.Oldest(j.Stream()), int64(1), "though they would be kept otherwise")
	}
}

func TestRefuse(t *testing.T) {
	o, fill, empty := fullDisk(t)
	c := newClock()
	o.Refuse, o.Now = true, c.Now
	j := open(t, o)
	fill()
	payload := bytes.Repeat([]byte{1}, 1000)
	taken := int64(0)
	var err error
	for err == nil {
		if err = j.Append(payload); err == nil {
			taken++
		}
	}
	require.ErrorIs(t, err, journal.ErrFull)
	require.Zero(t, j.Usage().Held)
	require.Equal(t, taken, j.Usage().Appended)
	empty()
	require.ErrorIs(t, j.Append(payload), journal.ErrFull, "the disk is not bothered with every record")
	c.move(200 * time.Millisecond)
	require.NoError(t, j.Append(payload))
	require.Equal(t, taken+1, j.Usage().Appended)
}

// Records that were refused are not there, however far they had come.
func TestRefusedLeaveNothing(t *testing.T) {
	dir, d, c := t.TempDir(), &disk{}, newClock()
	j := open(t, journal.Options{Dir: dir, Refuse: true, Interval: manual, Now: c.Now}.On(d.Create))
	appendNumbers(t, j, 1, 3)
	group := make([][]byte, 20)
	for i := range group {
		group[i] = numbered(99)
	}
	d.set(func(d *disk) { d.write, d.writes = syscall.ENOSPC, 1 })
	require.ErrorIs(t, j.AppendAll(group), journal.ErrFull)
	c.move(time.Second)
	appendNumbers(t, j, 4, 4)
	clone := filepath.Join(t.TempDir(), "clone")
	require.NoError(t, os.CopyFS(clone, os.DirFS(dir)))
	require.Equal(t, upTo[uint64](1, 4), everything(t, clone))
}

// With Refuse, too, space comes from what the database has.
func TestRefuseUntilDone(t *testing.T) {
	dir, d, c := t.TempDir(), &disk{}, newClock()
	j := open(t, journal.Options{Dir: dir, Refuse: true, SegmentBytes: 600, Interval: manual, Now: c.Now}.On(d.Create))
	appendNumbers(t, j, 1, 50)
	require.NoError(t, j.Sync())
	d.set(func(d *disk) { d.create = syscall.ENOSPC })
	seq := uint64(50)
	for err := error(nil); err == nil; err = j.Append(numbered(seq)) {
		seq++
	}
	// A segment that was being made ahead may still come, and is used up too.
	require.Eventually(t, func() bool {
		require.NoError(t, j.Sync())
		j.Done(j.Stream(), j.Usage().Appended)
		c.move(time.Second)
		err := j.Append(numbered(seq))
		if err == nil {
			seq++
			return false
		}
		require.ErrorIs(t, err, journal.ErrFull)
		return len(files(t, dir)) == 1
	}, 10*time.Second, time.Millisecond, "all but the one in use")
}
