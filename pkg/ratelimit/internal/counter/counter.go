// Package counter is the arithmetic of rate limiting: pure functions on
// integers that say what a counter's state means at an instant, what fits into
// it, and when more will. Package ratelimit documents the algorithms. Floor F0;
// it imports the standard library only.
//
// Every store decides with this arithmetic. The scripts of redisstore repeat
// Advance, Fits and Spend in Lua, whose numbers are doubles: to keep the twins
// identical no sum or product here exceeds 2^53 for rules and costs within the
// bounds that package ratelimit enforces.
//
// Instants are microseconds since the Unix epoch. States and windows count in
// ticks: a microsecond for windows up to an hour, a millisecond above.
package counter

import "time"

// Kind is how a rule counts. Its value is part of a counter's identity and of
// what is stored in Redis: it never changes.
type Kind uint8

// The kinds of rule.
const (
	Sliding  Kind = iota // two weighted buckets
	Fixed                // windows aligned to the Unix epoch
	Calendar             // periods given by the caller
)

// Never stands for a tick that does not come.
const Never int64 = -1

// Rule is one limit in ticks. Make it with NewSliding, NewFixed or NewCalendar.
type Rule struct {
	Kind   Kind
	Limit  int64
	Window int64    // ticks; zero for a calendar
	Tick   int64    // microseconds
	Bounds [4]int64 // ticks: the starts of the previous, current and next period, and the end of the next
}

// State is what a counter remembers. The zero State is a counter never used.
type State struct {
	Last  int64 // tick of the latest spending
	Start int64 // first tick of the window that Last is in
	Prev  int64 // units spent in the window before (Sliding)
	Cur   int64 // units spent in this window
}

// Tick returns the tick of a window: what its length must be a multiple of.
func Tick(window time.Duration) time.Duration {
	if window <= time.Hour {
		return time.Microsecond
	}
	return time.Millisecond
}

// NewSliding returns a sliding-window rule.
func NewSliding(limit int64, window time.Duration) Rule { return windowed(Sliding, limit, window) }

// NewFixed returns a fixed-window rule.
func NewFixed(limit int64, window time.Duration) Rule { return windowed(Fixed, limit, window) }

func windowed(kind Kind, limit int64, window time.Duration) Rule {
	tick := Tick(window)
	return Rule{Kind: kind, Limit: limit, Window: int64(window / tick), Tick: tick.Microseconds()}
}

// NewCalendar returns a rule over three adjoining periods, given by their four
// bounds. Its tick is a millisecond.
func NewCalendar(limit int64, previous, current, next, end time.Time) Rule {
	bounds := [4]int64{previous.UnixMilli(), current.UnixMilli(), next.UnixMilli(), end.UnixMilli()}
	return Rule{Kind: Calendar, Limit: limit, Tick: 1000, Bounds: bounds}
}

// Micros returns the instant t, bounded to those that a double counts exactly:
// from 1970 to 2255.
func Micros(t time.Time) int64 {
	return min(max(t.UnixMicro(), 0), 1<<53-1)
}

// window returns the first tick of the window that t is in, and of the next.
// It reports false if a calendar does not reach t.
func (r *Rule) window(t int64) (start, end int64, ok bool) {
	if r.Kind != Calendar {
		start = t - t%r.Window
		return start, start + r.Window, true
	}
	for i := 1; i < len(r.Bounds); i++ {
		if t < r.Bounds[i] {
			return r.Bounds[i-1], r.Bounds[i], t >= r.Bounds[i-1]
		}
	}
	return 0, 0, false
}

// Advance returns the state as it stands at the instant now: Last is the tick
// decided at, Start its window, and what no longer counts is gone. It reports
// false if the rule's calendar does not reach now.
//
// A clock that went back by up to a window is taken to stand still at Last. One
// that went further back would freeze the counter for that long; instead, what
// was counted is moved to where the clock is now, so that nothing is granted
// twice.
func (r *Rule) Advance(s State, now int64) (State, bool) {
	t := now / r.Tick
	start, end, ok := r.window(t)
	if !ok {
		return s, false
	}
	if t < s.Last {
		lastStart, _, reached := r.window(s.Last)
		if !reached || s.Last-t > end-start {
			return State{Last: t, Start: start, Prev: s.Prev, Cur: s.Cur}, true
		}
		t, start = s.Last, lastStart
	}
	switch {
	case start == s.Start:
		return State{Last: t, Start: start, Prev: s.Prev, Cur: s.Cur}, true
	case r.Kind == Sliding && start == s.Start+r.Window:
		return State{Last: t, Start: start, Prev: s.Cur}, true
	default:
		return State{Last: t, Start: start}, true
	}
}

// Used returns what an advanced state counts against the limit.
func (r *Rule) Used(s State) int64 {
	if r.Kind == Sliding {
		return trailing(s, r.Window)
	}
	return s.Cur
}

// Fits tells whether cost can be spent from an advanced state.
func (r *Rule) Fits(s State, cost int64) bool {
	return r.Used(s) <= r.Limit-cost
}

// Spend returns the advanced state with cost spent from it.
func (s State) Spend(cost int64) State {
	s.Cur += cost
	return s
}

// FitsFrom returns the first tick, not before s.Last, at which cost fits into
// an advanced state if nothing else is spent, or Never.
func (r *Rule) FitsFrom(s State, cost int64) int64 {
	switch {
	case cost > r.Limit:
		return Never
	case r.Fits(s, cost):
		return s.Last
	case r.Kind == Sliding:
		return slidingFitsFrom(s, r.Limit-cost, r.Window)
	default:
		_, end, _ := r.window(s.Last)
		return end
	}
}

// Refund returns the state at the instant now with units given back to the
// window that starts at the tick start. It reports false if that window counts
// no longer.
func (r *Rule) Refund(s State, now, start, units int64) (State, bool) {
	s, ok := r.Advance(s, now)
	switch {
	case !ok:
		return s, false
	case s.Start == start:
		s.Cur = max(0, s.Cur-units)
	case r.Kind == Sliding && s.Start == start+r.Window:
		s.Prev = max(0, s.Prev-units)
	default:
		return s, false
	}
	return s, true
}

// Margin is the least time that a counter is kept after it has stopped to
// count, for clocks that step back.
const Margin = int64(time.Minute / time.Microsecond)

// Forget returns the instant from which an advanced state need not be kept: its
// life and a margin of a tenth of a window, at least Margin.
func (r *Rule) Forget(s State) int64 {
	start, end, _ := r.window(s.Last)
	window := end - start
	if r.Kind == Sliding {
		end += window
	}
	return end*r.Tick + max(Margin, window*r.Tick/10)
}
