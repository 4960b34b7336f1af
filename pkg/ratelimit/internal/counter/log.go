package counter

// A Log remembers every spending that still counts: a mark for each tick, with
// the sum of all that was spent up to it, so that what counts from any mark on
// is one subtraction. Sums and ticks only grow along the log, and both are
// found by halving.
//
// The zero Log is one never used. A Log is not safe for concurrent use.
type Log struct {
	last  int64  // tick of the latest spending
	base  int64  // sum before the first mark
	marks []mark // a ring of a power of two
	head  int
	size  int
}

type mark struct{ tick, sum int64 }

// A LogState is what a Log means at an instant.
type LogState struct {
	Tick  int64 // decided at
	Used  int64 // units that count
	shift int64 // what the marks' ticks lack since the clock went back too far
	first int   // index of the first mark that counts
	base  int64 // sum before it
}

func (l *Log) at(i int) *mark { return &l.marks[(l.head+i)&(len(l.marks)-1)] }

// search returns the first i in [low, high) for which is(mark i), or high: is
// must hold for all marks after one for which it does. It looks near low first:
// from take to take few marks stop to count.
func (l *Log) search(low, high int, is func(*mark) bool) int {
	for step := 1; low < high; step *= 2 {
		probe := min(low+step, high) - 1
		if is(l.at(probe)) {
			high = probe
			break
		}
		low = probe + 1
	}
	for low < high {
		middle := int(uint(low+high) / 2)
		if is(l.at(middle)) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}

func (l *Log) sum() int64 {
	if l.size == 0 {
		return l.base
	}
	return l.at(l.size - 1).sum
}

// AdvanceLog makes s the state of the log at the instant now. What counts is what
// was spent less than a window ago. A clock that went back is treated as
// [Rule.Advance] does; one that went further back than a window moves the whole
// log back with it, so that its latest spending is now.
func (r *Rule) AdvanceLog(l *Log, s *LogState, now int64) {
	*s = LogState{Tick: now / r.Tick}
	if s.Tick < l.last {
		if l.last-s.Tick > r.Window {
			s.shift = s.Tick - l.last
		} else {
			s.Tick = l.last
		}
	}
	since := s.Tick - s.shift - r.Window
	s.first = l.search(0, l.size, func(m *mark) bool { return m.tick > since })
	s.base = l.base
	if s.first > 0 {
		s.base = l.at(s.first - 1).sum
	}
	s.Used = l.sum() - s.base
}

// LogFitsFrom is FitsFrom for a log of that state.
func (r *Rule) LogFitsFrom(l *Log, s *LogState, cost int64) int64 {
	if cost > r.Limit {
		return Never
	}
	enough := l.sum() - (r.Limit - cost)
	i := l.search(s.first, l.size, func(m *mark) bool { return m.sum >= enough })
	return l.at(i).tick + s.shift + r.Window
}

// Spend spends cost, at least 1, from a log of that state, and makes s the state
// it is in then.
func (l *Log) Spend(s *LogState, cost int64) {
	l.settle(s)
	s.Used += cost
	s.first, s.shift = 0, 0
	if l.size == 0 || l.at(l.size-1).tick != s.Tick {
		if l.size == len(l.marks) {
			l.resize(max(4, 2*l.size))
		}
		l.size++
	}
	*l.at(l.size - 1) = mark{s.Tick, s.base + s.Used}
}

// LogCounts tells whether what was spent at the tick start counts in a log of
// that state.
func (r *Rule) LogCounts(s *LogState, start int64) bool {
	return start > s.Tick-r.Window && start <= s.Tick
}

// Refund gives back units of what was spent at the tick start from a log of
// that state, as far as it is there. Units below zero are charged instead to
// what is there, up to maxLog in all.
func (l *Log) Refund(s *LogState, start, units int64) {
	start -= s.shift
	i := l.search(0, l.size, func(m *mark) bool { return m.tick >= start })
	if i == l.size || l.at(i).tick != start {
		return
	}
	before := l.base
	if i > 0 {
		before = l.at(i - 1).sum
	}
	units = max(min(units, l.at(i).sum-before), l.sum()-l.base-maxLog)
	for j := i; j < l.size; j++ {
		l.at(j).sum -= units
	}
	if l.at(i).sum == before { // a mark of nothing would be one too many
		for j := i + 1; j < l.size; j++ {
			*l.at(j - 1) = *l.at(j)
		}
		l.size--
	}
}

// settle makes the state that of the log: what no longer counts is dropped.
func (l *Log) settle(s *LogState) {
	l.last = s.Tick
	l.base = s.base
	l.head = (l.head + s.first) & max(0, len(l.marks)-1)
	l.size -= s.first
	if s.shift != 0 {
		for i := range l.size {
			l.at(i).tick += s.shift
		}
	}
	if len(l.marks) > 64 && l.size < len(l.marks)/8 {
		l.resize(len(l.marks) / 2)
	}
}

func (l *Log) resize(n int) {
	marks := make([]mark, n)
	for i := range l.size {
		marks[i] = *l.at(i)
	}
	l.marks, l.head = marks, 0
}

// Room returns how many marks the log has room for.
func (l *Log) Room() int { return len(l.marks) }

// RoomAfter returns how many it may have room for after a spending from that
// state.
func (l *Log) RoomAfter(s *LogState) int {
	if l.size-s.first < len(l.marks) {
		return len(l.marks)
	}
	return max(4, 2*l.size)
}

// ForgetLog returns the instant from which a log of that state need not be
// kept, as [Rule.Forget] does.
func (r *Rule) ForgetLog(s *LogState) int64 { return r.forget(s.Tick+r.Window, r.Window) }
