package counter

import "time"

// View is what a caller learns of a counter.
type View struct {
	Remaining int64         // units that could be spent now
	Start     int64         // microseconds: start of the window counted in
	Reset     time.Duration // until Remaining grows; zero if nothing is used
	Retry     time.Duration // until cost fits; zero if it did, Never if it cannot
}

// View describes the advanced state s, of which so much is used, at the instant
// now. If fits is false then cost was to be spent and did not fit.
func (r *Rule) View(s *State, used, now, cost int64, fits bool) View {
	v := View{Remaining: max(0, r.Capacity()-used), Start: s.Start * r.Tick}
	if used > 0 {
		v.Reset = r.until(r.FitsFrom(s, v.Remaining+1), now)
	}
	if !fits {
		v.Retry = r.until(r.FitsFrom(s, cost), now)
	}
	return v
}

// LogMoments returns the ticks that a view of a log is made of: from when more
// remains, and from when cost fits unless it did.
func (r *Rule) LogMoments(l *Log, s *LogState, cost int64, fits bool) (reset, retry int64) {
	if s.Used > 0 {
		reset = r.LogFitsFrom(l, s, max(0, r.Limit-s.Used)+1)
	}
	if !fits {
		retry = r.LogFitsFrom(l, s, cost)
	}
	return reset, retry
}

// LogView describes a log by the tick it was decided at, what it used then, and
// its moments.
func (r *Rule) LogView(tick, used, reset, retry, now int64, fits bool) View {
	v := View{Remaining: max(0, r.Limit-used), Start: tick * r.Tick}
	if used > 0 {
		v.Reset = r.until(reset, now)
	}
	if !fits {
		v.Retry = r.until(retry, now)
	}
	return v
}

// until returns the time from the instant now to the tick t. It counts from the
// clock's own instant even when the counter is ahead of it.
func (r *Rule) until(t, now int64) time.Duration {
	if t == Never {
		return time.Duration(Never)
	}
	return time.Duration(min(t*r.Tick, horizon)-now) * time.Microsecond
}
