package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

const (
	inUse   = ".seg"
	ahead   = ".next"
	uuidLen = 36
)

// A segment is one file of a stream.
type segment struct {
	header
	path string
	size int64 // room on the disk

	end    atomic.Int64 // up to where it may be read
	last   atomic.Int64 // highest number in it; under first when it has none
	synced atomic.Int64 // up to where it survives a loss of power

	// Guarded by shelf.mu; whoever has the pen may read them without.
	file   file  // to write with; nil when that is over and synced
	sealed bool  // nothing will be added
	most   int64 // highest number that counts
	doneAt time.Time
}

func segmentName(stream uuid.UUID, first int64) string {
	return fmt.Sprintf("%s-%020d%s", stream, first, inUse)
}

func aheadName(stream uuid.UUID, number int64) string {
	return fmt.Sprintf("%s-%020d%s", stream, number, ahead)
}

// parseName reads what a segment's name says; ok is false for other files.
func parseName(name string) (stream uuid.UUID, number int64, used, ok bool) {
	stem, used := strings.CutSuffix(name, inUse)
	if !used {
		if stem, ok = strings.CutSuffix(name, ahead); !ok {
			return stream, 0, false, false
		}
	}
	if len(stem) != uuidLen+1+20 || stem[uuidLen] != '-' {
		return stream, 0, used, false
	}
	stream, err := uuid.Parse(stem[:uuidLen])
	number, err2 := strconv.ParseInt(stem[uuidLen+1:], 10, 64)
	return stream, number, used, err == nil && err2 == nil && number >= 0
}

// list finds the segments of a folder, by stream, in their order. What was made
// ahead and not used comes apart.
func list(dir string) (streams map[uuid.UUID][]*segment, unused []*segment, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("list segments: %w", err)
	}
	streams = map[uuid.UUID][]*segment{}
	for _, entry := range entries {
		stream, number, used, ok := parseName(entry.Name())
		if !ok || !entry.Type().IsRegular() {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		h, size, err := readHeader(path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // deleted meanwhile
			continue
		case err != nil && !errors.Is(err, errHeader):
			return nil, nil, fmt.Errorf("read %s: %w", path, err)
		case !used && errors.Is(err, errBlank):
			unused = append(unused, &segment{header: header{stream: stream}, path: path, size: size, sealed: true})
			continue
		case err != nil && !used:
			continue // its name says too little, but somebody may still make sense of it
		case err != nil:
			// The name says enough to read the records, but for the order.
			h = header{stream: stream, first: max(1, number)}
		}
		s := &segment{header: h, path: path, size: size, sealed: true, most: math.MaxInt64}
		s.end.Store(size)
		s.last.Store(h.first - 1)
		streams[h.stream] = append(streams[h.stream], s)
	}
	for _, segments := range streams {
		arrange(segments)
	}
	return streams, unused, nil
}

func readHeader(path string) (h header, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return h, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return h, 0, err
	}
	b := make([]byte, headerSize)
	if n, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return h, 0, err
	} else {
		b = b[:n]
	}
	h, err = decodeHeader(b)
	return h, info.Size(), err
}

// arrange sorts the segments of a stream, and bounds those that later ones
// supersede.
func arrange(segments []*segment) {
	byFirst := func(a, b *segment) int { return cmp.Compare(a.first, b.first) }
	slices.SortStableFunc(segments, byFirst)
	var before header
	for _, s := range segments {
		if s.ordinal == 0 { // its header is damaged
			s.ordinal, s.started, s.created = before.ordinal, before.started, before.created
		}
		before = s.header
	}
	slices.SortStableFunc(segments, func(a, b *segment) int {
		return cmp.Or(cmp.Compare(a.ordinal, b.ordinal), byFirst(a, b))
	})
	next := int64(math.MaxInt64)
	for i, s := range slices.Backward(segments) {
		s.most = next - 1
		if next == math.MaxInt64 {
			s.most = next
		}
		next = min(next, s.first)
		s.ordinal = int64(i + 1) // unique, from here on
	}
}

// search goes through the records of a segment, and returns the scanner at its
// end.
func (s *segment) search(each func(record)) (*scanner, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	scan := newScanner(f, seedOf(s.stream), s.first, s.most, s.end.Load())
	scan.reuse = true
	for {
		r, ok, err := scan.next()
		switch {
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", s.path, err)
		case !ok:
			return scan, nil
		}
		each(r)
	}
}
