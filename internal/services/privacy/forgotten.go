package privacy

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// zero stands for no bound in time.
var zero time.Time

// Erasures tells whose data was erased.
type Erasures interface {
	Erasures(ctx context.Context, since time.Time) ([]models.Erasure, error)
}

// Forgotten knows whose data was erased and when, so that what happened before
// and is brought into the database only now is stored without it. It hears of an
// erasure within a second; what was stored in that second is for a later
// repetition of the erasure to empty.
type Forgotten struct {
	source Erasures
	known  atomic.Pointer[forgotten]
	newest time.Time
}

// forgotten are the instants of erasures. It is never changed.
type forgotten struct {
	keys   map[models.KeyID]time.Time
	owners map[models.OwnerID]time.Time
}

// NewForgotten makes one that knows of no erasure until it is refreshed.
func NewForgotten(source Erasures) *Forgotten { return &Forgotten{source: source} }

const (
	refreshEvery = time.Second
	// refreshOverlap is longer than a transaction takes to commit after its clock
	// was read, and than clocks differ.
	refreshOverlap = 5 * time.Minute
)

// Refresh learns of erasures that are new. One goroutine at a time may call it.
func (f *Forgotten) Refresh(ctx context.Context) error {
	since := f.newest
	if !since.IsZero() {
		since = since.Add(-refreshOverlap)
	}
	list, err := f.source.Erasures(ctx, since)
	if err != nil {
		return err
	}
	known := f.known.Load()
	if len(list) == 0 || known != nil && known.has(list) {
		return nil
	}
	next := &forgotten{map[models.KeyID]time.Time{}, map[models.OwnerID]time.Time{}}
	if known != nil {
		for id, at := range known.keys {
			next.keys[id] = at
		}
		for id, at := range known.owners {
			next.owners[id] = at
		}
	}
	for i := range list {
		e := &list[i]
		if e.SubjectKind == models.SubjectKey {
			next.keys[models.KeyID(e.SubjectID)] = e.ErasedAt
		} else {
			next.owners[models.OwnerID(e.SubjectID)] = e.ErasedAt
		}
		if e.ErasedAt.After(f.newest) {
			f.newest = e.ErasedAt
		}
	}
	f.known.Store(next)
	return nil
}

// has tells whether there is nothing new in a list.
func (f *forgotten) has(list []models.Erasure) bool {
	for i := range list {
		e := &list[i]
		at := f.owners[models.OwnerID(e.SubjectID)]
		if e.SubjectKind == models.SubjectKey {
			at = f.keys[models.KeyID(e.SubjectID)]
		}
		if !at.Equal(e.ErasedAt) {
			return false
		}
	}
	return true
}

// Run refreshes until ctx ends. While the database is away, nothing is brought
// into it either.
func (f *Forgotten) Run(ctx context.Context) error {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = f.Refresh(ctx) // the next one learns the same
		case <-ctx.Done():
			return nil
		}
	}
}

// Blank takes from a record where it came from, if that was erased after it
// happened, and tells whether it did. It is safe for concurrent use.
func (f *Forgotten) Blank(r *models.Record) bool {
	known := f.known.Load()
	if known == nil || !r.IP.IsValid() && r.UserAgent == "" {
		return false
	}
	at, ok := known.keys[r.KeyID]
	if !ok || r.At.After(at) {
		at, ok = known.owners[r.Segment.OwnerID]
	}
	if !ok || r.At.After(at) {
		return false
	}
	r.Anonymize()
	return true
}
