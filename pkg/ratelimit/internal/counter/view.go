package counter

import "time"

// View is what a caller learns of a counter.
type View struct {
	Remaining int64         // units that could be spent now
	Start     int64         // microseconds: start of the window counted in
	Reset     time.Duration // until Remaining grows; zero if nothing is used
	Retry     time.Duration // until cost fits; zero if it did, Never if it cannot
}

// View describes the advanced state s, from which cost has been spent if it was
// to be, at the instant now. Fits is what Fits said of s before.
func (r *Rule) View(s State, now, cost int64, fits bool) View {
	v := View{Remaining: max(0, r.Limit-r.Used(s)), Start: s.Start * r.Tick}
	if v.Remaining < r.Limit {
		v.Reset = r.until(r.FitsFrom(s, v.Remaining+1), now)
	}
	if !fits {
		v.Retry = r.until(r.FitsFrom(s, cost), now)
	}
	return v
}

// until returns the time from the instant now to the tick t. It counts from the
// clock's own instant even when the counter is ahead of it.
func (r *Rule) until(t, now int64) time.Duration {
	if t == Never {
		return time.Duration(Never)
	}
	return time.Duration(t*r.Tick-now) * time.Microsecond
}
