package ratelimit

import (
	"encoding/binary"
	"maps"
	"sync"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit/internal/counter"
)

// A shard holds the groups that hash to it. The map of counters has no
// pointers, so the garbage collector does not look into it.
type shard struct {
	mu       sync.Mutex
	counters map[entryID]entry
	kept     map[entryID]*kept
	refunded map[entryID]int64 // until which instant the refund matters
	steps    []step            // reused by each take
	sweepAt  int               // entries
	swept    int64             // instant
	_        [64]byte          // no cache line shared with the next lock
}

type entry struct {
	state  counter.State
	forget int64
}

// A step is one rule on its way through a take.
type step struct {
	id    entryID
	rule  counter.Rule
	state counter.State
	fits  bool
}

const (
	minSweep   = 1024                                             // entries of a shard not worth a sweep
	maxLooked  = 4096                                             // entries that one take in a full store looks at for room
	sweepEvery = int64(100 * time.Millisecond / time.Microsecond) // how often a full store looks at the same shard again
)

func (s *shard) init() {
	s.counters = make(map[entryID]entry)
	s.kept = make(map[entryID]*kept)
	s.refunded = make(map[entryID]int64)
	s.sweepAt = minSweep
}

// read finds the counters of a request as they stand now, and says how many of
// those that would be spent from are not there yet.
func (s *shard) read(m *Memory, group []byte, req *Request, now int64) (steps []step, missing int64, err error) {
	steps = s.steps[:0]
	for i := range req.Rules {
		rule := req.Rules[i].ticks()
		st := step{id: m.id(req.Rules[i].appendIdentity(&rule, group)), rule: rule}
		known, found := s.counters[st.id]
		var reached bool
		if st.state, reached = rule.Advance(known.state, now); !reached {
			return nil, 0, &InvalidError{i, "Calendar", "must have a period that the store's clock is in"}
		}
		st.fits = rule.Fits(st.state, req.Cost)
		if !found && st.fits {
			missing++
		}
		steps = append(steps, st)
	}
	s.steps = steps
	return steps, missing, nil
}

func (st *step) result(rule *Rule, now, cost int64) Result {
	v := st.rule.View(st.state, now, cost, st.fits)
	return Result{
		Rule:       rule,
		Remaining:  v.Remaining,
		Start:      time.UnixMicro(v.Start),
		ResetAfter: v.Reset,
		RetryAfter: v.Retry,
		Denied:     !st.fits && !rule.Shadow,
		WouldDeny:  !st.fits && rule.Shadow,
	}
}

func (s *shard) refund(m *Memory, group []byte, receipt *Receipt, units, now int64) error {
	steps := s.steps[:0]
	var forget int64
	for i := range receipt.Spent {
		spent := &receipt.Spent[i]
		rule := spent.Rule.ticks()
		st := step{id: m.id(spent.Rule.appendIdentity(&rule, group)), rule: rule}
		known, found := s.counters[st.id]
		if !found {
			continue
		}
		var counts bool
		if st.state, counts = rule.Refund(known.state, now, spent.Start.UnixMicro()/rule.Tick, units); counts {
			steps = append(steps, st)
			forget = max(forget, rule.Forget(st.state))
		}
	}
	s.steps = steps
	if len(steps) == 0 {
		return nil
	}
	mark := binary.LittleEndian.AppendUint64(group, receipt.Nonce)
	id := m.id(binary.LittleEndian.AppendUint64(mark, uint64(receipt.At.UnixMicro())))
	if _, done := s.refunded[id]; done {
		return ErrRefunded
	}
	s.refunded[id] = forget
	m.entries.Add(1)
	for i := range steps {
		s.counters[steps[i].id] = entry{steps[i].state, steps[i].rule.Forget(steps[i].state)}
	}
	return nil
}

// sweepIfDoubled drops what no longer counts once the shard has doubled since
// the last time, so that a sweep costs each new entry the same.
func (s *shard) sweepIfDoubled(m *Memory, now int64) {
	if s.size() >= s.sweepAt {
		s.drop(m, now)
	}
}

// sweep is for a full store, where takes come here until there is room: most of
// them find that it was done a moment ago.
func (s *shard) sweep(m *Memory, now int64) (freed, looked int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if since := now - s.swept; since >= 0 && since < sweepEvery {
		return 0, 0
	}
	looked = s.size()
	s.drop(m, now)
	return looked - s.size(), looked
}

func (s *shard) drop(m *Memory, now int64) {
	before := s.size()
	maps.DeleteFunc(s.counters, func(_ entryID, e entry) bool { return e.forget <= now })
	maps.DeleteFunc(s.kept, func(_ entryID, k *kept) bool { return !k.counts(now) })
	maps.DeleteFunc(s.refunded, func(_ entryID, until int64) bool { return until <= now })
	after := s.size()
	s.swept, s.sweepAt = now, max(minSweep, 2*after)
	m.entries.Add(int64(after - before))
}

func (s *shard) size() int { return len(s.counters) + len(s.kept) + len(s.refunded) }
