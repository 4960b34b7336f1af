package journal_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/journal"
)

// sample is a folder with one segment of five records, and its content. The
// payloads' length has a single bit, so that one flip makes it 0.
func sample(t testing.TB) (path string, content []byte, size int) {
	t.Helper()
	dir := t.TempDir()
	j := open(t, journal.Options{Dir: dir, SegmentBytes: 2048})
	for i := range byte(5) {
		require.NoError(t, j.Append(bytes.Repeat([]byte{i + 1}, 64)))
	}
	closed(t, j)
	found := files(t, dir)
	require.Len(t, found, 1)
	content, err := os.ReadFile(found[0])
	require.NoError(t, err)
	size = journal.RecordSize + 64
	require.Len(t, content, journal.HeaderSize+5*size)
	return found[0], content, size
}

// readDamaged opens the folder of a segment with another content, and reads it.
func readDamaged(t testing.TB, path string, content []byte) []journal.Entry {
	t.Helper()
	require.NoError(t, os.WriteFile(path, content, 0o600))
	r, err := journal.OpenReader(filepath.Dir(path))
	require.NoError(t, err)
	defer r.Close()
	var entries []journal.Entry
	for _, st := range r.Streams() {
		got := all(t, r, st.ID, 0)
		require.Equal(t, st.Last, got[len(got)-1].Seq)
		for _, e := range got {
			require.Equal(t, bytes.Repeat([]byte{byte(e.Seq)}, 64), e.Payload)
		}
		entries = append(entries, got...)
	}
	return entries
}

func TestTornTail(t *testing.T) {
	path, content, size := sample(t)
	start := len(content) - size
	for cut := start; cut < len(content); cut++ {
		for name, tail := range map[string][]byte{
			"ends": nil, "zeros": make([]byte, 3000), "garbage": bytes.Repeat([]byte{0xa5}, 300),
		} {
			entries := readDamaged(t, path, append(bytes.Clone(content[:cut]), tail...))
			require.Equal(t, upTo[int64](1, 4), seqsOf(entries), "%s at %d", name, cut-start)
			require.NoError(t, journal.Inspect(filepath.Dir(path), func(i journal.SegmentInfo) error {
				require.Equal(t, int64(4), i.Records)
				require.Zero(t, i.Corrupt)
				require.Equal(t, cut > start || name == "garbage", i.Torn, "%s at %d", name, cut-start)
				return nil
			}))
		}
	}
}

// A damaged record is skipped, whichever of its bits is wrong.
func TestBitFlip(t *testing.T) {
	path, content, size := sample(t)
	start := journal.HeaderSize + 2*size
	for i := range size * 8 {
		damaged := bytes.Clone(content)
		damaged[start+i/8] ^= 1 << (i % 8)
		entries := readDamaged(t, path, damaged)
		require.Equal(t, []int64{1, 2, 4, 5}, seqsOf(entries), "bit %d", i)
		require.NoError(t, journal.Inspect(filepath.Dir(path), func(info journal.SegmentInfo) error {
			require.Equal(t, 1, info.Corrupt)
			return nil
		}))
	}
}

// A damaged header costs nothing: the name says enough.
func TestHeaderFlip(t *testing.T) {
	path, content, _ := sample(t)
	for i := range journal.HeaderSize * 8 {
		damaged := bytes.Clone(content)
		damaged[i/8] ^= 1 << (i % 8)
		require.Equal(t, upTo[int64](1, 5), seqsOf(readDamaged(t, path, damaged)), "bit %d", i)
	}
}

// A hole, as a loss of power leaves in what was not synced, hides nothing behind it.
func TestHole(t *testing.T) {
	path, content, size := sample(t)
	damaged := bytes.Clone(content)
	clear(damaged[journal.HeaderSize+size+10 : journal.HeaderSize+3*size+3])
	require.Equal(t, []int64{1, 5}, seqsOf(readDamaged(t, path, damaged)))
}

// A file that is made to look like a record at every turn does not keep us
// busy: its end is soon given up.
func TestHostileSegment(t *testing.T) {
	path, content, _ := sample(t)
	head := make([]byte, journal.RecordSize)
	binary.LittleEndian.PutUint32(head, journal.MaxPayload)
	binary.LittleEndian.PutUint64(head[8:], 6)
	hostile := append(bytes.Clone(content), bytes.Repeat(head, 4*journal.MaxPayload/len(head))...)
	require.Equal(t, upTo[int64](1, 5), seqsOf(readDamaged(t, path, hostile)))
	require.NoError(t, journal.Inspect(filepath.Dir(path), func(info journal.SegmentInfo) error {
		require.True(t, info.Torn)
		return nil
	}))
}

// oddities are segments that are anything but right, and one that is.
func oddities(t testing.TB) (path string, contents [][]byte) {
	t.Helper()
	path, content, size := sample(t)
	return path, [][]byte{
		content,
		content[:len(content)-9],
		append(bytes.Clone(content[:200]), content[120:]...),
		append(bytes.Clone(content), make([]byte, 500)...),
		append(bytes.Clone(content), content[journal.HeaderSize:]...),
		bytes.Repeat([]byte{0xff}, 300),
		bytes.Repeat([]byte{1, 0, 0, 0}, 300),
		content[:journal.HeaderSize+size],
		content[journal.HeaderSize:],
		{},
	}
}

// Whatever lies in the folder, a journal opens and reads what there is.
func TestOddSegments(t *testing.T) {
	path, contents := oddities(t)
	for _, content := range contents {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(path)), content, 0o600))
		j := open(t, journal.Options{Dir: dir, SegmentBytes: 4096, Interval: manual})
		for _, st := range j.Streams() {
			entries := all(t, j, st.ID, 0)
			require.Equal(t, st.Last == 0, len(entries) == 0)
			if st.Last > 0 {
				require.Equal(t, st.Last, entries[len(entries)-1].Seq)
			}
		}
		require.NoError(t, journal.Inspect(dir, func(i journal.SegmentInfo) error {
			require.LessOrEqual(t, i.Records*journal.RecordSize, i.Bytes)
			return nil
		}))
	}
}

// FuzzSegment reads anything as a segment. It must neither crash nor hang, and
// what it finds must be in the content, in order.
func FuzzSegment(f *testing.F) {
	path, contents := oddities(f)
	for _, content := range contents {
		f.Add(content)
	}
	stream := uuid.MustParse(filepath.Base(path)[:36])
	f.Fuzz(func(t *testing.T, content []byte) {
		once, again, err := journal.Scan(content, stream)
		require.NoError(t, err)
		require.Equal(t, once, again)
		after := int64(0)
		for _, e := range once {
			require.Greater(t, e.Seq, after)
			require.True(t, bytes.Contains(content, e.Payload))
			after = e.Seq
		}
	})
}
