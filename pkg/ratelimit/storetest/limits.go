package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func admitsExactlyTheLimit(t *testing.T, s *subject) {
	for _, rule := range each(10, time.Minute) {
		for i := range int64(10) {
			dec := s.take(1, rule)
			require.True(t, dec.Allowed)
			require.Equal(t, 9-i, dec.Results[0].Remaining)
			require.Equal(t, Noon, dec.At.UTC())
			require.Zero(t, dec.RetryAfter())
		}
		dec := s.take(1, rule)
		require.False(t, dec.Allowed)
		require.True(t, dec.Results[0].Denied)
		require.Zero(t, dec.Results[0].Remaining)
	}
}

func weighsThePreviousWindow(t *testing.T, s *subject) {
	rule := sliding("per-minute", 100, time.Minute)
	require.True(t, s.take(80, rule).Allowed)
	s.clock.Advance(75 * time.Second) // three quarters of the 80 still count
	dec := s.take(10, rule)
	require.Equal(t, int64(100-60-10), dec.Results[0].Remaining)
	require.Equal(t, Noon.Add(time.Minute), dec.Results[0].Start.UTC())

	s.clock.Advance(time.Microsecond) // a hair less than three quarters: rounded up
	require.Equal(t, []int64{30}, s.remaining(rule))
	refused := s.take(31, rule)
	require.False(t, refused.Allowed)
	s.clock.Advance(refused.RetryAfter())
	require.Equal(t, []int64{31}, s.remaining(rule))

	s.clock.Set(Noon.Add(2 * time.Minute))
	require.Equal(t, []int64{90}, s.remaining(rule))
	s.clock.Set(Noon.Add(3 * time.Minute))
	require.Equal(t, []int64{100}, s.remaining(rule))
}

func fixedWindowCountsAnew(t *testing.T, s *subject) {
	rule := fixed("per-minute", 5, time.Minute)
	s.clock.Advance(40 * time.Second)
	require.True(t, s.take(5, rule).Allowed)
	refused := s.take(1, rule)
	require.Equal(t, 20*time.Second, refused.RetryAfter())
	require.Equal(t, 20*time.Second, refused.Results[0].ResetAfter)
	s.clock.Advance(20*time.Second - time.Microsecond)
	require.False(t, s.take(1, rule).Allowed)
	s.clock.Advance(time.Microsecond)
	require.True(t, s.take(5, rule).Allowed)
}

func allRulesOrNone(t *testing.T, s *subject) {
	wide, narrow := sliding("wide", 100, time.Hour), fixed("narrow", 3, time.Second)
	other := sliding("other", 50, time.Minute)
	require.True(t, s.take(3, wide, narrow, other).Allowed)
	for range 5 {
		dec := s.take(1, wide, narrow, other)
		require.False(t, dec.Allowed)
		require.Equal(t, []bool{false, true, false}, denied(dec))
		require.Equal(t, time.Second, dec.RetryAfter())
	}
	require.Equal(t, []int64{97, 0, 47}, s.remaining(wide, narrow, other))
}

func denied(dec *ratelimit.Decision) []bool {
	var flags []bool
	for _, r := range dec.Results {
		flags = append(flags, r.Denied)
	}
	return flags
}

func costAboveTheLimit(t *testing.T, s *subject) {
	large := fixed("large", 100, time.Minute)
	for _, small := range each(5, time.Minute) {
		dec := s.take(6, small, large)
		require.False(t, dec.Allowed)
		require.Equal(t, ratelimit.Never, dec.RetryAfter())
		require.Equal(t, ratelimit.Never, dec.Results[0].RetryAfter)
		require.Zero(t, dec.Results[1].RetryAfter)
		require.Equal(t, []int64{5, 100}, s.remaining(small, large))
	}
}

func costZero(t *testing.T, s *subject) {
	for _, rule := range each(2, time.Minute) {
		for range 3 {
			dec := s.take(0, rule)
			require.True(t, dec.Allowed)
			require.Equal(t, int64(2), dec.Results[0].Remaining)
			require.Zero(t, dec.Results[0].ResetAfter)
		}
		require.True(t, s.take(2, rule).Allowed)
		require.True(t, s.take(0, rule).Allowed, "a full counter has room for nothing")

		rule.Limit = 1
		dec := s.take(0, rule)
		require.False(t, dec.Allowed, "more is used than the limit is now")
		wait := time.Minute
		if rule.Algorithm == ratelimit.SlidingWindow {
			wait += 30 * time.Second // half of the 2 must have left the trailing window
		}
		require.Equal(t, wait, dec.RetryAfter())
	}
}

func noRules(t *testing.T, s *subject) {
	dec := s.take(7)
	require.True(t, dec.Allowed)
	require.Nil(t, dec.Tightest())
	require.Equal(t, Noon, dec.At.UTC())
}

func largestNumbers(t *testing.T, s *subject) {
	wide := fixed("wide", ratelimit.MaxFixedLimit, ratelimit.MaxFixed)
	require.True(t, s.take(ratelimit.MaxFixedLimit-1, wide).Allowed)
	require.Equal(t, []int64{1}, s.remaining(wide))
	require.False(t, s.take(2, wide).Allowed)
	require.True(t, s.take(1, wide).Allowed)
	require.False(t, s.take(ratelimit.MaxCost, wide).Allowed)

	for _, long := range []ratelimit.Rule{
		sliding("long", ratelimit.MaxSlidingLimit, ratelimit.MaxSliding),
		gcra("quick", ratelimit.MaxSlidingLimit, 0, ratelimit.MaxSliding),
		gcra("slow", ratelimit.MaxSlidingLimit*31/366+1, ratelimit.MaxSlidingLimit, ratelimit.MaxSliding),
		gcra("a year", 3, 3*366, 24*time.Hour),
		gcra("large", 367_000_000, ratelimit.MaxSlidingLimit, 24*time.Hour),
		log("log", ratelimit.MaxLogLimit, ratelimit.MaxSliding),
	} {
		s.clock.Set(Noon)
		all := capacity(&long)
		require.True(t, s.take(all-1, long).Allowed)
		require.Equal(t, []int64{1}, s.remaining(long))
		require.Equal(t, ratelimit.Never, s.take(ratelimit.MaxCost, long).RetryAfter())
		refused := s.take(all, long)
		s.clock.Advance(refused.RetryAfter() - time.Millisecond)
		require.False(t, s.take(all, long).Allowed)
		s.clock.Advance(time.Millisecond)
		require.True(t, s.take(all, long).Allowed)
	}
}

func shadowNeverRefuses(t *testing.T, s *subject) {
	rule := shadow(sliding("trial", 2, time.Minute))
	for i := range 4 {
		dec := s.take(1, rule)
		require.True(t, dec.Allowed)
		require.False(t, dec.Results[0].Denied)
		require.Equal(t, i >= 2, dec.Results[0].WouldDeny)
		require.Equal(t, i >= 2, dec.Results[0].RetryAfter > 0)
		require.Zero(t, dec.RetryAfter())
		require.Nil(t, dec.Tightest())
	}
}

func shadowSpends(t *testing.T, s *subject) {
	enforced, trial := fixed("enforced", 5, time.Minute), shadow(fixed("trial", 3, time.Minute))
	require.True(t, s.take(2, enforced, trial).Allowed)
	require.True(t, s.take(2, enforced, trial).Allowed, "the shadow rule would refuse")
	require.Equal(t, []int64{1, 1}, s.remaining(enforced, trial), "and so does not spend")
	require.False(t, s.take(2, enforced, trial).Allowed)
	require.Equal(t, []int64{1, 1}, s.remaining(enforced, trial))
	require.True(t, s.take(1, enforced, trial).Allowed)
	require.False(t, s.take(1, enforced, trial).Allowed, "the enforced rule refuses")
	require.Equal(t, []int64{0, 0}, s.remaining(enforced, trial))

	trial.Shadow = false
	require.Equal(t, []int64{0}, s.remaining(trial), "the same counter, now enforced")
}

func tightest(t *testing.T, s *subject) {
	a, b := sliding("a", 10, time.Minute), sliding("b", 5, time.Hour)
	trial := shadow(sliding("trial", 1, time.Minute))
	require.Equal(t, "b", s.take(1, a, b, trial).Tightest().Rule.Name)
	require.Equal(t, "a", s.take(5, a).Tightest().Rule.Name)
	require.True(t, s.take(4, a, b).Allowed)
	require.Equal(t, "b", s.take(1, a, b).Tightest().Rule.Name, "both refuse, b for longer")
	require.Equal(t, "b", s.take(7, a, b).Tightest().Rule.Name, "never outlasts every wait")
}

func changedLimit(t *testing.T, s *subject) {
	for _, rule := range each(10, time.Minute) {
		require.True(t, s.take(8, rule).Allowed)
		rule.Limit = 5
		require.False(t, s.take(1, rule).Allowed)
		rule.Limit = 12
		require.Equal(t, []int64{4}, s.remaining(rule))
	}
}

func identity(t *testing.T, s *subject) {
	base := sliding("per-minute", 10, time.Minute)
	require.True(t, s.take(7, base).Allowed)
	for name, change := range map[string]func(*ratelimit.Rule){
		"scope":  func(r *ratelimit.Rule) { r.Scope = "owner" },
		"id":     func(r *ratelimit.Rule) { r.ID = "k2" },
		"name":   func(r *ratelimit.Rule) { r.Name = "per-minute2" },
		"fixed":  func(r *ratelimit.Rule) { r.Algorithm = ratelimit.FixedWindow },
		"gcra":   func(r *ratelimit.Rule) { r.Algorithm = ratelimit.GCRA },
		"log":    func(r *ratelimit.Rule) { r.Algorithm = ratelimit.SlidingLog },
		"window": func(r *ratelimit.Rule) { r.Window += time.Microsecond },
		"split":  func(r *ratelimit.Rule) { r.Scope, r.ID = "keyk", "1" },
		"calendar": func(r *ratelimit.Rule) {
			r.Algorithm, r.Window, r.Calendar = ratelimit.FixedWindow, 0, days(Noon)
		},
	} {
		rule := base
		change(&rule)
		require.Equal(t, []int64{10, 3}, s.remaining(rule, base), name)
	}
	s.group = "another"
	require.Equal(t, []int64{10}, s.remaining(base), "group")
}

func anyBytes(t *testing.T, s *subject) {
	for i, text := range []string{"}", "{a}b", "\x00", "\xff\xfe", "a:b", "%s\r\n", string(make([]byte, 10_000))} {
		rule := ratelimit.Rule{Scope: text, ID: text, Name: text, Limit: 3, Window: time.Minute}
		req := &ratelimit.Request{ID: text, Group: text, Cost: 1, Rules: []ratelimit.Rule{rule}}
		require.Equal(t, int64(2), s.ask(req).Results[0].Remaining, i)
		replayed := s.ask(req)
		require.True(t, replayed.Replayed)
		require.Equal(t, rule, *replayed.Results[0].Rule)
	}
}

func resetForgets(t *testing.T, s *subject) {
	a, b := sliding("a", 5, time.Minute), daily(5, days(Noon))
	require.True(t, s.take(5, a, b).Allowed)
	require.NoError(t, s.store.Reset(context.Background(), "another group", []ratelimit.Rule{a, b}))
	require.Equal(t, []int64{0, 0}, s.remaining(a, b))
	require.NoError(t, s.store.Reset(context.Background(), s.group, []ratelimit.Rule{a, sliding("unknown", 1, time.Minute)}))
	require.Equal(t, []int64{5, 0}, s.remaining(a, b))
	require.NoError(t, s.store.Reset(context.Background(), s.group, nil))
	require.NoError(t, s.store.Reset(context.Background(), s.group, []ratelimit.Rule{b}))
	require.True(t, s.take(5, a, b).Allowed)
}
