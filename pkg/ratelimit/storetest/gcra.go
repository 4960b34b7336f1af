package storetest

import (
	"context"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func gcraBurstAtOnce(t *testing.T, s *subject) {
	for _, burst := range []int64{0, 1, 3, 7, 50} {
		rule := gcra("bucket", 7, burst, time.Second)
		rule.ID = string(rune('a' + burst))
		for i := range capacity(&rule) {
			dec := s.take(1, rule)
			require.True(t, dec.Allowed)
			require.Equal(t, capacity(&rule)-1-i, dec.Results[0].Remaining)
			require.Equal(t, 142_858*time.Microsecond, dec.Results[0].ResetAfter, "a seventh of a second, rounded up")
		}
		dec := s.take(1, rule)
		require.False(t, dec.Allowed)
		require.Equal(t, 142_858*time.Microsecond, dec.RetryAfter())
		require.Equal(t, ratelimit.Never, s.take(capacity(&rule)+1, rule).RetryAfter())

		s.clock.Advance(10 * time.Second)
		require.True(t, s.take(capacity(&rule), rule).Allowed, "or in one take")
	}
}

func gcraDrains(t *testing.T, s *subject) {
	rule := gcra("bucket", 10, 5, time.Second)
	at := func(after time.Duration, remaining int64, reset time.Duration, start time.Duration) {
		s.clock.Set(Noon.Add(after))
		look := s.take(0, rule)
		require.Equal(t, remaining, look.Results[0].Remaining)
		require.Equal(t, reset, look.Results[0].ResetAfter)
		require.Equal(t, Noon.Add(start), look.Results[0].Start.UTC())
	}
	const ms = time.Millisecond
	at(0, 5, 0, 0)
	require.True(t, s.take(3, rule).Allowed)
	at(0, 2, 100*ms, 0)
	at(40*ms, 2, 60*ms, 0)
	at(100*ms, 3, 100*ms, 0)
	at(100*ms+1000, 3, 100*ms-1000, 0)
	require.True(t, s.take(3, rule).Allowed)
	at(100*ms+1000, 0, 100*ms-1000, 0)
	at(500*ms-1000, 3, 1000, 0)
	at(500*ms, 4, 100*ms, 0)
	at(600*ms-1000, 4, 1000, 0)
	at(600*ms, 5, 0, 600*ms)
	at(700*ms, 5, 0, 700*ms)
	require.Equal(t, Noon.Add(700*ms), s.take(1, rule).Results[0].Start.UTC(), "a new busy period")
	at(750*ms, 4, 50*ms, 700*ms)
}

// gcraDriftFree spends each unit as soon as it has drained. Nothing is rounded,
// so the k-th is admitted at the first tick at which k units have drained.
func gcraDriftFree(t *testing.T, s *subject) {
	for _, c := range []struct {
		limit  int64
		window time.Duration
	}{
		{7, time.Second},
		{3, ratelimit.MinWindow},
		{999_983, time.Hour},
		{11, time.Hour + time.Millisecond},
		{ratelimit.MaxSlidingLimit - 1, ratelimit.MaxSliding},
	} {
		s.clock.Set(Noon)
		rule := gcra("odd", c.limit, min(20, c.limit), c.window)
		rule.ID = c.window.String()
		require.True(t, s.take(capacity(&rule), rule).Allowed)
		for k := range int64(100) {
			dec := s.take(1, rule)
			if wait := dec.RetryAfter(); wait > 0 {
				s.clock.Advance(wait)
				dec = s.take(1, rule)
			}
			require.True(t, dec.Allowed)
			require.Equal(t, drainedAt(&rule, k+1), s.clock.Now())
		}
	}
}

// drainedAt is the first tick at which units have drained since Noon.
func drainedAt(rule *ratelimit.Rule, units int64) time.Time {
	ticks := new(big.Int).Mul(big.NewInt(units), big.NewInt(width(rule)))
	ticks.Add(ticks, big.NewInt(rule.Limit-1)).Div(ticks, big.NewInt(rule.Limit))
	return Noon.Add(time.Duration(ticks.Int64()*tick(rule)) * time.Microsecond)
}

func gcraAdmitsAtMostBurstAndRate(t *testing.T, s *subject) {
	rapid.Check(t, func(rt *rapid.T) {
		s := s.in(rt)
		rule := gcra("bucket", rapid.Int64Range(1, 30).Draw(rt, "limit"), rapid.Int64Range(0, 30).Draw(rt, "burst"),
			rapid.SampledFrom([]time.Duration{ratelimit.MinWindow, time.Second, time.Minute + 7000}).Draw(rt, "window"))
		var past []spending
		for range rapid.IntRange(1, 60).Draw(rt, "takes") {
			cost := rapid.Int64Range(1, min(3, capacity(&rule))).Draw(rt, "cost")
			pass := rapid.Int64Range(0, 2*width(&rule)/rule.Limit).Draw(rt, "pass")
			s.clock.Advance(time.Duration(pass) * time.Microsecond)
			dec := s.take(cost, rule)
			if rapid.Bool().Draw(rt, "wait") && !dec.Allowed {
				s.clock.Advance(dec.RetryAfter())
				dec = s.take(cost, rule)
				require.True(rt, dec.Allowed)
			}
			if !dec.Allowed {
				continue
			}
			past = append(past, spending{s.clock.Now().UnixMicro(), cost})
			var sum int64
			for i := len(past) - 1; i >= 0; i-- {
				sum += past[i].units
				ticks := past[len(past)-1].place - past[i].place
				require.LessOrEqual(rt, (sum-capacity(&rule))*width(&rule), ticks*rule.Limit, "in any interval")
			}
		}
	})
}

func gcraChanges(t *testing.T, s *subject) {
	rule := gcra("bucket", 10, 100, time.Second)
	require.True(t, s.take(80, rule).Allowed)
	rule.Burst = 50
	for _, cost := range []int64{0, 1} {
		dec := s.take(cost, rule)
		require.False(t, dec.Allowed, "the level is above the burst")
		require.Zero(t, dec.Results[0].Remaining)
		require.Equal(t, time.Duration(30+cost)*100*time.Millisecond, dec.RetryAfter())
		require.Equal(t, 3100*time.Millisecond, dec.Results[0].ResetAfter, "until one more fits")
	}
	rule.Burst, rule.Limit = 0, 40
	require.Equal(t, time.Second, s.take(0, rule).RetryAfter())
	s.clock.Advance(time.Second)
	require.Equal(t, []int64{0}, s.remaining(rule), "it drains at the new rate, from the spending on")
	rule.Limit, rule.Burst = 1, 1
	require.Equal(t, 78*time.Second, s.take(0, rule).RetryAfter())
	rule.Burst = 100
	require.Equal(t, []int64{21}, s.remaining(rule))
}

func gcraLooksWriteNothing(t *testing.T, s *subject) {
	rule := gcra("bucket", 3, 10, time.Second)
	require.True(t, s.take(10, rule).Allowed)
	for i := range int64(1000) {
		s.clock.Set(Noon.Add(time.Duration(i) * time.Millisecond))
		drained := 3 * i / 1000
		require.Equal(t, []int64{drained}, s.remaining(rule))
		require.False(t, s.take(drained+1, rule).Allowed)
	}
	s.clock.Set(Noon.Add(-time.Second))
	require.Equal(t, time.Second+333_334*time.Microsecond, s.take(1, rule).RetryAfter(), "counted from the spending")
}

func gcraClockFarBehind(t *testing.T, s *subject) {
	rule := gcra("bucket", 10, 100, time.Second)
	receipt := s.spend(50, rule)
	s.clock.Advance(-time.Second)
	require.Equal(t, Noon, s.take(0, rule).Results[0].Start.UTC())
	s.clock.Advance(-time.Microsecond)
	back := s.clock.Now()
	dec := s.take(0, rule)
	require.Equal(t, int64(50), dec.Results[0].Remaining, "the level is kept")
	require.Equal(t, back, dec.Results[0].Start.UTC())
	require.NoError(t, s.refund(receipt, 50))
	require.Equal(t, []int64{50}, s.remaining(rule), "the receipt is of another busy period")
	s.spend(10, rule)
	s.clock.Advance(time.Second)
	dec = s.take(0, rule)
	require.Equal(t, int64(50), dec.Results[0].Remaining, "it drains from where the clock is")
	require.Equal(t, back, dec.Results[0].Start.UTC())
}

func gcraFarthestWait(t *testing.T, s *subject) {
	rule := gcra("bucket", ratelimit.MaxSlidingLimit, ratelimit.MaxSlidingLimit, ratelimit.MaxSliding)
	require.True(t, s.take(ratelimit.MaxSlidingLimit, rule).Allowed)
	rule.Limit, rule.Burst = 1, 1
	dec := s.take(1, rule)
	last := time.UnixMicro(horizon).UTC()
	require.Equal(t, last, dec.At.Add(dec.RetryAfter()).UTC())
	require.Equal(t, last, dec.At.Add(dec.Results[0].ResetAfter).UTC())
	require.Zero(t, dec.Results[0].Remaining)
}

func gcraRefund(t *testing.T, s *subject) {
	rule := gcra("bucket", 10, 100, time.Second)
	first := s.spend(30, rule)
	s.clock.Advance(time.Second)
	second := s.spend(40, rule)
	require.Equal(t, []int64{40}, s.remaining(rule))
	require.NoError(t, s.refund(second, 15))
	require.Equal(t, []int64{55}, s.remaining(rule))
	require.ErrorIs(t, s.refund(second, 15), ratelimit.ErrRefunded)
	s.clock.Advance(4 * time.Second)
	require.Equal(t, []int64{95}, s.remaining(rule))
	require.NoError(t, s.refund(first, 30), "the same busy period")
	require.Equal(t, []int64{100}, s.remaining(rule), "no more than what is left of it")

	s.spend(20, rule)
	require.NoError(t, s.refund(second, 1), "its busy period is over")
	require.Equal(t, []int64{80}, s.remaining(rule))
}

// gcraRefundToTheLast refunds when a hair of what was spent is left.
func gcraRefundToTheLast(t *testing.T, s *subject) {
	drained := Noon.Add(66_667 * time.Microsecond) // two units at 3 per 100 ms, rounded up
	rule := gcra("bucket", 3, 10, ratelimit.MinWindow)
	s.spend(1, rule)
	s.clock.Advance(10 * time.Millisecond)
	receipt := s.spend(1, rule)
	s.clock.Set(drained.Add(-time.Microsecond))
	require.Equal(t, []int64{9}, s.remaining(rule))
	require.NoError(t, s.refund(receipt, 1))
	require.Equal(t, []int64{10}, s.remaining(rule))
}

// gcraRefundWhileItCanCount keeps a bucket busy for longer than its burst of 10
// takes to drain: 250 ms at 4 per 100 ms, 333,334 µs at 3.
func gcraRefundWhileItCanCount(t *testing.T, s *subject) {
	for _, c := range []struct {
		limit, micros int64
		before, later int64
	}{{4, 249_999, 6, 8}, {4, 250_000, 7, 7}, {3, 333_333, 5, 7}, {3, 333_334, 6, 6}} {
		s.clock.Set(Noon)
		rule := gcra("bucket", c.limit, 10, ratelimit.MinWindow)
		rule.ID = fmt.Sprint(c)
		receipt := s.spend(5, rule)
		for range c.micros / 100_000 {
			s.clock.Advance(rule.Window)
			s.spend(c.limit, rule)
		}
		s.clock.Set(Noon.Add(time.Duration(c.micros) * time.Microsecond))
		require.Equal(t, []int64{c.before}, s.remaining(rule))
		require.NoError(t, s.refund(receipt, 2))
		require.Equal(t, []int64{c.later}, s.remaining(rule))
	}
}

// gcraRefundOnce keeps a bucket busy for long: a receipt counts no longer than
// its units may be in the bucket.
func gcraRefundOnce(t *testing.T, s *subject) {
	rule := gcra("bucket", 10, 100, time.Second)
	receipt := s.spend(50, rule)
	require.NoError(t, s.refund(receipt, 10))
	for range 1000 {
		s.clock.Advance(time.Second)
		s.spend(10, rule)
	}
	require.NoError(t, s.refund(receipt, 10), "what was spent then has drained away since")
	require.Equal(t, []int64{60}, s.remaining(rule))
	require.NoError(t, s.store.Reset(context.Background(), s.group, []ratelimit.Rule{rule}))
	require.NoError(t, s.refund(receipt, 10), "there is nothing left to give back")
	require.Equal(t, []int64{100}, s.remaining(rule))
}

// gcraRefundDrainsNothing: a receipt's rule is that of its time, and the bucket
// drains at the rate of the rule that asks.
func gcraRefundDrainsNothing(t *testing.T, s *subject) {
	rule := gcra("bucket", 100, 100, time.Second)
	receipt := s.spend(100, rule)
	s.clock.Advance(900 * time.Millisecond)
	require.NoError(t, s.refund(receipt, 1))
	rule.Limit = 1
	require.Equal(t, []int64{1}, s.remaining(rule))
}

func gcraEmptyIsAsNew(t *testing.T, s *subject) {
	rule := gcra("bucket", 10, 100, time.Second)
	require.NoError(t, s.refund(s.spend(5, rule), 5))
	s.clock.Advance(-time.Millisecond)
	look := s.take(0, rule)
	require.Equal(t, s.clock.Now(), look.Results[0].Start.UTC(), "there is no spending for the clock to be behind")
	require.Zero(t, look.Results[0].ResetAfter)
}
