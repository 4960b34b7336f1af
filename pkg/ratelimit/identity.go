package ratelimit

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/viva/rate-limiter/pkg/ratelimit/internal/counter"
)

// The identity of an entry has two parts, of which each is hashed on its own:
// the group, and what the entry is within it. Their hashes are added, so they
// have seeds of their own, which no caller knows.
var (
	groupSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	entrySeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
)

// An entryID identifies a counter, kept decision or refund by two independent
// hashes: with 2^27 of them the odds of one collision are below 2^-73. The
// first is never zero.
type entryID [2]uint64

func hashGroup(name string) entryID {
	return entryID{maphash.String(groupSeeds[0], name), maphash.String(groupSeeds[1], name)}
}

func hashEntry(identity []byte) entryID {
	return entryID{maphash.Bytes(entrySeeds[0], identity), maphash.Bytes(entrySeeds[1], identity)}
}

// in returns the id of an entry within a group.
func (id entryID) in(group entryID) entryID {
	return entryID{id[0] + group[0] | 1, id[1] + group[1]}
}

// identity is what a rule's counter is within its group, with its hash.
type identity struct {
	scope, id, name, calendar string
	algorithm                 Algorithm
	window                    int64
	hash                      entryID
}

// Prepared returns the rule with its identity hashed in advance, which saves
// Memory from doing so at each Take: worthwhile for rules that are used many
// times. It stays right when the rule is changed afterwards, and then saves
// nothing.
func (r Rule) Prepared() Rule {
	var calendar string
	if r.Calendar != nil {
		calendar = r.Calendar.Name
	}
	r.prepared = &identity{r.Scope, r.ID, r.Name, calendar, r.Algorithm, int64(r.Window), r.hash()}
	return r
}

// hash returns the hash of the rule's identity, which is a known algorithm.
func (r *Rule) hash() entryID {
	if p := r.prepared; p != nil && p.scope == r.Scope && p.id == r.ID && p.name == r.Name &&
		p.algorithm == r.Algorithm && p.window == int64(r.Window) && p.ofCalendar(r.Calendar) {
		return p.hash
	}
	var buffer [192]byte
	var ticks counter.Rule
	r.ticks(&ticks)
	var calendar string
	if r.Calendar != nil {
		calendar = r.Calendar.Name
	}
	return hashEntry(ticks.AppendIdentity(buffer[:0], r.Scope, r.ID, r.Name, calendar))
}

func (i *identity) ofCalendar(c *Calendar) bool {
	if c == nil {
		return i.calendar == ""
	}
	return i.calendar == c.Name
}

// What begins the identities of kept decisions and refunds, where that of a
// counter has its kind.
const keptName, refundName = 0xfe, 0xff

func hashKept(id string) entryID {
	var buffer [64]byte
	return hashEntry(append(append(buffer[:0], keptName), id...))
}

// hash returns the hash of what tells the receipt from every other of its group.
func (r *Receipt) hash() entryID {
	b := binary.LittleEndian.AppendUint64([]byte{refundName}, r.Nonce)
	return hashEntry(binary.LittleEndian.AppendUint64(b, uint64(r.At.UnixMicro())))
}
