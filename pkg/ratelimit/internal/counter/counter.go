// Package counter is the arithmetic of rate limiting: pure functions on
// integers that say what a counter's state means at an instant, what fits into
// it, and when more will. Package ratelimit documents the algorithms. Floor F0;
// it imports the standard library only.
//
// Every store decides with this arithmetic. The scripts of redisstore repeat
// Advance, Holds, Used and Refund in Lua, whose numbers are doubles: to keep
// the twins identical no sum or product here exceeds 2^53 for rules and costs
// within the bounds that package ratelimit enforces, but for those that mulDiv
// makes, which Lua computes in halves.
//
// Instants are microseconds since the Unix epoch. States and windows count in
// ticks: a microsecond for windows up to an hour, a millisecond above.
package counter

import "time"

// Kind is how a rule counts. Its value is part of a counter's identity and of
// what is stored in Redis: it never changes.
type Kind uint8

// The kinds of rule. The state of a SlidingLog is a Log, that of the others a
// State.
const (
	Sliding  Kind = iota // two weighted buckets
	Fixed                // windows aligned to the Unix epoch
	Calendar             // periods given by the caller
	GCRA                 // a level that drains
	SlidingLog
)

// Never stands for a tick that does not come.
const Never int64 = -1

// horizon is the last instant, in 2255, that a double counts exactly.
const horizon = int64(1<<53 - 1)

// Rule is one limit in ticks.
type Rule struct {
	Kind   Kind
	Limit  int64
	Burst  int64    // GCRA only
	Window int64    // ticks; zero for a calendar
	Tick   int64    // microseconds
	Bounds [4]int64 // ticks: the starts of a calendar's previous, current and next period, and the end of the next
}

// State is what a counter remembers. The zero State is a counter never used.
type State struct {
	Last  int64 // tick of the latest spending
	Start int64 // first tick of the window that Last is in; of a GCRA, since when its level is not zero
	Prev  int64 // units spent in the window before (Sliding); numerator of the level's fraction, below Window (GCRA)
	Cur   int64 // units spent in this window; whole units of the level (GCRA)
}

// Tick returns the tick of a window: what its length must be a multiple of.
func Tick(window time.Duration) time.Duration {
	if window <= time.Hour {
		return time.Microsecond
	}
	return time.Millisecond
}

// Windowed makes r a rule over a window of time.
func (r *Rule) Windowed(kind Kind, limit, burst int64, window time.Duration) {
	r.Kind, r.Limit, r.Burst = kind, limit, burst
	if window <= time.Hour {
		r.Window, r.Tick = int64(window/time.Microsecond), 1
	} else {
		r.Window, r.Tick = int64(window/time.Millisecond), 1000
	}
}

// Calendar makes r a rule over three adjoining periods, given by their four
// bounds. Its tick is a millisecond.
func (r *Rule) Calendar(limit int64, previous, current, next, end time.Time) {
	r.Kind, r.Limit, r.Burst, r.Window, r.Tick = Calendar, limit, 0, 0, 1000
	r.Bounds = [4]int64{previous.UnixMilli(), current.UnixMilli(), next.UnixMilli(), end.UnixMilli()}
}

// Micros returns the instant t, bounded to those that a double counts exactly:
// from 1970 to 2255.
func Micros(t time.Time) int64 {
	return min(max(t.UnixMicro(), 0), horizon)
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

// Advance makes the state that of the instant now: Last is the tick decided at,
// Start its window, and what no longer counts is gone. It reports false if the
// rule's calendar does not reach now.
//
// A clock that went back by up to a window is taken to stand still at Last. One
// that went further back would freeze the counter for that long; instead, what
// was counted is moved to where the clock is now, so that nothing is granted
// twice.
func (r *Rule) Advance(s *State, now int64) bool {
	t := now / r.Tick
	if r.Kind == GCRA {
		r.drain(s, t)
		return true
	}
	if elapsed := t - s.Start; t >= s.Last && elapsed < r.Window { // most often
		s.Last = t
		return true
	}
	start, end, ok := r.window(t)
	if !ok {
		return false
	}
	if t < s.Last {
		lastStart, _, reached := r.window(s.Last)
		if !reached || s.Last-t > end-start {
			s.Last, s.Start = t, start
			return true
		}
		t, start = s.Last, lastStart
	}
	switch {
	case start == s.Start:
	case r.Kind == Sliding && start == s.Start+r.Window:
		s.Prev, s.Cur = s.Cur, 0
	default:
		s.Prev, s.Cur = 0, 0
	}
	s.Last, s.Start = t, start
	return true
}

// Holds tells whether the state, advanced from what it was then and that was
// used, still counts what it did then: in its window, or moved to where a clock
// is that went back too far. Not for a GCRA.
func (s *State) Holds(then *State) bool { return s.Start == then.Start || s.Last < then.Last }

// Used returns the units that an advanced state counts, rounded up. Spending
// adds what it costs.
func (r *Rule) Used(s *State) int64 {
	switch r.Kind {
	case Sliding:
		return trailing(s, r.Window)
	case GCRA:
		return level(s)
	default:
		return s.Cur
	}
}

// Capacity is how many units can be in use at once.
func (r *Rule) Capacity() int64 {
	if r.Kind == GCRA {
		return r.Burst
	}
	return r.Limit
}

// FitsFrom returns the first tick, later than s.Last, at which cost fits into an
// advanced state into which it does not fit now, if nothing else is spent; or
// Never. It returns no tick beyond the horizon.
func (r *Rule) FitsFrom(s *State, cost int64) int64 {
	room := r.Capacity() - cost
	switch {
	case room < 0:
		return Never
	case r.Kind == Sliding:
		return slidingFitsFrom(s, room, r.Window)
	case r.Kind == GCRA:
		return r.drained(s, room)
	case r.Kind == Calendar:
		_, end, _ := r.window(s.Last)
		return end
	default:
		return s.Start + r.Window
	}
}

// Refund gives back units to the state, which is not advanced: a refund moves no
// clock and drains nothing. They were spent in the window that starts at the tick
// start, at the instant at. Units below zero are charged instead, as far as is
// counted exactly. It reports false if the window counts no longer now.
func (r *Rule) Refund(s *State, now, start, at, units int64) bool {
	then := *s
	if !r.Advance(&then, now) {
		return false
	}
	if r.Kind == GCRA {
		if !r.holds(&then, start, at, now) {
			return false
		}
		settleLevel(s, units)
		return true
	}
	if start != then.Start && (r.Kind != Sliding || start != then.Start-r.Window) {
		return false
	}
	counted := s.Start
	if then.Last < s.Last { // moved to where the clock is
		counted = then.Start
	}
	switch start {
	case counted:
		s.Cur = r.settled(s.Cur, units)
	case counted - r.Window:
		s.Prev = r.settled(s.Prev, units)
	}
	return true
}

// What is counted at most: a charge stops there, and limits are no larger.
const (
	maxSliding = int64(1 << 32)
	maxFixed   = int64(1<<53 - 1)
	maxLog     = int64(10_000)
)

// settled returns a count that units were given back to, or charged to.
func (r *Rule) settled(count, units int64) int64 {
	most := maxFixed
	if r.Kind == Sliding {
		most = maxSliding
	}
	if units > 0 {
		return max(0, count-units)
	}
	return count + min(-units, most-count)
}

// ForgetSpent returns the instant from which it need not be known that what was
// spent at the instant at, in the window that starts at the tick start, was
// given back: when it counts no longer, and a margin.
func (r *Rule) ForgetSpent(start, at int64) int64 {
	end, window := start+r.Window, r.Window
	switch r.Kind {
	case Sliding:
		end += window
	case Calendar:
		start, end, _ = r.window(start)
		window = end - start
	case GCRA:
		end = r.heldUntil(at)
	}
	return r.forget(end, window)
}

// margin is the least time that a counter is kept after it has stopped to
// count, for clocks that step back.
const margin = int64(time.Minute / time.Microsecond)

// Forget returns the instant from which an advanced state need not be kept: its
// life and a margin of a tenth of a window, at least a minute. The life of a
// GCRA is the time in which it drains at its present rate.
func (r *Rule) Forget(s *State) int64 {
	var end, window int64
	if r.Kind == GCRA {
		end, window = r.drained(s, 0), r.Window
	} else {
		if window = r.Window; r.Kind == Calendar {
			_, end, _ = r.window(s.Last)
			window = end - s.Start
		}
		end = s.Start + window
		if r.Kind == Sliding {
			end += window
		}
	}
	return r.forget(end, window)
}

func (r *Rule) forget(end, window int64) int64 {
	return min(end*r.Tick, horizon) + max(margin, window*r.Tick/10)
}
