package storetest

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// charge is a refund of less than nothing.
func (s *subject) charge(receipt ratelimit.Receipt, units int64) error {
	return s.refund(receipt, -units)
}

func chargeSpendsMore(t *testing.T, s *subject) {
	rules := append(each(10, time.Minute), daily(10, days(Noon)))
	s.spend(3, rules...)
	receipt := s.spend(2, rules...)
	require.NoError(t, s.charge(receipt, 4))
	require.Equal(t, []int64{1, 1, 1, 1, 1}, s.remaining(rules...))
	for _, units := range []int64{-4, -1, 1, 2} {
		require.ErrorIs(t, s.refund(receipt, units), ratelimit.ErrRefunded, "settled already")
	}
	refunded := s.spend(1, rules...)
	require.NoError(t, s.refund(refunded, 1))
	require.ErrorIs(t, s.charge(refunded, 1), ratelimit.ErrRefunded)
	require.Equal(t, []int64{1, 1, 1, 1, 1}, s.remaining(rules...))
}

// chargeBeyondLimit: the time to wait is as exact as it is below the limit.
func chargeBeyondLimit(t *testing.T, s *subject) {
	for _, rule := range append(each(10, time.Minute), daily(10, days(Noon))) {
		s.clock.Set(Noon)
		require.NoError(t, s.charge(s.spend(4, rule), 25))
		look := s.take(0, rule)
		require.False(t, look.Allowed)
		require.Zero(t, look.Results[0].Remaining)
		refused := s.take(3, rule)
		for _, at := range []struct {
			cost, left int64
			wait       time.Duration
		}{
			{0, 0, look.RetryAfter()}, {0, 1, look.Results[0].ResetAfter}, {3, 0, refused.RetryAfter()},
		} {
			require.Positive(t, at.wait)
			s.clock.Set(Noon.Add(at.wait - time.Microsecond))
			early := s.take(at.cost, rule)
			require.False(t, early.Allowed && early.Results[0].Remaining >= at.left, "%v", rule)
			s.clock.Advance(time.Microsecond)
			then := s.take(0, rule).Results[0]
			require.True(t, !then.Denied && then.Remaining >= max(at.cost, at.left), "%v", rule)
		}
		require.True(t, s.take(3, rule).Allowed)
	}
}

// chargeSaturates: what is exact is counted, and no more.
func chargeSaturates(t *testing.T, s *subject) {
	for _, rule := range append(each(10, time.Hour), daily(10, days(Noon))) {
		first, second, third := s.spend(2, rule), s.spend(2, rule), s.spend(2, rule)
		require.NoError(t, s.charge(first, ratelimit.MaxCost))
		require.NoError(t, s.charge(second, ratelimit.MaxCost))
		require.Zero(t, s.take(1, rule).Results[0].Remaining)
		rule.Limit = largestLimit(rule.Algorithm)
		look := s.take(0, rule)
		require.True(t, look.Allowed, "%v", rule)
		require.Zero(t, look.Results[0].Remaining)
		require.NoError(t, s.refund(third, 1))
		require.Equal(t, []int64{1}, s.remaining(rule), "%v", rule)
		require.True(t, s.take(1, rule).Allowed)
	}
}

func chargePreviousWindow(t *testing.T, s *subject) {
	rule := sliding("a", 10, time.Minute)
	first, second := s.spend(3, rule), s.spend(1, rule)
	s.clock.Advance(90 * time.Second)
	require.Equal(t, []int64{8}, s.remaining(rule))
	require.NoError(t, s.charge(first, 4))
	require.Equal(t, []int64{6}, s.remaining(rule))
	s.spend(1, rule)
	require.NoError(t, s.charge(second, 20))
	require.Zero(t, s.remaining(rule)[0])
	refused := s.take(9, rule)
	require.Equal(t, 30*time.Second, refused.RetryAfter(), "only the window before was charged")
}

func chargeTooLate(t *testing.T, s *subject) {
	short, long := each(10, time.Minute), fixed("long", 10, time.Hour)
	receipt := s.spend(2, append(short, long)...)
	s.clock.Advance(2 * time.Minute)
	s.spend(5, short...)
	require.NoError(t, s.charge(receipt, 3))
	require.Equal(t, []int64{5, 5, 5, 5, 5}, s.remaining(append(short, long)...), "only the hour still counts")
}

// chargeMovesNoClock: a clock is behind the latest spending, or is not.
func chargeMovesNoClock(t *testing.T, s *subject) {
	rules := each(10, time.Minute)
	receipt := s.spend(3, rules...)
	s.clock.Advance(10 * time.Second)
	require.NoError(t, s.charge(receipt, 4))
	s.clock.Set(Noon.Add(-45 * time.Second))
	for _, result := range s.take(0, rules...).Results {
		require.Equal(t, Noon, result.Start.UTC(), result.Rule.Name)
		require.Equal(t, int64(3), result.Remaining, result.Rule.Name)
	}
}

// chargeGCRA: a bucket that was charged drains longer than a full one.
func chargeGCRA(t *testing.T, s *subject) {
	rule := gcra("a", 10, 5, time.Minute)
	first, second := s.spend(1, rule), s.spend(1, rule)
	require.NoError(t, s.charge(first, 98))
	s.clock.Advance(29 * time.Second)
	require.NoError(t, s.charge(second, 20), "a full bucket would drain for a second more")
	s.clock.Set(Noon.Add(12 * time.Minute))
	require.Equal(t, []int64{5}, s.remaining(rule))
	s.clock.Advance(-time.Microsecond)
	require.Equal(t, []int64{4}, s.remaining(rule))
	s.clock.Set(Noon.Add(11*time.Minute + 30*time.Second))
	require.Equal(t, []int64{0}, s.remaining(rule))
	require.True(t, s.take(0, rule).Allowed)
}

func chargeNothingSpent(t *testing.T, s *subject) {
	full, trial := fixed("full", 10, time.Minute), shadow(fixed("trial", 3, time.Minute))
	receipt := s.spend(4, full, trial)
	require.NoError(t, s.charge(receipt, 2))
	require.Equal(t, []int64{4, 3}, s.remaining(full, trial), "the shadow rule would have refused")

	refused, look := s.take(8, full), s.take(0, full)
	require.False(t, refused.Allowed)
	for _, receipt := range []ratelimit.Receipt{refused.Receipt(s.group), look.Receipt(s.group)} {
		var invalid *ratelimit.InvalidError
		require.ErrorAs(t, s.charge(receipt, 1), &invalid, "a look cannot be settled")
		require.Equal(t, "Units", invalid.Field)
	}
	require.Equal(t, []int64{4, 3}, s.remaining(full, trial))
}

func chargeAfterReset(t *testing.T, s *subject) {
	rules := append(each(10, time.Minute), daily(10, days(Noon)))
	receipt := s.spend(6, rules...)
	require.NoError(t, s.store.Reset(context.Background(), s.group, rules))
	require.NoError(t, s.charge(receipt, 6))
	require.Equal(t, []int64{10, 10, 10, 10, 10}, s.remaining(rules...))
}

func chargeJSON(t *testing.T, s *subject) {
	quota := durable(daily(10, days(Noon)))
	s.seed(seeding(quota, quota.Calendar.Current.Start, 1))
	rules := append(each(10, time.Minute), quota)
	text, err := json.Marshal(s.spend(2, rules...))
	require.NoError(t, err)
	var receipt ratelimit.Receipt
	require.NoError(t, json.Unmarshal(text, &receipt))
	require.NoError(t, s.charge(receipt, 5))
	require.Equal(t, []int64{3, 3, 3, 3, 2}, s.remaining(rules...))
}
