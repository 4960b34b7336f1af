package counter

import (
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func windowed(kind Kind, limit int64, window time.Duration) (r Rule) {
	r.Windowed(kind, limit, limit, window)
	return r
}

// The reference says what the documentation does, in exact fractions and
// without a thought for speed.

func ceil(r *big.Rat) *big.Int {
	n := new(big.Int).Add(r.Num(), r.Denom())
	return n.Sub(n, big.NewInt(1)).Div(n, r.Denom())
}

func ratio(a, b int64) *big.Rat { return big.NewRat(a, b) }

func used(r *Rule, s State) int64 { return r.Used(&s) }

func advance(r *Rule, s State, now int64) (State, bool) {
	ok := r.Advance(&s, now)
	return s, ok
}

// fitsFrom is FitsFrom also where cost fits already.
func fitsFrom(r *Rule, s State, cost int64) int64 {
	if cost <= r.Capacity()-r.Used(&s) {
		return s.Last
	}
	return r.FitsFrom(&s, cost)
}

// referenceUsed is ⌈prev·w⌉ + cur, where w is the part of the previous window
// still covered, rounded up to a 2^-20th.
func referenceUsed(s State, window int64) *big.Int {
	covered := ratio(window-(s.Last-s.Start), window)
	steps := ceil(covered.Mul(covered, ratio(1<<20, 1)))
	weight := new(big.Rat).SetFrac(steps, big.NewInt(1<<20))
	used := ceil(weight.Mul(weight, ratio(s.Prev, 1)))
	return used.Add(used, big.NewInt(s.Cur))
}

func slidingRule(rt *rapid.T) Rule {
	limit := rapid.OneOf(rapid.Int64Range(1, 100), rapid.Int64Range(1, 1<<32)).Draw(rt, "limit")
	window := rapid.OneOf(
		rapid.Int64Range(100, 31*24*3600*1000),
		rapid.SampledFrom([]int64{100, 1000, 60_000, 3_600_000, 3_600_001, 31 * 24 * 3_600_000}),
	).Draw(rt, "window")
	return windowed(Sliding, limit, time.Duration(window)*time.Millisecond)
}

// slidingState draws an advanced state, which may exceed the limit as after a
// change of limits.
func slidingState(rt *rapid.T, r *Rule) State {
	count := rapid.OneOf(rapid.Int64Range(0, r.Limit), rapid.Int64Range(0, 1<<32))
	start := rapid.Int64Range(0, 1<<52/r.Window/r.Tick).Draw(rt, "bucket") * r.Window
	elapsed := rapid.OneOf(rapid.Int64Range(0, r.Window-1), rapid.SampledFrom([]int64{0, 1, r.Window - 1})).Draw(rt, "elapsed")
	return State{Last: start + elapsed, Start: start, Prev: count.Draw(rt, "prev"), Cur: count.Draw(rt, "cur")}
}

func TestSlidingUsedEqualsTheReference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := slidingRule(rt)
		s := slidingState(rt, &r)
		require.Equal(rt, referenceUsed(s, r.Window).String(), big.NewInt(used(&r, s)).String())
	})
}

// at is the state some ticks later, if nothing is spent.
func at(rt *rapid.T, r *Rule, s State, tick int64) State {
	later, ok := advance(r, s, tick*r.Tick)
	require.True(rt, ok)
	require.Equal(rt, tick, later.Last)
	return later
}

func TestFitsFromIsTheFirstTickThatFits(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := slidingRule(rt)
		s := slidingState(rt, &r)
		cost := rapid.Int64Range(0, r.Limit+1).Draw(rt, "cost")
		from := fitsFrom(&r, s, cost)
		if cost > r.Limit {
			require.Equal(rt, Never, from)
			return
		}
		room := big.NewInt(r.Limit - cost)
		fits := func(tick int64) bool { return referenceUsed(at(rt, &r, s, tick), r.Window).Cmp(room) <= 0 }
		require.True(rt, fits(from))
		if from > s.Last {
			require.False(rt, fits(from-1))
		}
	})
}

func TestProductsStayBelowTwoToThe53(t *testing.T) {
	for _, window := range []time.Duration{time.Hour, time.Hour + time.Millisecond, 31 * 24 * time.Hour} {
		r := windowed(Sliding, 1<<32, window)
		s := State{Last: 0, Start: 0, Prev: 1 << 32, Cur: 1 << 32}
		require.Less(t, r.Window*one+r.Window-1, int64(1)<<53)
		require.Less(t, s.Prev*one+one-1, int64(1)<<53)
		require.Equal(t, int64(1<<33), used(&r, s))
	}
}

func TestUsedNeverGrowsByWaiting(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := slidingRule(rt)
		s := slidingState(rt, &r)
		wait := rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(0, 3*r.Window)).Draw(rt, "wait")
		later := at(rt, &r, s, s.Last+wait)
		require.LessOrEqual(rt, used(&r, later), used(&r, s))
	})
}

func TestAdvance(t *testing.T) {
	const window = 60_000_000
	spent := State{Last: window + 5, Start: window, Prev: 3, Cur: 4}
	for _, c := range []struct {
		name          string
		now           int64
		sliding, next State
	}{
		{"same tick", window + 5, spent, spent},
		{"same window", 2*window - 1, State{2*window - 1, window, 3, 4}, State{2*window - 1, window, 3, 4}},
		{"next window", 2 * window, State{2 * window, 2 * window, 4, 0}, State{2 * window, 2 * window, 0, 0}},
		{"window after", 3 * window, State{3 * window, 3 * window, 0, 0}, State{3 * window, 3 * window, 0, 0}},
		{"a window behind", 5, spent, spent},
		{"further behind", 4, State{4, 0, 3, 4}, State{4, 0, 3, 4}},
	} {
		sliding, fixed := windowed(Sliding, 10, time.Minute), windowed(Fixed, 10, time.Minute)
		got, ok := advance(&sliding, spent, c.now)
		require.True(t, ok, c.name)
		require.Equal(t, c.sliding, got, c.name)
		got, ok = advance(&fixed, spent, c.now)
		require.True(t, ok, c.name)
		require.Equal(t, c.next, got, c.name)
	}
}

func TestTicks(t *testing.T) {
	require.Equal(t, time.Microsecond, Tick(time.Hour))
	require.Equal(t, time.Millisecond, Tick(time.Hour+time.Millisecond))
	hour, day := windowed(Fixed, 1, time.Hour), windowed(Fixed, 1, 24*time.Hour)
	require.Equal(t, int64(3_600_000_000), hour.Window)
	require.Equal(t, int64(86_400_000), day.Window)
	s, _ := advance(&day, State{}, 86_400_000*1000-1)
	require.Equal(t, int64(86_399_999), s.Last, "a tick has begun when it counts")
	require.Equal(t, int64(0), Micros(time.Time{}))
	require.Equal(t, int64(1<<53-1), Micros(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)))
}

func TestForgetIsLifeAndMargin(t *testing.T) {
	second, day := windowed(Fixed, 1, time.Second), windowed(Fixed, 1, 24*time.Hour)
	slidingDay := windowed(Sliding, 1, 24*time.Hour)
	used := State{Cur: 1}
	instant := func(d time.Duration) int64 { return d.Microseconds() }
	require.Equal(t, instant(61*time.Second), second.Forget(&used))
	require.Equal(t, instant(24*time.Hour+144*time.Minute), day.Forget(&used))
	require.Equal(t, instant(48*time.Hour+144*time.Minute), slidingDay.Forget(&used))
	var periods Rule
	periods.Calendar(1, time.Unix(0, 0), time.Unix(1000, 0), time.Unix(3000, 0), time.Unix(6000, 0))
	require.Equal(t, instant(3200*time.Second), periods.Forget(&State{Last: 1_500_000, Start: 1_000_000, Cur: 1}))
}

func TestForgottenStatesNoLongerCount(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := slidingRule(rt)
		s := slidingState(rt, &r)
		after, _ := advance(&r, s, r.Forget(&s)-margin)
		require.Zero(rt, used(&r, after))
	})
}

func FuzzIdentitiesDiffer(f *testing.F) {
	f.Add("a", "bc", "d", "ab", "c", "d")
	f.Add("", "", "\x01", "", "\x01", "")
	f.Fuzz(func(t *testing.T, scope1, id1, name1, scope2, id2, name2 string) {
		r := windowed(Fixed, 1, time.Minute)
		same := scope1 == scope2 && id1 == id2 && name1 == name2
		first := string(r.AppendIdentity(nil, scope1, id1, name1, ""))
		second := string(r.AppendIdentity(nil, scope2, id2, name2, ""))
		require.Equal(t, same, first == second)
	})
}
