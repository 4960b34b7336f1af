package storetest

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func durable(rule ratelimit.Rule) ratelimit.Rule {
	rule.Durable = true
	return rule
}

// quota is a durable rule of UTC days.
func quota(name string, limit int64) ratelimit.Rule {
	rule := durable(daily(limit, days(Noon)))
	rule.Name = name
	return rule
}

var today, tomorrow = days(Noon).Current.Start, days(Noon).Next.Start

func (s *subject) seed(seeds ...ratelimit.Seeding) {
	require.NoError(s.t, s.store.Seed(context.Background(), s.group, seeds))
}

// unseeded asks for what cannot be decided, for want of the rules of those indices.
func (s *subject) unseeded(req *ratelimit.Request, start time.Time, rules ...int) {
	err := s.fails(req)
	var unseeded *ratelimit.UnseededError
	require.ErrorAs(s.t, err, &unseeded)
	require.ErrorIs(s.t, err, ratelimit.ErrUnseeded)
	require.Equal(s.t, rules, unseeded.Rules)
	for i := range rules {
		require.Equal(s.t, start, unseeded.Starts[i].UTC())
	}
}

func durableUnseeded(t *testing.T, s *subject) {
	other, a, b, c := sliding("other", 5, time.Minute), quota("a", 10), shadow(quota("b", 10)), quota("c", 10)
	s.seed(seeding(c, today, 3))
	for _, cost := range []int64{0, 1, 6, 11} { // what would be allowed, and what refused
		s.unseeded(s.request(cost, other, a, b, c), today, 1, 2)
		require.Equal(t, []int64{5, 7}, s.remaining(other, c))
	}
	s.seed(seeding(b, today, 0), seeding(a, today, 10))
	require.False(t, s.take(1, other, a, b, c).Allowed)
	require.Equal(t, []int64{5, 0, 10, 7}, s.remaining(other, a, b, c))
	require.True(t, s.take(1, other, b, c).Allowed)
	require.Equal(t, []int64{4, 0, 9, 6}, s.remaining(other, a, b, c))
}

func seedRaises(t *testing.T, s *subject) {
	rule := quota("a", 10)
	for _, step := range []struct{ used, left int64 }{{0, 10}, {4, 6}, {0, 6}, {3, 6}, {4, 6}, {5, 5}} {
		s.seed(seeding(rule, today, step.used))
		require.Equal(t, []int64{step.left}, s.remaining(rule))
	}
	require.True(t, s.take(3, rule).Allowed)
	s.seed(seeding(rule, today, 7))
	require.Equal(t, []int64{2}, s.remaining(rule))
	s.seed(seeding(rule, today, 12))
	refused := s.take(0, rule)
	require.False(t, refused.Allowed, "more is used than the limit")
	require.Equal(t, 12*time.Hour, refused.RetryAfter())

	rule.Limit = ratelimit.MaxFixedLimit
	s.seed(seeding(rule, today, ratelimit.MaxFixedLimit-1))
	require.Equal(t, []int64{1}, s.remaining(rule))
	require.True(t, s.take(1, rule).Allowed)
	s.seed(seeding(rule, today, ratelimit.MaxFixedLimit))
	require.Equal(t, []int64{0}, s.remaining(rule))
	require.True(t, s.take(0, rule).Allowed)
}

func seedAnotherPeriod(t *testing.T, s *subject) {
	rule := quota("a", 10)
	yesterday := rule.Calendar.Previous.Start
	elsewhere := func(offset time.Duration) ratelimit.Seeding {
		rule := rule
		rule.Calendar = days(Noon.Add(offset))
		return seeding(rule, rule.Calendar.Current.Start, 5)
	}
	seedOthers := func() {
		s.seed(seeding(rule, yesterday, 5))
		s.seed(elsewhere(-30 * 24 * time.Hour))
		s.seed(elsewhere(30 * 24 * time.Hour))
		s.seed(elsewhere(-24 * time.Hour))
		s.seed(elsewhere(24 * time.Hour))
	}
	seedOthers()
	s.unseeded(s.request(1, rule), today, 0)
	s.seed(seeding(rule, today, 2))
	seedOthers()
	s.seed(seeding(rule, tomorrow, 5))
	require.Equal(t, []int64{8}, s.remaining(rule))

	s.clock.Set(tomorrow)
	s.unseeded(s.request(1, rule), tomorrow, 0)
	s.seed(seeding(rule, today, 9))
	s.unseeded(s.request(1, rule), tomorrow, 0)
	s.seed(seeding(rule, tomorrow, 1))
	s.seed(seeding(rule, today, 9))
	require.Equal(t, []int64{9}, s.remaining(rule))

	shifted := rule
	shifted.Calendar = days(tomorrow)
	for _, p := range []*ratelimit.Period{&shifted.Calendar.Previous, &shifted.Calendar.Current, &shifted.Calendar.Next} {
		p.Start, p.End = p.Start.Add(-time.Hour), p.End.Add(-time.Hour)
	}
	s.unseeded(s.request(1, shifted), tomorrow.Add(-time.Hour), 0)
	s.seed(seeding(shifted, tomorrow.Add(-time.Hour), 4))
	require.Equal(t, []int64{6}, s.remaining(shifted))
	s.unseeded(s.request(1, rule), tomorrow, 0)
}

// durableClockBehind: a counter that is ahead of the clock is there all the same.
func durableClockBehind(t *testing.T, s *subject) {
	rule := quota("a", 10)
	s.clock.Set(tomorrow)
	s.seed(seeding(rule, tomorrow, 4))
	s.clock.Set(tomorrow.Add(-time.Second))
	dec := s.take(1, rule)
	require.True(t, dec.Allowed, "the clock stands still at midnight")
	require.Equal(t, tomorrow, dec.Results[0].Start.UTC())
	s.seed(seeding(rule, today, 9))
	require.Equal(t, []int64{5}, s.remaining(rule), "a day that is over")
	s.seed(seeding(rule, tomorrow, 6))
	require.Equal(t, []int64{4}, s.remaining(rule))

	s.clock.Set(Noon.Add(-24 * time.Hour))
	rule.Calendar = days(s.clock.Now())
	require.Equal(t, []int64{4}, s.remaining(rule), "what was counted is kept where the clock is")
	s.seed(seeding(rule, rule.Calendar.Current.Start, 7))
	require.True(t, s.take(1, rule).Allowed)
	require.Equal(t, []int64{2}, s.remaining(rule))
}

// durableClockBehindStart: the counter is ahead, and the periods are others now.
func durableClockBehindStart(t *testing.T, s *subject) {
	rule := quota("a", 10)
	s.clock.Set(tomorrow)
	s.seed(seeding(rule, tomorrow, 4))
	s.clock.Set(tomorrow.Add(-90 * time.Minute))
	for _, p := range []*ratelimit.Period{&rule.Calendar.Previous, &rule.Calendar.Current, &rule.Calendar.Next} {
		p.Start, p.End = p.Start.Add(-time.Hour), p.End.Add(-time.Hour)
	}
	start := rule.Calendar.Next.Start
	s.unseeded(s.request(1, rule), start, 0)
	s.seed(seeding(rule, start, 3))
	require.Equal(t, []int64{7}, s.remaining(rule), "what was told to be missing can be seeded")
}

func durableForgotten(t *testing.T, s *subject) {
	rule := quota("a", 10)
	s.seed(seeding(rule, today, 1))
	receipt := s.spend(2, rule)
	require.NoError(t, s.store.Reset(context.Background(), s.group, []ratelimit.Rule{rule}))
	require.NoError(t, s.charge(receipt, 5))
	s.unseeded(s.request(1, rule), today, 0)
	s.seed(seeding(rule, today, 0))
	require.Equal(t, []int64{10}, s.remaining(rule))

	receipt = s.spend(3, rule)
	require.NoError(t, s.refund(receipt, 3))
	require.Equal(t, []int64{10}, s.remaining(rule), "all was given back, and it is there")
	s.group = "another"
	s.unseeded(s.request(1, rule), today, 0)
}

func durableIdentity(t *testing.T, s *subject) {
	rule := quota("a", 10)
	plain := rule
	plain.Durable = false
	require.Equal(t, []int64{10}, s.remaining(plain))
	s.unseeded(s.request(1, rule), today, 0)
	require.False(t, s.take(11, plain).Allowed)
	s.unseeded(s.request(1, rule), today, 0)
	require.True(t, s.take(4, plain).Allowed)
	require.Equal(t, []int64{6}, s.remaining(rule), "the same counter, which is there now")
	s.seed(seeding(plain, today, 5))
	require.Equal(t, []int64{5}, s.remaining(rule))
}

func durableReplay(t *testing.T, s *subject) {
	rule := quota("a", 10)
	s.unseeded(s.identified("id", 2, rule), today, 0)
	s.seed(seeding(rule, today, 1))
	first := s.ask(s.identified("id", 2, rule))
	require.False(t, first.Replayed, "what was not decided is not kept")
	require.NoError(t, s.store.Reset(context.Background(), s.group, []ratelimit.Rule{rule}))
	sameDecision(t, again(first), s.ask(s.identified("id", 2, rule)))
	s.unseeded(s.identified("another", 2, rule), today, 0)
}

func durableOutOfReach(t *testing.T, s *subject) {
	a, b := quota("a", 10), quota("b", 10)
	b.Calendar = days(Noon.Add(72 * time.Hour))
	var invalid *ratelimit.InvalidError
	require.ErrorAs(t, s.fails(s.request(1, a, b)), &invalid)
	require.Equal(t, 1, invalid.Rule)
	require.Equal(t, "Calendar", invalid.Field)
}

func seedMany(t *testing.T, s *subject) {
	var rules []ratelimit.Rule
	var seeds []ratelimit.Seeding
	for i := range int64(ratelimit.MaxRules) {
		rules = append(rules, quota(fmt.Sprint("\xff}", i), 100))
		seeds = append(seeds, seeding(rules[i], today, i))
	}
	s.seed(seeds...)
	s.seed(seeds...)
	for i, left := range s.remaining(rules...) {
		require.Equal(t, int64(100-i), left)
	}
}

func badSeeds(t *testing.T, s *subject) {
	for _, c := range []struct {
		name   string
		index  int
		field  string
		change func(group *string, seeds *[]ratelimit.Seeding)
	}{
		{"no group", -1, "Group", func(group *string, _ *[]ratelimit.Seeding) { *group = "" }},
		{"none", -1, "Seeds", func(_ *string, seeds *[]ratelimit.Seeding) { *seeds = nil }},
		{"too many", -1, "Seeds", func(_ *string, seeds *[]ratelimit.Seeding) { *seeds = make([]ratelimit.Seeding, 65) }},
		{"bad rule", 1, "Scope", func(_ *string, seeds *[]ratelimit.Seeding) { (*seeds)[1].Rule.Scope = "" }},
		{"no calendar", 1, "Calendar", func(_ *string, seeds *[]ratelimit.Seeding) {
			(*seeds)[1].Rule = fixed("b", 10, time.Minute)
		}},
		{"start of nothing", 1, "Start", func(_ *string, seeds *[]ratelimit.Seeding) { (*seeds)[1].Start = Noon }},
		{"start of what comes last", 1, "Start", func(_ *string, seeds *[]ratelimit.Seeding) {
			(*seeds)[1].Start = days(Noon).Next.End
		}},
		{"negative", 1, "Used", func(_ *string, seeds *[]ratelimit.Seeding) { (*seeds)[1].Used = -1 }},
		{"enormous", 1, "Used", func(_ *string, seeds *[]ratelimit.Seeding) { (*seeds)[1].Used = math.MaxInt64 }},
		{"beyond 2^53", 1, "Used", func(_ *string, seeds *[]ratelimit.Seeding) { (*seeds)[1].Used = 1 << 53 }},
		{"the same counter twice", 1, "Name", func(_ *string, seeds *[]ratelimit.Seeding) {
			(*seeds)[1] = seeding(quota("a", 7), tomorrow, 3)
		}},
	} {
		a := quota("a", 10)
		group, seeds := s.group, []ratelimit.Seeding{seeding(a, today, 1), seeding(quota("b", 10), today, 1)}
		c.change(&group, &seeds)
		var invalid *ratelimit.InvalidError
		require.ErrorAs(t, s.store.Seed(context.Background(), group, seeds), &invalid, c.name)
		require.Equal(t, c.index, invalid.Rule, c.name)
		require.Equal(t, c.field, invalid.Field, c.name)
		s.unseeded(s.request(1, a), today, 0)
	}
}
