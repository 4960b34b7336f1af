package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func logForgetsEachSpending(t *testing.T, s *subject) {
	rule := log("log", 15, time.Minute)
	for i := range int64(5) { // 1 + 2 + 3 + 4 + 5
		s.clock.Set(Noon.Add(time.Duration(i) * 10 * time.Second))
		dec := s.take(i+1, rule)
		require.True(t, dec.Allowed)
		require.Equal(t, s.clock.Now(), dec.Results[0].Start.UTC(), "it counts from the call")
	}
	dec := s.take(4, rule)
	require.False(t, dec.Allowed)
	require.Equal(t, 40*time.Second, dec.RetryAfter(), "when 1 and 2 and 3 are forgotten")
	require.Equal(t, 20*time.Second, dec.Results[0].ResetAfter)
	require.Equal(t, s.clock.Now(), dec.Results[0].Start.UTC())
	for i, left := range []int64{0, 1, 3, 6, 10, 15} {
		s.clock.Set(Noon.Add(time.Minute + time.Duration(i)*10*time.Second - time.Microsecond))
		require.Equal(t, []int64{left}, s.remaining(rule))
	}
	s.clock.Advance(time.Microsecond)
	require.Zero(t, s.take(0, rule).Results[0].ResetAfter)
}

func logExactInEveryWindow(t *testing.T, s *subject) {
	rapid.Check(t, func(rt *rapid.T) {
		s := s.in(rt)
		rule := log("log", rapid.Int64Range(1, 40).Draw(rt, "limit"),
			rapid.SampledFrom([]time.Duration{ratelimit.MinWindow, time.Second, time.Hour}).Draw(rt, "window"))
		var past []spending
		for range rapid.IntRange(1, 80).Draw(rt, "takes") {
			cost := rapid.Int64Range(1, min(5, rule.Limit)).Draw(rt, "cost")
			pass := rapid.OneOf(
				rapid.Int64Range(0, 3), rapid.Int64Range(0, width(&rule)/8), rapid.Just(width(&rule)),
			).Draw(rt, "pass")
			s.clock.Advance(time.Duration(pass) * time.Microsecond)
			now := s.clock.Now().UnixMicro()
			var sum int64
			for _, p := range past {
				if now-p.place < width(&rule) {
					sum += p.units
				}
			}
			dec := s.take(cost, rule)
			require.Equal(rt, sum+cost <= rule.Limit, dec.Allowed, "all of the past decides, and nothing else")
			if dec.Allowed {
				past = append(past, spending{now, cost})
			}
		}
	})
}

func logRefund(t *testing.T, s *subject) {
	rule := log("log", 10, time.Minute)
	first, twin := s.spend(2, rule), s.spend(3, rule)
	s.clock.Advance(10 * time.Second)
	second := s.spend(4, rule)
	require.Equal(t, []int64{1}, s.remaining(rule))
	require.NoError(t, s.refund(twin, 2))
	require.Equal(t, []int64{3}, s.remaining(rule))
	require.ErrorIs(t, s.refund(twin, 1), ratelimit.ErrRefunded)
	require.NoError(t, s.refund(first, 2), "what was spent in the same tick has receipts of its own")
	require.Equal(t, []int64{5}, s.remaining(rule))

	s.clock.Set(Noon.Add(time.Minute))
	require.Equal(t, []int64{6}, s.remaining(rule), "what was left of the first two is forgotten")
	require.NoError(t, s.refund(first, 2), "and cannot be given back")
	require.Equal(t, []int64{6}, s.remaining(rule))
	require.NoError(t, s.refund(second, 4))
	require.ErrorIs(t, s.refund(second, 4), ratelimit.ErrRefunded)
	look := s.take(0, rule)
	require.Equal(t, int64(10), look.Results[0].Remaining)
	require.Zero(t, look.Results[0].ResetAfter)
}

// logRefundOfLess gives back no more than the tick of the receipt holds.
func logRefundOfLess(t *testing.T, s *subject) {
	rule := log("log", 20, time.Minute)
	s.clock.Advance(time.Second)
	receipt := s.spend(6, rule)
	require.NoError(t, s.store.Reset(context.Background(), s.group, []ratelimit.Rule{rule}))
	s.clock.Set(Noon)
	s.spend(3, rule)
	s.clock.Advance(time.Second)
	s.spend(2, rule)
	s.clock.Advance(time.Second)
	s.spend(1, rule)
	require.NoError(t, s.refund(receipt, 6))
	require.Equal(t, []int64{16}, s.remaining(rule))
	s.clock.Set(Noon.Add(time.Minute))
	require.Equal(t, []int64{19}, s.remaining(rule))
}

func logClockFarBehind(t *testing.T, s *subject) {
	for _, behind := range []time.Duration{time.Minute + time.Microsecond, time.Hour} {
		rule := log("log", 10, time.Minute)
		rule.ID = behind.String()
		s.clock.Set(Noon)
		s.spend(5, rule)
		s.clock.Advance(20 * time.Second)
		s.spend(4, rule)

		s.clock.Advance(-behind)
		back := s.clock.Now()
		dec := s.take(1, rule)
		require.True(t, dec.Allowed)
		require.Zero(t, dec.Results[0].Remaining, "what was counted is kept")
		require.Equal(t, back, dec.Results[0].Start.UTC())
		require.Equal(t, 40*time.Second, dec.Results[0].ResetAfter, "and as old as it was")
		s.clock.Set(back.Add(40*time.Second - time.Microsecond))
		require.Equal(t, []int64{0}, s.remaining(rule))
		s.clock.Advance(time.Microsecond)
		require.Equal(t, []int64{5}, s.remaining(rule))
		s.clock.Set(back.Add(time.Minute))
		require.Equal(t, []int64{10}, s.remaining(rule))
	}
}

func logMilliseconds(t *testing.T, s *subject) {
	rule := log("log", 2, 2*time.Hour)
	s.clock.Advance(1999 * time.Microsecond)
	dec := s.take(1, rule)
	require.Equal(t, Noon.Add(time.Millisecond), dec.Results[0].Start.UTC())
	require.Equal(t, 2*time.Hour-999*time.Microsecond, dec.Results[0].ResetAfter)
	s.clock.Advance(time.Microsecond)
	s.spend(1, rule)
	refused := s.take(1, rule)
	s.clock.Advance(refused.RetryAfter() - time.Microsecond)
	require.False(t, s.take(1, rule).Allowed)
	s.clock.Advance(time.Microsecond)
	require.True(t, s.take(1, rule).Allowed)
}

func logFull(t *testing.T, s *subject) {
	rule := log("log", ratelimit.MaxLogLimit, time.Hour)
	for range ratelimit.MaxLogLimit {
		require.True(t, s.take(1, rule).Allowed)
		s.clock.Advance(time.Millisecond)
	}
	dec := s.take(ratelimit.MaxLogLimit/2, rule)
	require.False(t, dec.Allowed)
	s.clock.Advance(dec.RetryAfter())
	require.Equal(t, Noon.Add(time.Hour+(ratelimit.MaxLogLimit/2-1)*time.Millisecond), s.clock.Now())
	require.True(t, s.take(ratelimit.MaxLogLimit/2, rule).Allowed)
	s.clock.Advance(time.Millisecond)
	require.Equal(t, []int64{1}, s.remaining(rule))
	require.NoError(t, s.store.Reset(context.Background(), s.group, []ratelimit.Rule{rule}))
	require.Equal(t, []int64{ratelimit.MaxLogLimit}, s.remaining(rule))
}
