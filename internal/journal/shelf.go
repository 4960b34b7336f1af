package journal

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/models"
)

// ErrUnknown says that there is no such stream in the folder.
var ErrUnknown = errors.New("no such stream")

// A Stream is what one opening of a folder has written.
type Stream struct {
	ID        models.StreamID
	Own       bool  // of this opening
	First     int64 // lowest sequence number that can be read; 0 where there is none
	Last      int64 // highest
	StartedAt time.Time
	Bytes     int64 // of segments
}

// stream is a Stream with its files.
type stream struct {
	id      uuid.UUID
	own     bool
	started time.Time
	last    atomic.Int64 // highest number that can be read

	// Guarded by shelf.mu.
	segments []*segment
	held     []held // what the disk has not taken; follows the segments
	done     int64  // the database has everything up to here; untold before anything is known

	position position
}

// untold is what is done of a stream that nobody has spoken of: of one without
// a record, too, the database may know, and has to be told that it is over.
const untold = -1

// held are records in memory, encoded. They are added to and never changed.
type held struct {
	data        []byte
	first, last int64
}

// A shelf is the streams of a folder, oldest first, our own last.
type shelf struct {
	mu      sync.RWMutex
	streams []*stream
}

// find returns a stream; nil where there is none.
func (s *shelf) find(id models.StreamID) *stream {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, st := range s.streams {
		if streamOf(st.id) == id {
			return st
		}
	}
	return nil
}

// load reads what earlier runs have left. With clean, it deletes files that
// hold nothing, but for one of a stream of which nothing else is there, whose
// name is all that is known of it.
func (s *shelf) load(dir string, clean bool, log *zap.Logger) error {
	found, empty, err := list(dir)
	if err != nil {
		return err
	}
	known := map[uuid.UUID]bool{}
	add := func(id uuid.UUID, segments []*segment) *stream {
		st := &stream{id: id, segments: segments, started: segments[0].started, done: untold}
		s.streams = append(s.streams, st)
		known[id] = true
		return st
	}
	for id, segments := range found {
		last, held, hollow, err := measure(segments)
		if err != nil {
			return err
		}
		if empty = append(empty, hollow...); len(held) > 0 {
			add(id, held).last.Store(last)
		}
	}
	for _, seg := range empty {
		clear := os.Remove
		if !known[seg.stream] {
			seg.first, seg.most, seg.size = 1, 0, 0
			add(seg.stream, []*segment{seg})
			clear = func(path string) error { return os.Truncate(path, 0) }
		}
		if !clean {
			continue
		}
		if err := clear(seg.path); err != nil {
			log.Warn("an empty segment cannot be deleted", zap.Error(err))
		}
	}
	slices.SortFunc(s.streams, func(a, b *stream) int {
		return cmp.Or(a.started.Compare(b.started), cmp.Compare(a.id.String(), b.id.String()))
	})
	return nil
}

// measure finds the last record of a stream that nobody writes any more, and
// sets apart the segments that never held anything.
func measure(segments []*segment) (last int64, held, empty []*segment, err error) {
	for i, seg := range slices.Backward(segments) {
		scan, err := seg.search(func(record) {})
		if err != nil {
			return 0, nil, nil, err
		}
		if scan.last >= seg.first {
			seg.most = scan.last
			return scan.last, append(slices.Clip(segments[:i+1]), held...), empty, nil
		}
		// Nothing can be read from it; if it is more than zeros, someone may
		// still want to look at it for as long as its stream is kept.
		seg.most = min(seg.most, seg.first-1)
		if scan.torn {
			held = append([]*segment{seg}, held...)
		} else {
			empty = append(empty, seg)
		}
	}
	return 0, held, empty, nil
}

// list describes the streams of which the database lacks something, and our own.
func (s *shelf) list() []Stream {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []Stream
	for _, st := range s.streams {
		one := Stream{ID: streamOf(st.id), Own: st.own, First: st.first(), Last: st.last.Load(), StartedAt: st.started}
		for _, seg := range st.segments {
			one.Bytes += seg.end.Load()
		}
		if st.own || one.Last > st.done {
			all = append(all, one)
		}
	}
	return all
}

// first needs shelf.mu.
func (st *stream) first() int64 {
	for _, seg := range st.segments {
		if seg.sealed && seg.most >= seg.first || seg.last.Load() >= seg.first {
			return seg.first
		}
	}
	if len(st.held) > 0 {
		return st.held[0].first
	}
	return 0
}

func (s *shelf) close() {
	s.mu.RLock()
	all := slices.Clone(s.streams)
	s.mu.RUnlock()
	for _, st := range all {
		st.position.close()
	}
}
