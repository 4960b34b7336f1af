package ratelimit

import (
	"slices"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit/internal/counter"
)

// single tells whether takeSingle can decide the request.
func (r *Request) single() bool {
	return len(r.Rules) == 1 && r.ID == "" && r.Rules[0].Calendar == nil && r.Rules[0].Algorithm != SlidingLog
}

// takeSingle decides a request about one counter that is there, as most are: as
// take does, without what is for several rules, and for what may fail. It
// reports false, and has spent nothing, if the counter is not there.
func (m *Memory) takeSingle(req *Request, dec *Decision) bool {
	rule := &req.Rules[0]
	var ticks counter.Rule
	rule.ticks(&ticks)
	group := hashGroup(req.Group)
	id := rule.hash().in(group)

	s := m.shard(group)
	s.mu.Lock()
	s.table.prefetch(&id)
	now := m.now()
	s.tidy(m, now)
	e := s.table.find(&id)
	if e == nil {
		s.mu.Unlock()
		return false
	}
	var state counter.State
	ticks.Unpack(&state, e.a, e.b, e.c)
	ticks.Advance(&state, now) // a window reaches every instant
	used := ticks.Used(&state)
	fits := used <= ticks.Capacity()-req.Cost
	if fits && req.Cost > 0 {
		used += req.Cost
		e.spend(&ticks, &state, req.Cost)
	}
	s.nonce++
	nonce := s.nonce
	s.mu.Unlock()

	dec.Allowed, dec.At, dec.Cost, dec.Nonce = fits || rule.Shadow, time.UnixMicro(now), req.Cost, nonce
	dec.Results = slices.Grow(dec.Results, 1)[:1]
	dec.Results[0].say(rule, ticks.View(&state, used, now, req.Cost, fits), fits)
	return true
}
