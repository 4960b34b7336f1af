package journal_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/journal"
)

// segmented is a journal with ten records to a segment, all of them synced.
func segmented(t *testing.T, o journal.Options, records uint64) *journal.Journal {
	t.Helper()
	o.SegmentBytes = journal.HeaderSize + 10*(journal.RecordSize+8)
	o.Interval = manual
	j := open(t, o)
	appendNumbers(t, j, 1, records)
	require.NoError(t, j.Sync())
	return j
}

func TestKeep(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	j := segmented(t, journal.Options{Dir: dir, Keep: time.Minute, Now: c.Now}, 45)
	id := j.Stream()
	require.Len(t, files(t, dir), 5)
	j.Done(id, 29) // the third segment's last record is 30
	c.move(time.Minute - 1)
	j.Done(id, 30)
	require.Len(t, files(t, dir), 5)
	c.move(1)
	j.Done(id, 30)
	require.Equal(t, int64(21), j.Oldest(id), "a minute after they were done, not after they were written")
	require.Len(t, files(t, dir), 3)
	c.move(time.Hour)
	j.Done(id, 45)
	require.Equal(t, int64(31), j.Oldest(id))
	c.move(time.Hour)
	j.Done(id, 45)
	require.Equal(t, int64(41), j.Oldest(id), "the one in use stays")
	require.Equal(t, upTo[uint64](41, 45), numbersOf(all(t, j, id, 0)))
	appendNumbers(t, j, 46, 60)
	require.Equal(t, upTo[uint64](41, 60), numbersOf(all(t, j, id, 0)))
}

func TestKeepBytes(t *testing.T) {
	dir := t.TempDir()
	full := int64(journal.HeaderSize + 10*(journal.RecordSize+8))
	j := segmented(t, journal.Options{Dir: dir, KeepBytes: 2 * full}, 55)
	j.Done(j.Stream(), 20)
	require.Equal(t, int64(1), j.Oldest(j.Stream()))
	j.Done(j.Stream(), 40)
	require.Equal(t, int64(21), j.Oldest(j.Stream()))
	require.Equal(t, 4, j.Usage().Segments)
}

// A cursor may go back: what is done no more is not deleted.
func TestDoneGoesBack(t *testing.T) {
	c := newClock()
	j := segmented(t, journal.Options{Dir: t.TempDir(), Keep: time.Minute, Now: c.Now}, 35)
	j.Done(j.Stream(), 30)
	c.move(30 * time.Second)
	j.Done(j.Stream(), 10)
	c.move(time.Hour)
	j.Done(j.Stream(), 10)
	require.Equal(t, int64(11), j.Oldest(j.Stream()))
	j.Done(j.Stream(), 20)
	require.Equal(t, upTo[uint64](11, 35), numbersOf(all(t, j, j.Stream(), 10)))
}

func TestEarlierStreams(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	first := segmented(t, journal.Options{Dir: dir, Now: c.Now}, 25)
	closed(t, first)
	j := segmented(t, journal.Options{Dir: dir, Keep: time.Minute, Now: c.Now}, 5)
	old := first.Stream()
	require.Len(t, j.Streams(), 2)
	j.Done(old, 24)
	require.Len(t, j.Streams(), 2)
	j.Done(old, 25)
	require.Len(t, j.Streams(), 1)
	require.Equal(t, int64(1), j.Oldest(old), "it is kept")
	require.Len(t, all(t, j, old, 0), 25)
	j.Done(old, 12)
	require.Len(t, j.Streams(), 2, "and can be had back")
	j.Done(old, 25)
	c.move(time.Minute)
	j.Done(j.Stream(), 1)
	_, err := j.Read(old, 0, 1)
	require.ErrorIs(t, err, journal.ErrUnknown)
	assert.Zero(t, j.Oldest(old))
	require.Len(t, files(t, dir), 1)
	j.Done(old, 30) // which nobody knows
}

// The reader of a segment can finish it after it was deleted.
func TestDeletedWhileReading(t *testing.T) {
	j := segmented(t, journal.Options{Dir: t.TempDir(), Keep: -1}, 35)
	id := j.Stream()
	entries, err := j.Read(id, 0, 3)
	require.NoError(t, err)
	require.Len(t, entries, 3)
	j.Done(id, 20)
	require.Equal(t, int64(21), j.Oldest(id))
	entries, err = j.Read(id, 3, 100)
	require.NoError(t, err)
	require.Equal(t, upTo[int64](21, 35), seqsOf(entries), "a gap, as far as the journal goes")
	require.Zero(t, j.Oldest("nobody"))
}
