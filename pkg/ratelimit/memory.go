package ratelimit

import (
	"context"
	"errors"
	"hash/maphash"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit/internal/counter"
)

// Memory is a Store in this process. Its counters are spread over shards by
// group; a Take holds one lock once, and allocates nothing unless its request
// has an ID. What no longer counts is dropped as new counters come: nothing
// runs in the background.
type Memory struct {
	clock   func() time.Time
	limit   int64
	seeds   [2]maphash.Seed
	entries atomic.Int64 // in all shards
	next    atomic.Uint32
	shards  [256]shard
}

// Option changes what NewMemory makes.
type Option func(*Memory)

// WithClock makes the store read the time from clock, which must be safe for
// concurrent use. The default is time.Now.
func WithClock(clock func() time.Time) Option {
	return func(m *Memory) { m.clock = clock }
}

// WithMaxEntries bounds the counters and kept decisions held at a time; n is at
// least 1, and 10 million by default. What still counts is never evicted, which
// would grant its limit again: a full store refuses requests that need a new
// counter with ErrFull, and goes on with those it has.
func WithMaxEntries(n int) Option {
	return func(m *Memory) { m.limit = max(1, int64(n)) }
}

// NewMemory returns an empty store.
func NewMemory(options ...Option) *Memory {
	m := &Memory{clock: time.Now, limit: 10_000_000, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	for _, option := range options {
		option(m)
	}
	for i := range m.shards {
		m.shards[i].init()
	}
	return m
}

// Take decides req; see Store.
func (m *Memory) Take(ctx context.Context, req *Request, dec *Decision) error {
	*dec = Decision{Results: dec.Results[:0]}
	if err := req.Validate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var buffer [256]byte
	group := counter.AppendString(buffer[:0], req.Group)
	s := m.shard(group)
	now, err := m.take(s, group, req, dec)
	if errors.Is(err, ErrFull) && m.reclaim(len(req.Rules)+1, now) {
		_, err = m.take(s, group, req, dec)
	}
	return err
}

// take decides req in its shard and returns the instant it did. Everything is
// read and decided, and room found, before the first write.
func (m *Memory) take(s *shard, group []byte, req *Request, dec *Decision) (now int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now = counter.Micros(m.clock())
	s.sweepIfDoubled(m, now)

	var id entryID
	var stale *kept
	if req.ID != "" {
		id = m.id(counter.AppendString(group, req.ID))
		if stale = s.kept[id]; stale.counts(now) {
			return now, stale.replay(req, dec)
		}
	}
	steps, missing, err := s.read(m, group, req, now)
	if err != nil {
		return now, err
	}
	allowed := admit(req, steps)
	if !allowed || req.Cost == 0 {
		missing = 0
	}
	if req.ID != "" && stale == nil {
		missing++
	}
	if missing > 0 && !m.reserve(missing) {
		return now, ErrFull
	}

	dec.Allowed, dec.At = allowed, time.UnixMicro(now)
	dec.Cost, dec.Nonce = req.Cost, rand.Uint64()
	for i := range steps {
		step := &steps[i]
		if allowed && step.fits && req.Cost > 0 {
			step.state = step.state.Spend(req.Cost)
			s.counters[step.id] = entry{step.state, step.rule.Forget(step.state)}
		}
		dec.Results = append(dec.Results, step.result(&req.Rules[i], now, req.Cost))
	}
	if req.ID != "" {
		s.kept[id] = keep(req, dec, now)
	}
	return now, nil
}

// admit tells whether every enforced rule has room.
func admit(req *Request, steps []step) bool {
	for i := range steps {
		if !steps[i].fits && !req.Rules[i].Shadow {
			return false
		}
	}
	return true
}

// Refund gives back units; see Store.
func (m *Memory) Refund(ctx context.Context, receipt Receipt, units int64) error {
	if err := receipt.Validate(units); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	group := counter.AppendString(nil, receipt.Group)
	s := m.shard(group)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refund(m, group, &receipt, units, counter.Micros(m.clock()))
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
	prefix := counter.AppendString(nil, group)
	s := m.shard(prefix)
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.counters)
	for i := range rules {
		rule := rules[i].ticks()
		delete(s.counters, m.id(rules[i].appendIdentity(&rule, prefix)))
	}
	m.entries.Add(int64(len(s.counters) - before))
	return nil
}

// entryID identifies a counter, kept decision or refund by two independent
// hashes: with 2^27 of them the odds of one collision are below 2^-74.
type entryID [2]uint64

func (m *Memory) id(identity []byte) entryID {
	return entryID{maphash.Bytes(m.seeds[0], identity), maphash.Bytes(m.seeds[1], identity)}
}

func (m *Memory) shard(group []byte) *shard {
	return &m.shards[maphash.Bytes(m.seeds[0], group)%uint64(len(m.shards))]
}

// reserve makes place for n entries, if there is any.
func (m *Memory) reserve(n int64) bool {
	if m.entries.Add(n) <= m.limit {
		return true
	}
	m.entries.Add(-n)
	return false
}

// reclaim drops what no longer counts from one shard after another until there
// is room for n entries, or it has looked at enough for one call.
func (m *Memory) reclaim(n int, now int64) bool {
	var freed, looked int
	for range m.shards {
		f, l := m.shards[m.next.Add(1)%uint32(len(m.shards))].sweep(m, now)
		freed, looked = freed+f, looked+l
		if freed >= n || looked >= maxLooked {
			break
		}
	}
	return freed > 0
}

// ticks returns the rule in ticks.
func (r *Rule) ticks() counter.Rule {
	switch {
	case r.Calendar != nil:
		c := r.Calendar
		return counter.NewCalendar(r.Limit, c.Previous.Start, c.Current.Start, c.Next.Start, c.Next.End)
	case r.Algorithm == FixedWindow:
		return counter.NewFixed(r.Limit, r.Window)
	default:
		return counter.NewSliding(r.Limit, r.Window)
	}
}

func (r *Rule) appendIdentity(ticks *counter.Rule, b []byte) []byte {
	var calendar string
	if r.Calendar != nil {
		calendar = r.Calendar.Name
	}
	return ticks.AppendIdentity(b, r.Scope, r.ID, r.Name, calendar)
}
