package journal

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
)

// Oldest gives the lowest number of a stream that can be read; 0 where there is
// none.
func (j *Journal) Oldest(id models.StreamID) int64 {
	st := j.shelf.find(id)
	if st == nil {
		return 0
	}
	j.shelf.mu.RLock()
	defer j.shelf.mu.RUnlock()
	return st.first()
}

// Await waits until there is a record above after.
func (j *Journal) Await(t *testing.T, after int64) {
	t.Helper()
	require.Eventually(t, func() bool { return j.own.last.Load() > after }, 10*time.Second, 50*time.Microsecond)
}

// File is what a segment is written through.
type File = file

// CreateFile makes a file on the disk.
var CreateFile = createFile

// On gives a journal another disk.
func (o Options) On(create func(path string) (File, error)) Options {
	o.create = create
	return o
}

// The sizes of the format.
const (
	HeaderSize = headerSize
	RecordSize = recordSize
)

// Scan reads content as a segment of a stream, once with a buffer that is used
// again and once without.
func Scan(content []byte, stream uuid.UUID) (once, again []Entry, err error) {
	h, err := decodeHeader(content)
	if err != nil {
		h = header{stream: stream, first: 1}
	}
	for _, reuse := range []bool{false, true} {
		scan := newScanner(bytes.NewReader(content), seedOf(stream), h.first, math.MaxInt64, int64(len(content)))
		scan.reuse = reuse
		var entries []Entry
		for {
			r, ok, err := scan.next()
			if err != nil {
				return nil, nil, err
			}
			if !ok {
				break
			}
			e := r.entry()
			e.Payload = bytes.Clone(e.Payload)
			entries = append(entries, e)
		}
		once, again = again, entries
	}
	return once, again, nil
}
