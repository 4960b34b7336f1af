package ratelimit

import "github.com/viva/rate-limiter/pkg/ratelimit/internal/counter"

// refund gives back units of a receipt that is named id, or charges them if they
// are below zero. Each step is about one spending of it.
func (s *shard) refund(m *Memory, receipt *Receipt, id entryID, steps []step, units int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	s.table.room(1)
	var counting bool
	var forget int64
	for i := range steps {
		spent := &receipt.Spent[i]
		if s.findSpent(&steps[i], spent.Start.UnixMicro(), receipt.At.UnixMicro(), now, units); steps[i].fits {
			counting = true
			forget = max(forget, steps[i].rule.ForgetSpent(steps[i].start, receipt.At.UnixMicro()))
		}
	}
	switch {
	case !counting:
		return nil
	case s.table.find(&id) != nil:
		return ErrRefunded
	}
	for i := range steps {
		if steps[i].fits {
			steps[i].settle(units)
		}
	}
	m.entries.Add(1) // what was spent is settled even when there is no room
	s.table.insert(&id).keepUntil(forget)
	return nil
}

// findSpent reads the counter that a refund is for. The step fits if what was
// spent still counts; its state is then the one refunded.
func (s *shard) findSpent(step *step, start, at, now, units int64) {
	step.entry = s.table.find(&step.id)
	if step.entry == nil {
		return
	}
	step.start = start / step.rule.Tick
	if step.rule.Kind == counter.SlidingLog {
		step.log = s.blocks.log(step.entry.block)
		step.rule.AdvanceLog(step.log, &step.mark, now)
		step.fits = step.rule.LogCounts(&step.mark, step.start)
		return
	}
	step.rule.Unpack(&step.state, step.entry.a, step.entry.b, step.entry.c)
	step.fits = step.rule.Refund(&step.state, now, step.start, at, units)
}

func (st *step) settle(units int64) {
	if st.log != nil {
		st.log.Refund(&st.mark, st.start, units)
		return
	}
	st.entry.a, st.entry.b, st.entry.c = st.rule.Pack(&st.state)
	if st.rule.Kind == counter.GCRA && units < 0 { // it drains the longer
		was := st.entry.forget
		st.entry.keepUntil(st.rule.Forget(&st.state))
		st.entry.forget = max(st.entry.forget, was)
	}
}
