package ratelimit

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit/internal/counter"
)

// Memory is a Store in this process. Its counters are spread over shards by
// group; a Take holds one lock once. It allocates nothing, but for counters it
// did not have, logs that grow, and requests that have an ID. What no longer
// counts is dropped as new counters come: nothing runs in the background.
type Memory struct {
	clock   func() time.Time // nil for the wall clock
	wall    *wallClock
	limit   int64
	entries atomic.Int64  // in all shards
	next    atomic.Uint32 // shard to look for room in
	_       [24]byte      // so that shards begin with a cache line
	shards  [512]shard
}

// Option changes what NewMemory makes.
type Option func(*Memory)

// WithClock makes the store read the time from clock, which must be safe for
// concurrent use. The default is the time of day.
func WithClock(clock func() time.Time) Option {
	return func(m *Memory) { m.clock = clock }
}

// WithMaxEntries bounds the counters and kept decisions held at a time; n is at
// least 1, and 10 million by default. A log counts as its size, one for each
// three of its marks. What still counts is never evicted, which
// would grant its limit again: a full store refuses requests that need a new
// counter with ErrFull, and goes on with those it has.
func WithMaxEntries(n int) Option {
	return func(m *Memory) { m.limit = max(1, int64(n)) }
}

// NewMemory returns an empty store.
func NewMemory(options ...Option) *Memory {
	m := &Memory{wall: newWallClock(), limit: 10_000_000}
	for _, option := range options {
		option(m)
	}
	for i := range m.shards {
		m.shards[i].nonce = rand.Uint64()
	}
	return m
}

// Len returns how many counters and kept decisions are held, counted as for
// WithMaxEntries. Those that no longer count are among them until they are dropped.
func (m *Memory) Len() int { return int(m.entries.Load()) }

func (m *Memory) now() int64 {
	if m.clock != nil {
		return counter.Micros(m.clock())
	}
	return m.wall.micros()
}

var stepPool = sync.Pool{New: func() any { return new([MaxRules]step) }}

// Take decides req; see Store.
func (m *Memory) Take(ctx context.Context, req *Request, dec *Decision) error {
	*dec = Decision{Results: dec.Results[:0]}
	if err := req.Validate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if req.single() && m.takeSingle(req, dec) {
		return nil
	}
	// Steps of a few rules fit on the stack, at the cost of clearing them.
	switch n := len(req.Rules); {
	case n <= 1:
		var steps [1]step
		return m.prepare(req, dec, steps[:n])
	case n <= 4:
		var steps [4]step
		return m.prepare(req, dec, steps[:n])
	default:
		steps := stepPool.Get().(*[MaxRules]step)
		defer stepPool.Put(steps)
		return m.prepare(req, dec, steps[:n])
	}
}

// prepare does what needs no lock, and then takes.
func (m *Memory) prepare(req *Request, dec *Decision, steps []step) error {
	group := hashGroup(req.Group)
	t := take{req: req, dec: dec, steps: steps}
	if req.ID != "" {
		t.id = hashKept(req.ID).in(group)
	}
	for i := range steps {
		steps[i].about(&req.Rules[i], group)
	}
	s := m.shard(group)
	now, err := s.take(m, &t)
	if errors.Is(err, ErrFull) && m.reclaim(len(req.Rules)+1, now) {
		_, err = s.take(m, &t)
	}
	return err
}

// about makes the step about the rule's counter in the group.
func (st *step) about(rule *Rule, group entryID) {
	st.id = rule.hash().in(group)
	rule.ticks(&st.rule)
}

// Refund settles what was spent; see Store.
func (m *Memory) Refund(ctx context.Context, receipt Receipt, units int64) error {
	if err := receipt.Validate(units); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	group := hashGroup(receipt.Group)
	steps := make([]step, len(receipt.Spent))
	for i := range steps {
		steps[i].about(&receipt.Spent[i].Rule, group)
	}
	return m.shard(group).refund(m, &receipt, receipt.hash().in(group), steps, units)
}

// Reset forgets counters; see Store.
func (m *Memory) Reset(ctx context.Context, group string, rules []Rule) error {
	req := Request{Group: group, Rules: rules}
	if err := req.Validate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	hash := hashGroup(group)
	ids := make([]entryID, len(rules))
	for i := range rules {
		ids[i] = rules[i].hash().in(hash)
	}
	m.shard(hash).reset(m, ids)
	return nil
}

func (m *Memory) shard(group entryID) *shard {
	return &m.shards[group[1]%uint64(len(m.shards))]
}

// reserve makes place for n entries, if there is any.
func (m *Memory) reserve(n int64) bool {
	if m.entries.Add(n) <= m.limit {
		return true
	}
	m.entries.Add(-n)
	return false
}

// reclaim looks in one shard after another for entries that no longer count
// until it has dropped n, or has looked at enough for one call.
func (m *Memory) reclaim(n int, now int64) bool {
	var freed, looked int
	for range m.shards {
		f, l := m.shards[m.next.Add(1)%uint32(len(m.shards))].reclaim(m, now, maxLooked-looked)
		freed, looked = freed+f, looked+l
		if freed >= n || looked >= maxLooked {
			break
		}
	}
	return freed > 0
}
