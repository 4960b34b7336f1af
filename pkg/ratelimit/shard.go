package ratelimit

import (
	"slices"
	"sync"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit/internal/counter"
)

// A shard holds the groups that hash to it.
type shard struct {
	// What every take needs fills the first cache line.
	mu    sync.Mutex
	nonce uint64 // of the latest decision
	table table

	sweep  sweep
	blocks blocks
	_      [56]byte // so that the next shard begins with a line, too
}

// A take is a request on its way through its shard.
type take struct {
	req   *Request
	dec   *Decision
	id    entryID // of the kept decision, if the request has an ID
	steps []step  // one per rule
}

// A step is one rule on its way through a take or a refund.
type step struct {
	id     entryID
	rule   counter.Rule
	entry  *entry
	state  counter.State // of a counter that is not a log
	used   int64
	log    *counter.Log
	mark   counter.LogState
	start  int64 // of the window that a refund is for, in ticks
	growth int64 // entries that spending may need for a larger log
	fits   bool
}

// take decides a request and returns the instant it did. Everything is read and
// decided, and room found, before the first write.
func (s *shard) take(m *Memory, t *take) (now int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range t.steps {
		s.table.prefetch(&t.steps[i].id)
	}
	now = m.now()
	s.tidy(m, now)
	s.table.room(len(t.steps) + 1)

	var stale *entry
	if t.req.ID != "" {
		if stale = s.table.find(&t.id); stale != nil && keeps(stale.a, now) {
			return now, s.blocks.keptOf(stale.block).replay(t.req, t.dec)
		}
	}
	missing, err := s.read(t, now)
	if err != nil {
		return now, err
	}
	allowed := t.admit()
	if !allowed || t.req.Cost == 0 {
		missing = 0
	}
	if t.req.ID != "" && stale == nil {
		missing++
	}
	if missing > 0 && !m.reserve(missing) {
		return now, ErrFull
	}
	s.write(m, t, allowed, now)
	if t.req.ID != "" {
		s.keep(t, stale, now)
	}
	return now, nil
}

// read finds the counters of a take as they stand now and tells which have
// room. It returns how many entries those need that they do not have yet.
func (s *shard) read(t *take, now int64) (missing int64, err error) {
	var unseeded bool
	for i := range t.steps {
		step := &t.steps[i]
		if !s.find(step, now) {
			return 0, outOfReach(i)
		}
		unseeded = unseeded || step.rule.Kind == counter.Calendar && t.unseeded(i)
		step.fits = step.used <= step.rule.Capacity()-t.req.Cost
		if !step.fits {
			continue
		}
		if step.entry == nil {
			missing++
		}
		if step.log != nil {
			step.growth = entriesOf(step.log.RoomAfter(&step.mark)) - entriesOf(step.log.Room())
			missing += step.growth
		}
	}
	if unseeded {
		return 0, t.unseededError()
	}
	return missing, nil
}

var emptyLog counter.Log // which nobody spends from

// find reads the state of a step's counter as it stands now. It reports false
// if a calendar does not reach now.
func (s *shard) find(step *step, now int64) (ok bool) {
	e := s.table.find(&step.id)
	step.entry = e
	step.log = nil
	if step.rule.Kind == counter.SlidingLog {
		step.log = &emptyLog
		if e != nil {
			step.log = s.blocks.log(e.block)
		}
		step.rule.AdvanceLog(step.log, &step.mark, now)
		step.used = step.mark.Used
		return true
	}
	if e == nil {
		step.state = counter.State{}
	} else {
		step.rule.Unpack(&step.state, e.a, e.b, e.c)
	}
	ok = step.rule.Advance(&step.state, now)
	step.used = step.rule.Used(&step.state)
	return ok
}

// admit tells whether every enforced rule has room.
func (t *take) admit() bool {
	for i := range t.steps {
		if !t.steps[i].fits && !t.req.Rules[i].Shadow {
			return false
		}
	}
	return true
}

// write spends what is admitted and writes the decision.
func (s *shard) write(m *Memory, t *take, allowed bool, now int64) {
	s.nonce++
	dec, cost := t.dec, t.req.Cost
	dec.Allowed, dec.At, dec.Cost, dec.Nonce = allowed, time.UnixMicro(now), cost, s.nonce
	dec.Results = slices.Grow(dec.Results, len(t.steps))[:len(t.steps)]
	for i := range t.steps {
		step := &t.steps[i]
		if allowed && step.fits && cost > 0 {
			s.spend(m, step, cost)
		}
		dec.Results[i].say(&t.req.Rules[i], step.view(now, cost), step.fits)
	}
}

// spend spends from the counter that a step has read, which has room.
func (s *shard) spend(m *Memory, step *step, cost int64) {
	e := step.entry
	if e == nil {
		e = s.table.insert(&step.id)
		if step.log != nil {
			e.block, step.log = s.blocks.newLog()
		}
	}
	step.used += cost
	if step.log != nil {
		before := s.blocks.weight(e.block)
		step.log.Spend(&step.mark, cost)
		if unneeded := before + step.growth - s.blocks.weight(e.block); unneeded > 0 {
			m.entries.Add(-unneeded)
		}
		e.keepUntil(step.rule.ForgetLog(&step.mark))
		return
	}
	e.spend(&step.rule, &step.state, cost)
}

// spend spends from the advanced state of a counter that is not a log.
func (e *entry) spend(rule *counter.Rule, state *counter.State, cost int64) {
	state.Cur += cost
	e.a, e.b, e.c = rule.Pack(state)
	e.keepUntil(rule.Forget(state))
}

func (st *step) view(now, cost int64) counter.View {
	if st.log != nil {
		reset, retry := st.rule.LogMoments(st.log, &st.mark, cost, st.fits)
		return st.rule.LogView(st.mark.Tick, st.used, reset, retry, now, st.fits)
	}
	return st.rule.View(&st.state, st.used, now, cost, st.fits)
}

// keep keeps the decision of a take, in the entry of one that is stale if there
// is one.
func (s *shard) keep(t *take, stale *entry, now int64) {
	e := stale
	if e == nil {
		e = s.table.insert(&t.id)
		e.block, _ = s.blocks.newKept()
	}
	e.a = now
	e.keepUntil(now + Replay.Microseconds())
	s.blocks.keptOf(e.block).fill(t.req, t.dec)
}

// drop removes an entry and what it has in blocks.
func (s *shard) drop(m *Memory, e *entry) {
	freed := 1 + s.blocks.weight(e.block)
	s.blocks.free(e.block)
	id := e.id
	s.table.remove(&id)
	m.entries.Add(-freed)
}

// reset forgets counters, all at once.
func (s *shard) reset(m *Memory, ids []entryID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range ids {
		if e := s.table.find(&ids[i]); e != nil {
			s.drop(m, e)
		}
	}
}
