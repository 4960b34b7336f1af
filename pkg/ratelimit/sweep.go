package ratelimit

import (
	"math"
	"time"
)

// A sweep is how far a shard has looked for entries that no longer count. Each
// new entry makes the next take look at a few places, so that a shard holds
// little more than what was new in one life of its entries.
type sweep struct {
	next   uint32 // place to look at
	vain   uint32 // places looked at since an entry was dropped
	vainAt int64  // instant at which the whole shard had been looked at in vain
}

const (
	sweepPlaces = 4    // that each new entry makes the next take look at
	minSweep    = 64   // entries of a shard not worth a sweep
	maxLooked   = 4096 // places that one take in a full store looks at for room
	// How soon a full store looks again at a shard that had nothing to drop.
	vainFor = int64(100 * time.Millisecond / time.Microsecond)
)

// tidy does the work that new entries have left behind.
func (s *shard) tidy(m *Memory, now int64) {
	due := int(s.table.added)
	if due == 0 {
		return
	}
	s.table.added = 0
	if s.table.left > 0 {
		s.table.move(due * movePlaces)
	} else if s.table.size >= minSweep {
		for range due * sweepPlaces {
			s.look(m, now)
		}
	}
}

// look looks at the next place and tells whether it dropped an entry.
func (s *shard) look(m *Memory, now int64) bool {
	w := &s.sweep
	if w.next >= s.table.n {
		w.next = 0
	}
	if e := s.table.at(w.next); e.id[0] != 0 && int64(e.forget)<<forgetBits <= now {
		s.drop(m, e)
		w.vain = 0
		return true
	}
	w.next++
	w.vain++
	return false
}

// keepUntil sets the instant from which the entry need not be kept.
func (e *entry) keepUntil(micros int64) {
	e.forget = uint32(min((micros+1<<forgetBits-1)>>forgetBits, math.MaxUint32))
}

// reclaim looks at up to most places for a full store, where many takes come
// here in vain.
func (s *shard) reclaim(m *Memory, now int64, most int) (freed, looked int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &s.sweep
	if since := now - w.vainAt; w.vain >= s.table.n && since >= 0 && since < vainFor {
		return 0, 0
	}
	s.table.move(int(s.table.left))
	for w.vain = 0; looked < most && w.vain < s.table.n; looked++ {
		if s.look(m, now) {
			freed++
		}
	}
	if w.vain >= s.table.n {
		w.vainAt = now
	}
	return freed, looked
}
