package cache

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// An entry is a value as it was read, or the answer that there is none. Only
// its atomics change once it is in a table. What a hit looks at comes first, on
// one line of the processor's cache.
type entry[V any] struct {
	value   V
	read    time.Duration // when the database read began
	tags    *tags
	round   atomic.Int64 // of tags, in which it was current
	used    atomic.Bool  // since the hand last passed
	missing error        // CodeNotFound, in place of a value

	hash  apikey.Hash
	tried atomic.Int64        // when it was last read again, as a time.Duration
	made  []models.Dependency // what the value was made from
	basis basis               // the same, or the anchor
	slot  int                 // in the ring of its shard, guarded by its lock
}

// current tells whether nothing is known to have changed of what it was made
// from.
func (e *entry[V]) current() bool {
	round := e.tags.rounds.Load()
	if e.round.Load() == round {
		return true
	}
	if !e.basis.current() {
		return false
	}
	e.round.Store(round)
	return true
}

// A table holds a bounded number of entries. Which one makes room follows the
// second-chance algorithm (Corbató, "A Paging Experiment with the Multics
// System", 1968): a hand goes round the entries and takes the first that was
// not used since its last visit. A hit costs a map lookup under a read lock,
// allocates nothing, and writes to its entry only on the first use of a round.
//
// Hashes are uniform, so one byte of them chooses the shard.
type table[V any] struct {
	shards []shard[V]
	mask   byte
}

type shard[V any] struct {
	mu     sync.RWMutex
	byHash map[apikey.Hash]*entry[V]
	ring   []*entry[V]
	hand   int
	max    int
	// hits counts answers. It stands here because a hit has the line of the
	// processor's cache already.
	hits atomic.Int64
}

const (
	maxShards = 64
	// minShard is small enough, and large enough for shards to fill evenly.
	minShard = 256
)

func newTable[V any](maxEntries int) *table[V] {
	count := 1
	for count < maxShards && maxEntries/(2*count) >= minShard {
		count *= 2
	}
	t := &table[V]{shards: make([]shard[V], count), mask: byte(count - 1)}
	for i := range t.shards {
		t.shards[i].byHash = make(map[apikey.Hash]*entry[V])
		t.shards[i].max = max(1, maxEntries/count)
	}
	return t
}

func (t *table[V]) shard(hash *apikey.Hash) *shard[V] {
	return &t.shards[hash[0]&t.mask]
}

// count gives the entries there are, and how often one was the answer.
func (t *table[V]) count() (entries int, hits int64) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		entries += len(s.ring)
		s.mu.RUnlock()
		hits += s.hits.Load()
	}
	return entries, hits
}

// find returns the entry of a hash, or nil.
func (t *table[V]) find(hash *apikey.Hash) *entry[V] {
	s := t.shard(hash)
	s.mu.RLock()
	e := s.byHash[*hash]
	s.mu.RUnlock()
	if e != nil && !e.used.Load() {
		e.used.Store(true)
	}
	return e
}

// put stores an entry and returns the one it displaces, or nil.
func (t *table[V]) put(e *entry[V]) *entry[V] {
	s := t.shard(&e.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.byHash[e.hash]
	switch {
	case old != nil:
		e.slot = old.slot
	case len(s.ring) < s.max:
		e.slot = len(s.ring)
		s.ring = append(s.ring, nil)
	default:
		old = s.victim()
		e.slot = old.slot
		delete(s.byHash, old.hash)
	}
	s.ring[e.slot], s.byHash[e.hash] = e, e
	return old
}

// victim moves the hand to the entry that makes room.
func (s *shard[V]) victim() *entry[V] {
	for {
		s.hand = (s.hand + 1) % len(s.ring)
		if e := s.ring[s.hand]; !e.used.Swap(false) {
			return e
		}
	}
}

// remove takes out the entry of a hash and returns it, or nil.
func (t *table[V]) remove(hash *apikey.Hash) *entry[V] {
	s := t.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.byHash[*hash]
	if old == nil {
		return nil
	}
	delete(s.byHash, *hash)
	last := len(s.ring) - 1
	moved := s.ring[last]
	moved.slot = old.slot
	s.ring[old.slot] = moved
	s.ring[last] = nil
	s.ring = s.ring[:last]
	return old
}
