package storetest

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func (s *subject) spend(cost int64, rules ...ratelimit.Rule) ratelimit.Receipt {
	dec := s.take(cost, rules...)
	require.True(s.t, dec.Allowed)
	return dec.Receipt(s.group)
}

func (s *subject) refund(receipt ratelimit.Receipt, units int64) error {
	return s.store.Refund(context.Background(), receipt, units)
}

func refundGivesBack(t *testing.T, s *subject) {
	rules := append(each(10, time.Minute), daily(10, days(Noon)))
	s.spend(3, rules...)
	receipt := s.spend(4, rules...)
	require.Equal(t, []int64{3, 3, 3, 3, 3}, s.remaining(rules...))
	require.NoError(t, s.refund(receipt, 1))
	require.Equal(t, []int64{4, 4, 4, 4, 4}, s.remaining(rules...))
	require.NoError(t, s.refund(s.spend(4, rules...), 4))
	require.Equal(t, []int64{4, 4, 4, 4, 4}, s.remaining(rules...))
}

func refundPreviousWindow(t *testing.T, s *subject) {
	rule := sliding("a", 10, time.Minute)
	receipt := s.spend(8, rule)
	s.clock.Advance(90 * time.Second)
	require.Equal(t, []int64{6}, s.remaining(rule))
	s.spend(1, rule)
	require.NoError(t, s.refund(receipt, 8))
	require.Equal(t, []int64{9}, s.remaining(rule))
}

func refundTooLate(t *testing.T, s *subject) {
	short, long := each(10, time.Minute), fixed("long", 10, time.Hour)
	receipt := s.spend(8, append(short, long)...)
	s.clock.Advance(2 * time.Minute)
	s.spend(5, short...)
	require.NoError(t, s.refund(receipt, 8))
	require.Equal(t, []int64{5, 5, 5, 5, 10}, s.remaining(append(short, long)...), "only the hour still counts")

	s.clock.Advance(time.Hour)
	require.NoError(t, s.refund(receipt, 8), "there is nothing left to give back")
}

func refundOnce(t *testing.T, s *subject) {
	for _, rule := range append(each(10, time.Hour), daily(10, days(Noon))) {
		s.clock.Set(Noon)
		receipt := s.spend(6, rule)
		require.NoError(t, s.refund(receipt, 2))
		require.ErrorIs(t, s.refund(receipt, 2), ratelimit.ErrRefunded)
		s.clock.Advance(20 * time.Minute)
		require.ErrorIs(t, s.refund(receipt, 6), ratelimit.ErrRefunded)
		s.clock.Set(Noon)
		require.Equal(t, []int64{6}, s.remaining(rule))
	}
}

// refundAfterReset gives back to what was spent anew no more than there is.
func refundAfterReset(t *testing.T, s *subject) {
	rules := append(each(10, time.Minute), daily(10, days(Noon)))
	receipt := s.spend(6, rules...)
	require.NoError(t, s.store.Reset(context.Background(), s.group, rules))
	s.spend(2, rules...)
	require.NoError(t, s.refund(receipt, 6))
	require.Equal(t, []int64{10, 10, 10, 10, 10}, s.remaining(rules...))
}

// refundMovesNoClock: a clock is behind the latest spending, or is not.
func refundMovesNoClock(t *testing.T, s *subject) {
	rules := each(10, time.Minute)
	receipt := s.spend(7, rules...)
	s.clock.Advance(30 * time.Second)
	require.NoError(t, s.refund(receipt, 1))
	s.clock.Set(Noon.Add(-45 * time.Second))
	for _, result := range s.take(0, rules...).Results {
		require.Equal(t, Noon, result.Start.UTC(), result.Rule.Name)
		require.Equal(t, int64(4), result.Remaining, result.Rule.Name)
	}
}

func refundNothingSpent(t *testing.T, s *subject) {
	full, trial := fixed("full", 10, time.Minute), shadow(fixed("trial", 3, time.Minute))
	require.Equal(t, int64(0), s.take(0, full).Receipt(s.group).Cost)
	receipt := s.spend(4, full, trial)
	require.Len(t, receipt.Spent, 1, "the shadow rule would have refused")
	s.spend(3, full, trial)
	require.NoError(t, s.refund(receipt, 4))
	require.Equal(t, []int64{7, 0}, s.remaining(full, trial))

	refused := s.take(8, full)
	require.False(t, refused.Allowed)
	require.ErrorIs(t, s.refund(refused.Receipt(s.group), 1), ratelimit.ErrInvalid)

	onlyShadow := s.take(1, trial)
	require.True(t, onlyShadow.Allowed)
	require.NoError(t, s.refund(onlyShadow.Receipt(s.group), 1))
	require.Equal(t, []int64{7, 0}, s.remaining(full, trial))
}

func receiptJSON(t *testing.T, s *subject) {
	rules := append(each(10, time.Minute), daily(10, days(Noon)), gcra("with a burst", 5, 10, time.Minute))
	text, err := json.Marshal(s.spend(4, rules...))
	require.NoError(t, err)
	var receipt ratelimit.Receipt
	require.NoError(t, json.Unmarshal(text, &receipt))
	require.NoError(t, s.refund(receipt, 4))
	require.Equal(t, []int64{10, 10, 10, 10, 10, 10}, s.remaining(rules...))
	require.ErrorIs(t, s.refund(receipt, 4), ratelimit.ErrRefunded)
}

func receiptOfReplay(t *testing.T, s *subject) {
	rule := sliding("a", 10, time.Minute)
	first := s.ask(s.identified("id", 4, rule)).Receipt(s.group)
	replay := s.ask(s.identified("id", 4, rule)).Receipt(s.group)
	require.NoError(t, s.refund(replay, 4))
	require.ErrorIs(t, s.refund(first, 4), ratelimit.ErrRefunded)
	require.Equal(t, []int64{10}, s.remaining(rule))
}
