package journal

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// keeping says how long and how much of what is done stays.
type keeping struct {
	time  time.Duration
	bytes int64
}

// markDone notes that the database has a stream up to seq. It may go back, when
// the database was restored: what lies between is not done any more.
func (s *shelf) markDone(id models.StreamID, seq int64) {
	if st := s.find(id); st != nil {
		s.mu.Lock()
		st.done = seq
		s.mu.Unlock()
	}
}

// sweep deletes what is done and no longer kept, the oldest first.
func (s *shelf) sweep(now time.Time, keep keeping) error {
	type of struct {
		st *stream
		*segment
	}
	var gone []of
	s.mu.Lock()
	kept := int64(0)
	for _, st := range s.streams {
		for _, seg := range st.segments {
			switch done := seg.finished(st); {
			case !done:
				seg.doneAt = time.Time{}
			case seg.doneAt.IsZero():
				seg.doneAt = now
			}
			if !seg.doneAt.IsZero() {
				kept += seg.size
			}
		}
	}
	for _, st := range s.streams {
		st.segments = slices.DeleteFunc(st.segments, func(seg *segment) bool {
			if seg.doneAt.IsZero() || now.Sub(seg.doneAt) < keep.time && kept <= keep.bytes {
				return false
			}
			kept -= seg.size
			gone = append(gone, of{st, seg})
			return true
		})
	}
	var drained []*stream
	s.streams = slices.DeleteFunc(s.streams, func(st *stream) bool {
		if st.own || len(st.segments) > 0 {
			return false
		}
		drained = append(drained, st)
		return true
	})
	s.mu.Unlock()
	for _, st := range drained {
		st.position.close()
	}
	var err error
	for _, seg := range gone {
		seg.st.position.leaveIf(seg.segment) // which holds its room, too
		if e := os.Remove(seg.path); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("delete segment: %w", e))
		}
	}
	return err
}

// finished tells whether the database has all of a segment to which nothing is
// added. It needs shelf.mu.
func (seg *segment) finished(st *stream) bool {
	return seg.sealed && seg.file == nil && seg.most <= st.done && seg.most < math.MaxInt64
}
