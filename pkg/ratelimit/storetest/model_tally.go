package storetest

import (
	"slices"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// A tally is a list of how many units were spent, by the place where they count:
// for a SlidingWindow and a FixedWindow the start of the window, for a
// SlidingLog the tick of the spending. Once something was spent the latest place
// stays, the last of the list, even if all of it is given back.
type tally struct {
	spent []spending
	last  int64 // tick of the latest spending
}

type spending struct{ place, units int64 }

// A tallyView is a tally whose clock stands at now.
type tallyView struct {
	*tally
	rule       *ratelimit.Rule
	now        int64
	place, end int64 // the window of now
	moved      int64 // how much earlier than noted all of it counts
}

func (c *tally) at(rule *ratelimit.Rule, now int64) view {
	v := &tallyView{tally: c, rule: rule, now: now}
	v.place, v.end, _ = span(rule, now)
	if len(c.spent) == 0 || now >= c.last {
		return v
	}
	if start, end, ok := span(rule, c.last); ok && c.last-now <= v.end-v.place {
		v.now, v.place, v.end = c.last, start, end
	} else {
		v.moved = c.spent[len(c.spent)-1].place - v.place
	}
	return v
}

func (v *tallyView) tick() int64  { return v.now }
func (v *tallyView) start() int64 { return v.place }

// find is the index of what was spent in the window that starts at place, or -1.
func (v *tallyView) find(place int64) int {
	return slices.IndexFunc(v.spent, func(s spending) bool { return s.place-v.moved == place })
}

// in is what was spent in the window that starts at place.
func (v *tallyView) in(place int64) int64 {
	if i := v.find(place); i >= 0 {
		return v.spent[i].units
	}
	return 0
}

func (v *tallyView) used(at int64) int64 {
	w := v.end - v.place
	switch v.rule.Algorithm {
	case ratelimit.SlidingWindow:
		const one = 1 << 20
		start := at - at%w
		weight := ceil((start+w-at)*one, w)
		return ceil(v.in(start-w)*weight, one) + v.in(start)
	case ratelimit.FixedWindow:
		if at >= v.end {
			return 0
		}
		return v.in(v.place)
	default:
		var sum int64
		for _, s := range v.spent {
			if at-(s.place-v.moved) < w {
				sum += s.units
			}
		}
		return sum
	}
}

// forgotten is the tick at which so many of a log's oldest spendings are
// forgotten that no more than room is used.
func (v *tallyView) forgotten(room int64) int64 {
	at, used := v.now, v.used(v.now)
	for _, s := range v.spent {
		if used <= room {
			break
		}
		if end := s.place - v.moved + v.end - v.place; end > v.now {
			at, used = end, used-s.units
		}
	}
	return at
}

// ceil divides numbers that are not negative, rounding up.
func ceil(a, by int64) int64 { return (a + by - 1) / by }

func (v *tallyView) counts(start, _ int64) bool { return len(v.spent) > 0 && v.covers(start) }

// covers tells whether the window of that start is one that counts now.
func (v *tallyView) covers(start int64) bool {
	switch v.rule.Algorithm {
	case ratelimit.SlidingWindow:
		return start == v.place || start == v.place-(v.end-v.place)
	case ratelimit.FixedWindow:
		return start == v.place
	default:
		return start <= v.now && v.now < start+(v.end-v.place)
	}
}

func (v *tallyView) spend(units int64) {
	kept := []spending{}
	for _, s := range v.spent {
		if s.place -= v.moved; v.covers(s.place) {
			kept = append(kept, s)
		}
	}
	if n := len(kept); n == 0 || kept[n-1].place != v.place {
		kept = append(kept, spending{place: v.place})
	}
	kept[len(kept)-1].units += units
	v.spent, v.last = kept, v.now
}

func (v *tallyView) settle(start, units int64) {
	i := v.find(start)
	switch {
	case units > 0:
		if i >= 0 {
			v.spent[i].units = max(0, v.spent[i].units-units)
		}
	case v.rule.Algorithm == ratelimit.SlidingLog:
		if i >= 0 && v.spent[i].units > 0 { // what a log gave back altogether it does not remember
			var all int64
			for _, s := range v.spent {
				all += s.units
			}
			v.spent[i].units += min(-units, ratelimit.MaxLogLimit-all)
		}
	case v.rule.Algorithm == ratelimit.FixedWindow:
		if i >= 0 {
			v.spent[i].units += min(-units, ratelimit.MaxFixedLimit-v.spent[i].units)
		}
	default:
		v.charge(start, -units)
	}
}

// charge adds to a SlidingWindow's latest window or the one before, in which
// nothing may have been spent since a reset.
func (v *tallyView) charge(start, units int64) {
	latest := v.spent[len(v.spent)-1].place - v.moved
	if start > latest {
		return
	}
	if v.find(start) < 0 {
		v.spent = slices.Insert(v.spent, 0, spending{place: start + v.moved})
	}
	s := &v.spent[v.find(start)]
	s.units += min(units, ratelimit.MaxSlidingLimit-s.units)
}
