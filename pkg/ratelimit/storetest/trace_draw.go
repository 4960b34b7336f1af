package storetest

import (
	"math/bits"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func (tr *trace) one(of ...int64) int64 { return of[tr.IntN(len(of))] }

// between draws numbers of every magnitude from least to most.
func (tr *trace) between(least, most int64) int64 {
	n := least << tr.IntN(bits.Len64(uint64(most/least)))
	return min(most, n+tr.Int64N(n))
}

func (tr *trace) size(most int64) int64 {
	if tr.IntN(3) == 0 {
		most = min(most, 20)
	}
	return tr.between(1, most)
}

func micros(d int64) time.Duration { return time.Duration(d).Truncate(time.Microsecond) }

func (tr *trace) rule(name string) ratelimit.Rule {
	r := ratelimit.Rule{Scope: "key", ID: "k", Name: name, Shadow: tr.IntN(6) == 0}
	longest := ratelimit.MaxSliding
	switch tr.IntN(14) {
	case 0, 1:
		r.Algorithm, longest = ratelimit.FixedWindow, ratelimit.MaxFixed
	case 2, 12, 13:
		r.Algorithm, r.Calendar, r.Durable = ratelimit.FixedWindow, tr.calendar(), tr.IntN(3) > 0
	case 3, 4, 5, 6:
		r.Algorithm = ratelimit.GCRA
	case 7, 8, 9:
		r.Algorithm = ratelimit.SlidingLog
	}
	if r.Calendar == nil {
		r.Window = tr.window(longest)
	}
	tr.limit(&r)
	return r
}

// window draws lengths of one scale, mostly, so that rules meet.
func (tr *trace) window(longest time.Duration) time.Duration {
	w := time.Duration(tr.scale)
	switch n := tr.IntN(8); n {
	case 0:
		w = time.Duration(tr.one(int64(time.Second), int64(time.Minute), int64(time.Hour),
			int64(time.Hour+time.Millisecond), int64(24*time.Hour), int64(longest)))
	case 1:
		w = time.Duration(tr.between(int64(ratelimit.MinWindow), int64(longest)))
	default:
		w += time.Duration(tr.Int64N(tr.scale << n >> 3))
	}
	w = min(w, longest).Truncate(time.Microsecond)
	if w > time.Hour {
		w = w.Truncate(time.Millisecond)
	}
	return w
}

// limit draws another limit and burst for a rule.
func (tr *trace) limit(r *ratelimit.Rule) {
	r.Limit = tr.size(largestLimit(r.Algorithm))
	if r.Algorithm == ratelimit.GCRA {
		r.Burst = tr.one(0, 0, 1, 2, 3, r.Limit+1, tr.size(ratelimit.MaxSlidingLimit), tr.size(ratelimit.MaxSlidingLimit))
		r.Burst = min(r.Burst, largestBurst(r.Limit, r.Window))
	}
}

// nudge moves a rule's limit a little.
func (tr *trace) nudge(r *ratelimit.Rule) {
	r.Limit = min(max(1, r.Limit+tr.one(-3, -2, -1, 1, 2, 3)), largestLimit(r.Algorithm))
	if r.Algorithm == ratelimit.GCRA {
		r.Burst = min(r.Burst, largestBurst(r.Limit, r.Window))
	}
}

func largestLimit(algorithm ratelimit.Algorithm) int64 {
	switch algorithm {
	case ratelimit.FixedWindow:
		return ratelimit.MaxFixedLimit
	case ratelimit.SlidingLog:
		return ratelimit.MaxLogLimit
	default:
		return ratelimit.MaxSlidingLimit
	}
}

// calendar draws periods of uneven length, the middle one around now.
func (tr *trace) calendar() *ratelimit.Calendar {
	span := func() time.Duration {
		return time.Duration(100+tr.Int64N(max(1, tr.scale/int64(time.Millisecond)))) * time.Millisecond
	}
	now := tr.clock.Now().Truncate(time.Millisecond)
	start := now.Add(-time.Duration(tr.Int64N(100)) * time.Millisecond)
	end := now.Add(span())
	return &ratelimit.Calendar{
		Name:     "uneven",
		Previous: ratelimit.Period{Start: start.Add(-span()), End: start},
		Current:  ratelimit.Period{Start: start, End: end},
		Next:     ratelimit.Period{Start: end, End: end.Add(span())},
	}
}

// change changes limits, bursts, flags and calendars: the count must stay.
func (tr *trace) change() {
	r := &tr.rules[tr.IntN(len(tr.rules))]
	switch tr.IntN(12) {
	case 0:
		tr.limit(r)
	case 1:
		tr.nudge(r)
	case 2:
		r.Shadow = !r.Shadow
	case 3, 4:
		if r.Calendar != nil {
			r.Calendar = tr.calendar()
		}
	case 5:
		r.Durable = r.Calendar != nil && !r.Durable
	}
}

// cost draws what just fits, what just does not, and anything.
func (tr *trace) cost(r *ratelimit.Rule) int64 {
	all, left := capacity(r), tr.last[r.Name].remaining
	switch tr.IntN(16) {
	case 0:
		return tr.size(ratelimit.MaxCost)
	case 1, 2, 3:
		return min(1+tr.Int64N(all), tr.size(all))
	default:
		return min(ratelimit.MaxCost, tr.one(0, 0, 1, 1, 1, 2, left, left, left+1, all/2, all-1, all, all, all+1))
	}
}

// length is a rule's window, or that of the clock in its calendar.
func length(r *ratelimit.Rule) int64 {
	if r.Calendar == nil {
		return int64(r.Window)
	}
	return int64(r.Calendar.Current.End.Sub(r.Calendar.Current.Start))
}

// pass moves the clock: not at all, a little, to an edge, far, and back.
func (tr *trace) pass() {
	r := &tr.rules[tr.IntN(len(tr.rules))]
	window, now := length(r), tr.clock.Now()
	oneTick := tick(r) * int64(time.Microsecond)
	nudge := time.Duration(tr.one(0, 0, 0, -oneTick, -int64(time.Microsecond), int64(time.Microsecond), oneTick))
	switch tr.IntN(16) {
	case 0, 1, 2, 3:
	case 4, 5:
		tr.clock.Advance(micros(tr.Int64N(window/4 + 1)))
	case 6:
		tr.clock.Advance(time.Duration(tr.one(1, 1, 2, oneTick) * oneTick))
	case 7, 8, 9:
		if len(tr.edges) > 0 {
			tr.clock.Set(tr.edges[tr.IntN(len(tr.edges))].Add(nudge))
		}
	case 10, 11:
		start := now.Add(-time.Duration(now.UnixMicro() * 1000 % window))
		if r.Calendar != nil {
			start = r.Calendar.Current.Start
		}
		tr.clock.Set(start.Add(time.Duration(window * tr.one(1, 1, 2))).Add(nudge))
	case 12:
		tr.clock.Advance(micros(tr.Int64N(3 * window)))
	case 13:
		tr.clock.Advance(-micros(tr.one(1000, oneTick, tr.Int64N(window), tr.Int64N(3*window))))
	case 14:
		if spent := tr.last[r.Name].spent; !spent.IsZero() {
			tr.clock.Set(spent.Add(-time.Duration(window)).Add(nudge))
		}
	case 15:
		if tr.IntN(8) == 0 {
			tr.clock.Advance(micros(tr.one(-1, 1) * tr.Int64N(int64(ratelimit.MaxFixed))))
		}
		tr.clock.Advance(time.Duration(tr.Int64N(2000))) // a part of a microsecond
	}
	// Years from the ends of what is counted.
	if now := tr.clock.Now(); now.Year() < 1975 || now.Year() > 2200 {
		tr.clock.Set(Noon)
	}
}
