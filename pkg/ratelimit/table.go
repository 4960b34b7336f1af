package ratelimit

// A table finds entries by their id: open addressing with linear probing, in
// memory without pointers, so that the garbage collector does not look at it
// and most look-ups touch one or two cache lines.
//
// An entry's home is its hash scaled to the number of places, not reduced
// modulo a power of two. So a table may have any size, which keeps it between
// 55 and 67 % full; and the homes in a larger or smaller table come in the same
// order, so that it is rebuilt from front to back, in steps, giving up segments
// of the old one as it takes new ones.
type table struct {
	size   int    // entries, those in old as well
	left   uint32 // while it is rebuilt: places of old to move
	added  uint32 // entries, since it was tidied
	places        // what a look-up needs ends here, in the shard's first cache line
	old    places
	next   uint32 // place of old to move next
}

// places are what entries are put in, in segments, so that no allocation takes
// long.
type places struct {
	n     uint32    // of places
	first []entry   // segment 0: all of them but in a large table
	more  [][]entry // the other segments
}

// An entry is empty if its id is zero.
type entry struct {
	id      entryID
	a, b, c int64  // a counter's state, packed; a kept decision has its instant in a
	forget  uint32 // from when it need not be kept, in units of 2^forgetBits µs
	block   blockID
}

const (
	segmentBits = 13
	segmentSize = 1 << segmentBits
	minPlaces   = 8
	maxPlaces   = 1 << 31
	movePlaces  = 256 // places of the old table that are moved for each new entry
	forgetBits  = 21  // entry.forget counts 2^21 µs, so that all instants fit
)

// emptySegment stands where no segment has been allocated yet, and where one is
// no longer needed. Nothing is ever put into it.
var emptySegment = make([]entry, segmentSize)

func newPlaces(n uint32) places {
	p := places{first: emptySegment[:min(segmentSize, n)], n: n}
	for begin := uint32(segmentSize); begin < n; begin += segmentSize {
		p.more = append(p.more, emptySegment[:min(segmentSize, n-begin)])
	}
	return p
}

func (p *places) at(i uint32) *entry {
	if int(i) < len(p.first) {
		return &p.first[i]
	}
	return &p.more[i>>segmentBits-1][i&(segmentSize-1)]
}

func (p *places) home(id *entryID) uint32 {
	return uint32((id[0] >> 32) * uint64(p.n) >> 32)
}

func (p *places) after(i uint32) uint32 {
	if i++; i == p.n {
		return 0
	}
	return i
}

// find returns the entry and its place, or nil and where to put it.
func (p *places) find(id *entryID) (*entry, uint32) {
	for i := p.home(id); ; i = p.after(i) {
		e := p.at(i)
		if e.id == *id {
			return e, i
		}
		if e.id[0] == 0 {
			return nil, i
		}
	}
}

// put puts an entry whose id is not there yet.
func (p *places) put(id *entryID) *entry {
	_, i := p.find(id)
	segment := p.segment(i >> segmentBits)
	if &(*segment)[0] == &emptySegment[0] {
		*segment = make([]entry, len(*segment))
	}
	e := p.at(i)
	e.id = *id
	return e
}

func (p *places) segment(i uint32) *[]entry {
	if i == 0 {
		return &p.first
	}
	return &p.more[i-1]
}

// clear empties place i and moves back those after it that would no longer be
// found (Knuth, The Art of Computer Programming, volume 3, algorithm 6.4R).
func (p *places) clear(i uint32) {
	for j := p.after(i); p.at(j).id[0] != 0; j = p.after(j) {
		e := p.at(j)
		if p.behind(p.home(&e.id), j) >= p.behind(i, j) {
			*p.at(i) = *e
			i = j
		}
	}
	*p.at(i) = entry{}
}

// behind returns how many places j is behind i.
func (p *places) behind(i, j uint32) uint32 {
	if j < i {
		return j + p.n - i
	}
	return j - i
}

// find returns the entry, or nil. Pointers to entries stay good until room is
// made, places are moved or an entry is removed.
func (t *table) find(id *entryID) *entry {
	if t.size == 0 {
		return nil
	}
	e, _ := t.places.find(id)
	if e == nil && t.left > 0 {
		e, _ = t.old.find(id)
	}
	return e
}

// prefetch begins to load what find will look at first.
func (t *table) prefetch(id *entryID) {
	if t.size > 0 {
		prefetch(t.at(t.home(id)))
	}
}

// insert adds an entry for an id that has none, for which there must be room.
func (t *table) insert(id *entryID) *entry {
	t.size++
	t.added++
	return t.put(id)
}

// remove takes out an entry that is there.
func (t *table) remove(id *entryID) {
	t.size--
	if e, i := t.places.find(id); e != nil {
		t.clear(i)
	} else {
		_, i = t.old.find(id)
		t.old.clear(i)
	}
}

// room makes sure that n entries can be inserted without moving any.
func (t *table) room(n int) {
	size := t.size + n
	if size > int(t.n)/3*2 || size < int(t.n)/5 && t.n > minPlaces && t.left == 0 {
		t.move(int(t.left))
		t.rebuild(uint32(min(max(size*20/11, minPlaces), maxPlaces)))
	}
}

// rebuild begins to move all entries to n places.
func (t *table) rebuild(n uint32) {
	t.old, t.left, t.next = t.places, t.n, 0
	t.places = newPlaces(n)
	if t.size == 0 {
		t.old, t.left = places{}, 0
		return
	}
	// Only whole runs of entries are moved, or what stays of one would not be
	// found. Begin behind the run that reaches around the end.
	for t.old.at(t.next).id[0] != 0 {
		t.next++
	}
}

// move moves what is in the next n places, and in those up to an empty one.
func (t *table) move(n int) {
	for ; t.left > 0; t.left-- {
		e := t.old.at(t.next)
		switch {
		case e.id[0] != 0:
			*t.put(&e.id) = *e
			*e = entry{}
		case n <= 0:
			return
		}
		n--
		t.next = t.old.after(t.next)
		if segment := t.next >> segmentBits; segment > 1 && t.next&(segmentSize-1) == 0 {
			*t.old.segment(segment - 1) = emptySegment // the first one is not done: it comes last again
		}
	}
	t.old = places{}
}
