package journal_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/journal"
)

var modes = []journal.Fsync{journal.FsyncInterval, journal.FsyncAlways}

func TestRoundTrip(t *testing.T) {
	for _, fsync := range modes {
		t.Run(string(fsync), func(t *testing.T) {
			c, dir := newClock(), t.TempDir()
			j := open(t, journal.Options{Dir: dir, Fsync: fsync, SegmentBytes: 4096, Now: c.Now})
			payloads := [][]byte{{1}, bytes.Repeat([]byte{2}, 200), make([]byte, journal.MaxPayload), {3}}
			for _, p := range payloads {
				own := bytes.Clone(p)
				require.NoError(t, j.Append(own))
				clear(own) // it is the caller's again
			}
			c.move(time.Minute)
			require.NoError(t, j.AppendAll([][]byte{{4}, {5}}))
			entries := all(t, j, j.Stream(), 0)
			require.Equal(t, upTo[int64](1, 6), seqsOf(entries))
			for i, p := range append(payloads, []byte{4}, []byte{5}) {
				assert.True(t, bytes.Equal(p, entries[i].Payload))
			}
			assert.Equal(t, c.Now().Add(-time.Minute), entries[3].At)
			assert.Equal(t, c.Now(), entries[4].At)

			require.Error(t, j.Append(nil))
			require.Error(t, j.Append(make([]byte, journal.MaxPayload+1)))
			require.Error(t, j.AppendAll([][]byte{{6}, nil}), "all or none")
			require.NoError(t, j.AppendAll(nil))
			require.NoError(t, j.Sync())
			u := j.Usage()
			assert.Equal(t, int64(6), u.Appended)
			assert.Equal(t, int64(6), u.Synced)
			assert.Zero(t, u.Held)
			assert.Len(t, files(t, dir), u.Segments)
		})
	}
}

// Every payload comes once, and those of one appender in their order, while a
// reader follows.
func TestManyAppend(t *testing.T) {
	for fsync, each := range map[journal.Fsync]uint64{journal.FsyncInterval: 2000, journal.FsyncAlways: 100} {
		t.Run(string(fsync), func(t *testing.T) {
			const workers = 16
			j := open(t, journal.Options{Dir: t.TempDir(), Fsync: fsync, SegmentBytes: 16 << 10, Interval: time.Millisecond})
			var tasks sync.WaitGroup
			for worker := range uint64(workers) {
				tasks.Go(func() {
					for i := uint64(0); i < each; i += 2 {
						assert.NoError(t, j.Append(numbered(worker<<32|i)))
						assert.NoError(t, j.AppendAll([][]byte{numbered(worker<<32 | (i + 1))}))
					}
				})
			}
			next := make([]uint64, workers)
			for after := int64(0); after < int64(workers*each); {
				j.Await(t, after)
				entries, err := j.Read(j.Stream(), after, 100)
				require.NoError(t, err)
				require.NotEmpty(t, entries)
				for _, e := range entries {
					require.Equal(t, after+1, e.Seq)
					after = e.Seq
					worker := numberOf(e) >> 32
					require.Equal(t, next[worker], numberOf(e)&0xffffffff)
					next[worker]++
				}
			}
			tasks.Wait()
		})
	}
}

func TestReopen(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	first := open(t, journal.Options{Dir: dir, SegmentBytes: 512, Now: c.Now})
	appendNumbers(t, first, 1, 100)
	closed(t, first)
	require.ErrorIs(t, first.Append([]byte{1}), journal.ErrClosed)
	require.ErrorIs(t, first.AppendAll([][]byte{{1}}), journal.ErrClosed)
	require.ErrorIs(t, first.Sync(), journal.ErrClosed)
	_, err := first.Read(first.Stream(), 0, 1)
	require.ErrorIs(t, err, journal.ErrClosed)
	require.NoError(t, first.Close())
	before := contents(t, dir)

	c.move(time.Hour)
	unused := open(t, journal.Options{Dir: dir, Now: c.Now})
	unused.Done(unused.Stream(), 0)
	closed(t, unused) // which leaves nothing
	second := open(t, journal.Options{Dir: dir, Now: c.Now})
	appendNumbers(t, second, 101, 110)
	streams := second.Streams()
	require.Len(t, streams, 2)
	old, own := streams[0], streams[1]
	assert.Equal(t, first.Stream(), old.ID)
	assert.False(t, old.Own)
	assert.Equal(t, int64(1), old.First)
	assert.Equal(t, int64(100), old.Last)
	assert.Equal(t, c.Now().Add(-time.Hour), old.StartedAt)
	assert.Equal(t, second.Stream(), own.ID)
	assert.True(t, own.Own)
	assert.Equal(t, int64(10), own.Last)
	assert.Equal(t, upTo[uint64](1, 100), numbersOf(all(t, second, old.ID, 0)))
	assert.Equal(t, upTo[uint64](101, 110), numbersOf(all(t, second, own.ID, 0)))
	for path, was := range before {
		now, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(was, now), "earlier streams are not written to")
	}
	_, err = second.Read("nobody", 0, 1)
	require.ErrorIs(t, err, journal.ErrUnknown)
}

// A stream without a record is heard of until it is Done: what others were told
// of it, such as how far it is complete, can be ended.
func TestStreamWithoutARecord(t *testing.T) {
	dir := t.TempDir()
	first := open(t, journal.Options{Dir: dir, Keep: -1})
	closed(t, first)
	for range 2 {
		for _, path := range files(t, dir) {
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Zero(t, info.Size(), "it takes no room")
		}
		second := open(t, journal.Options{Dir: dir, Keep: -1})
		streams := second.Streams()
		require.Len(t, streams, 2)
		require.Equal(t, journal.Stream{ID: first.Stream()}, streams[0])
		require.Empty(t, all(t, second, first.Stream(), 0))
		require.Zero(t, second.Usage().Missing)
		second.Done(second.Stream(), 0)
		closed(t, second)
	}
	reader, err := journal.OpenReader(dir)
	require.NoError(t, err)
	require.Equal(t, []journal.Stream{{ID: first.Stream()}}, reader.Streams())
	require.NoError(t, reader.Close())

	last := open(t, journal.Options{Dir: dir, Keep: -1})
	last.Done(first.Stream(), 0)
	require.Len(t, last.Streams(), 1)
	last.Done(last.Stream(), 0)
	closed(t, last)
	require.Empty(t, files(t, dir))
}

func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for _, path := range files(t, dir) {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		found[path] = b
	}
	return found
}

func TestReadAgain(t *testing.T) {
	j := open(t, journal.Options{Dir: t.TempDir(), SegmentBytes: 400})
	appendNumbers(t, j, 1, 100)
	for after := int64(99); after >= 0; after-- { // rewinding, by and by
		entries, err := j.Read(j.Stream(), after, 3)
		require.NoError(t, err)
		require.Equal(t, upTo(after+1, min(after+3, 100)), seqsOf(entries))
		again, err := j.Read(j.Stream(), after, 3)
		require.NoError(t, err)
		require.Equal(t, entries, again)
	}
	require.Len(t, all(t, j, j.Stream(), 0), 100)
	entries, err := j.Read(j.Stream(), 40, 0)
	require.NoError(t, err)
	require.Empty(t, entries)
	entries, err = j.Read(j.Stream(), 100, 10)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// What an append answers nil to is there; the others say that they came late.
func TestCloseWhileAppending(t *testing.T) {
	for _, fsync := range modes {
		t.Run(string(fsync), func(t *testing.T) {
			dir := t.TempDir()
			j := open(t, journal.Options{Dir: dir, Fsync: fsync, SegmentBytes: 4096})
			var taken [8]uint64
			var total atomic.Int64
			var tasks sync.WaitGroup
			for worker := range taken {
				tasks.Go(func() {
					for {
						if err := j.Append(numbered(uint64(worker)<<32 | taken[worker])); err != nil {
							assert.ErrorIs(t, err, journal.ErrClosed)
							return
						}
						taken[worker]++
						total.Add(1)
					}
				})
			}
			soon(t, "records come", func() bool { return total.Load() > 100 })
			closed(t, j)
			tasks.Wait()
			var want []uint64
			for worker, n := range taken {
				for i := range n {
					want = append(want, uint64(worker)<<32|i)
				}
			}
			assert.Equal(t, want, everything(t, dir))
		})
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	j := open(t, journal.Options{Dir: dir})
	_, err := journal.Open(journal.Options{Dir: dir})
	require.ErrorIs(t, err, journal.ErrLocked)
	require.ErrorContains(t, err, dir)
	_, err = journal.OpenReader(dir)
	require.ErrorIs(t, err, journal.ErrLocked)

	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), "JOURNAL_CHILD="+dir)
	out, err := other.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), journal.ErrLocked.Error())

	closed(t, j)
	closed(t, open(t, journal.Options{Dir: dir}))
	_, err = journal.OpenReader(filepath.Join(dir, "nowhere"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = journal.Open(journal.Options{Dir: dir, Fsync: "sometimes"})
	require.ErrorContains(t, err, "sometimes")
}

// A copy of a folder goes on under an id of its own.
func TestClone(t *testing.T) {
	dir, clone := t.TempDir(), filepath.Join(t.TempDir(), "clone")
	j := open(t, journal.Options{Dir: dir})
	appendNumbers(t, j, 1, 3)
	closed(t, j)
	require.NoError(t, os.CopyFS(clone, os.DirFS(dir)))
	a, b := open(t, journal.Options{Dir: dir}), open(t, journal.Options{Dir: clone})
	require.NotEqual(t, a.Stream(), b.Stream())
	appendNumbers(t, a, 4, 4)
	appendNumbers(t, b, 5, 5)
	require.Equal(t, a.Streams()[0].ID, b.Streams()[0].ID)
	require.Equal(t, upTo[uint64](1, 3), numbersOf(all(t, b, j.Stream(), 0)))
	require.Equal(t, []uint64{4}, numbersOf(all(t, a, a.Stream(), 0)))
	require.Equal(t, []uint64{5}, numbersOf(all(t, b, b.Stream(), 0)))
}

// Inspecting needs no lock and shows what is there.
func TestInspect(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	j := open(t, journal.Options{Dir: dir, SegmentBytes: 400, Now: c.Now})
	appendNumbers(t, j, 1, 25)
	var infos []journal.SegmentInfo
	require.NoError(t, journal.Inspect(dir, func(i journal.SegmentInfo) error {
		infos = append(infos, i)
		return nil
	}))
	next, records := int64(1), int64(0)
	for _, i := range infos {
		assert.True(t, strings.HasPrefix(i.File, string(j.Stream())))
		assert.Equal(t, j.Stream(), i.Stream)
		assert.Equal(t, next, i.First)
		assert.Equal(t, i.Last-i.First+1, i.Records)
		assert.Equal(t, c.Now(), i.Created)
		assert.Zero(t, i.Corrupt)
		assert.False(t, i.Torn)
		next, records = i.Last+1, records+i.Records
	}
	assert.Equal(t, int64(25), records)
	require.ErrorIs(t, journal.Inspect(dir, func(journal.SegmentInfo) error { return os.ErrInvalid }), os.ErrInvalid)
	require.ErrorIs(t, journal.Inspect(filepath.Join(dir, "nowhere"), nil), os.ErrNotExist)
}
