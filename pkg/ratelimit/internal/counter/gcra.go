package counter

import "math/bits"

// The level of a GCRA is Cur + Prev/Window units, and falls by Limit units a
// Window: by exactly Limit/Window units a tick, so that nothing is ever rounded
// and nothing drifts.

// drain makes the state that of the tick t. A level that has reached zero
// leaves an empty state, whose Start is t: what is spent next begins anew.
func (r *Rule) drain(s *State, t int64) {
	if s.Cur|s.Prev == 0 {
		s.Last, s.Start = t, t
		return
	}
	if t < s.Last {
		if s.Last-t > r.Window {
			s.Last, s.Start = t, t
			return
		}
		t = s.Last
	}
	elapsed := t - s.Last
	s.Last = t
	windows := elapsed / r.Window
	if windows > s.Cur/r.Limit {
		s.Start, s.Prev, s.Cur = t, 0, 0
		return
	}
	units, fraction := mulDiv(elapsed%r.Window, r.Limit, r.Window)
	s.Cur -= windows*r.Limit + units
	s.Prev -= fraction
	if s.Prev < 0 {
		s.Cur, s.Prev = s.Cur-1, s.Prev+r.Window
	}
	if s.Cur < 0 || s.Cur|s.Prev == 0 {
		s.Start, s.Prev, s.Cur = t, 0, 0
	}
}

// level returns the level in whole units, rounded up.
func level(s *State) int64 {
	if s.Prev > 0 {
		return s.Cur + 1
	}
	return s.Cur
}

// drained returns the first tick at which the level, now not below room, is not
// above it: ⌈((Cur − room)·Window + Prev) / Limit⌉ ticks from now.
func (r *Rule) drained(s *State, room int64) int64 {
	above := s.Cur - room
	windows := above / r.Limit
	if windows > horizon/r.Window {
		return horizon
	}
	ticks, rest := mulDiv(above%r.Limit, r.Window, r.Limit)
	return min(horizon, s.Last+windows*r.Window+ticks+ceilDiv(rest+s.Prev, r.Limit))
}

// holds tells whether the advanced state still holds what was spent at the
// instant at, when the level had been above zero since the tick start.
func (r *Rule) holds(s *State, start, at, now int64) bool {
	return s.Cur|s.Prev != 0 && s.Start == start && now/r.Tick < r.heldUntil(at)
}

// heldUntil returns the tick from which no unit is held any more that was spent
// at the instant at. Units leave in the order in which they came, and only a
// charge lifts a level above the burst, which does not prolong this.
func (r *Rule) heldUntil(at int64) int64 {
	return r.drained(&State{Last: at / r.Tick, Cur: r.Burst}, 0)
}

// settleLevel lowers the level, or raises it to maxSliding at most.
func settleLevel(s *State, units int64) {
	switch {
	case units > s.Cur:
		s.Cur, s.Prev = 0, 0
	case -units >= maxSliding-s.Cur:
		s.Cur, s.Prev = maxSliding, 0
	default:
		s.Cur -= units
	}
}

// mulDiv returns the quotient and the remainder of a·b / c, for a < c.
func mulDiv(a, b, c int64) (quotient, remainder int64) {
	high, low := bits.Mul64(uint64(a), uint64(b))
	q, r := bits.Div64(high, low, uint64(c))
	return int64(q), int64(r)
}
