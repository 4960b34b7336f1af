package storetest

import (
	"sort"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// A counter holds what was spent under one rule.
type counter interface {
	// at shows the counter to a clock at the tick now.
	at(rule *ratelimit.Rule, now int64) view
}

// A view is a counter at one tick: that of the clock, or where a clock that is
// behind stands still. Times are in ticks of the rule.
type view interface {
	tick() int64
	start() int64                // of the window in which spending now counts
	used(at int64) int64         // units that count at a tick from tick() on, without other traffic
	spend(units int64)           // changes the counter
	counts(start, at int64) bool // whether what was spent at a tick, in the window of that start, still does
	settle(start, units int64)   // gives back, or charges if below zero: changes the counter
}

// looked is a view in the words of a Result.
type looked struct {
	view
	counter counter
	rule    *ratelimit.Rule
	now     int64 // of the clock, in microseconds
}

func newCounter(rule *ratelimit.Rule) counter {
	if rule.Algorithm == ratelimit.GCRA {
		return &bucket{}
	}
	return &tally{}
}

func look(c counter, rule *ratelimit.Rule, now int64) *looked {
	return &looked{c.at(rule, now/tick(rule)), c, rule, now}
}

func (l *looked) fits(cost int64) bool { return l.used(l.tick()) <= capacity(l.rule)-cost }

func (l *looked) remaining() int64 { return max(0, capacity(l.rule)-l.used(l.tick())) }

// horizon is where waits end: the last microsecond that a double counts exactly.
const horizon = int64(1<<53 - 1)

// wait is the time from the clock's now to the first tick at which cost fits.
func (l *looked) wait(cost int64) time.Duration {
	room := capacity(l.rule) - cost
	if room < 0 {
		return ratelimit.Never
	}
	return time.Duration(min(horizon, l.first(room)*tick(l.rule))-l.now) * time.Microsecond
}

// first is the first tick at which no more than room is used. What is used only
// becomes less with time, so halving finds it; a log need only be read.
func (l *looked) first(room int64) int64 {
	if l.rule.Algorithm == ratelimit.SlidingLog {
		return l.view.(*tallyView).forgotten(room)
	}
	from, to := l.tick(), horizon/tick(l.rule)
	return from + int64(sort.Search(int(to-from)+1, func(n int) bool { return l.used(from+int64(n)) <= room }))
}

func (l *looked) instant(at int64) time.Time { return time.UnixMicro(at * tick(l.rule)) }

// capacity is how many units the rule lets be used at once.
func capacity(rule *ratelimit.Rule) int64 {
	if rule.Burst > 0 {
		return rule.Burst
	}
	return rule.Limit
}

// tick is the rule's unit of time, in microseconds.
func tick(rule *ratelimit.Rule) int64 {
	if rule.Calendar != nil || rule.Window > time.Hour {
		return 1000
	}
	return 1
}

// width is the rule's window in ticks.
func width(rule *ratelimit.Rule) int64 { return rule.Window.Microseconds() / tick(rule) }

// span is the window, from start to before end, in which a spending at the tick
// at counts: an aligned one, a calendar's period if it has one for then, or the
// time from the spending on.
func span(rule *ratelimit.Rule, at int64) (start, end int64, ok bool) {
	if c := rule.Calendar; c != nil {
		for _, p := range []ratelimit.Period{c.Previous, c.Current, c.Next} {
			if start, end = p.Start.UnixMilli(), p.End.UnixMilli(); start <= at && at < end {
				return start, end, true
			}
		}
		return at, at, false
	}
	start = at
	if rule.Algorithm == ratelimit.SlidingWindow || rule.Algorithm == ratelimit.FixedWindow {
		start -= at % width(rule)
	}
	return start, start + width(rule), true
}
