package journal

import (
	"bytes"
	"math"

	"github.com/google/uuid"
)

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
