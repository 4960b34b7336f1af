package usage

import (
	"sync/atomic"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// progress knows up to which instant what was journalled is in the database.
type progress struct {
	began   time.Time // of what nothing is known yet
	streams map[models.StreamID]time.Time
	until   atomic.Pointer[time.Time] // the earliest of all streams
}

func newProgress(began time.Time) *progress {
	p := &progress{began: began, streams: map[models.StreamID]time.Time{}}
	p.until.Store(&began)
	return p
}

// complete notes that nothing older is missing of a stream.
func (p *progress) complete(stream models.StreamID, until time.Time) { p.streams[stream] = until }

// tell makes known what was noted, and forgets streams that are done.
func (p *progress) tell(open []Stream) {
	known := make(map[models.StreamID]time.Time, len(open))
	var earliest time.Time
	for _, s := range open {
		until, ok := p.streams[s.ID]
		if !ok {
			until = p.began
		}
		known[s.ID] = until
		if earliest.IsZero() || until.Before(earliest) {
			earliest = until
		}
	}
	p.streams = known
	if !earliest.IsZero() {
		p.until.Store(&earliest)
	}
}

// CompleteUntil tells up to when all that was journalled is in the database. It
// may be asked from any goroutine.
func (i *Ingester) CompleteUntil() time.Time { return *i.progress.until.Load() }
