package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func clockBehind(t *testing.T, s *subject) {
	for _, rule := range each(5, time.Minute) {
		for _, behind := range []time.Duration{time.Microsecond, 20 * time.Second, 45 * time.Second, time.Minute} {
			rule.ID = behind.String()
			s.clock.Set(Noon.Add(30 * time.Second))
			require.True(t, s.take(5, rule).Allowed)
			then := s.take(5, rule)
			s.clock.Advance(-behind)
			now := s.take(5, rule)
			require.False(t, now.Allowed)
			require.Equal(t, s.clock.Now(), now.At.UTC())
			require.Equal(t, then.Results[0].Start, now.Results[0].Start)
			require.Equal(t, then.RetryAfter()+behind, now.RetryAfter())

			s.clock.Advance(now.RetryAfter() - time.Microsecond)
			require.False(t, s.take(5, rule).Allowed)
			s.clock.Advance(time.Microsecond)
			require.True(t, s.take(5, rule).Allowed)
		}
	}
}

func clockFarBehind(t *testing.T, s *subject) {
	for _, rule := range each(5, time.Minute) {
		for _, behind := range []time.Duration{time.Minute + time.Microsecond, 24 * time.Hour} {
			rule.ID = behind.String()
			s.clock.Set(Noon.Add(30 * time.Second))
			require.True(t, s.take(3, rule).Allowed)
			s.clock.Advance(-behind)
			dec := s.take(2, rule)
			require.True(t, dec.Allowed)
			require.Zero(t, dec.Results[0].Remaining, "what was counted is kept")
			start, _, _ := span(&rule, s.clock.Now().UnixMicro())
			require.Equal(t, start, dec.Results[0].Start.UnixMicro(), "where the clock is now")

			refused := s.take(1, rule)
			require.Less(t, refused.RetryAfter(), 2*time.Minute)
			s.clock.Advance(refused.RetryAfter())
			require.True(t, s.take(1, rule).Allowed)
		}
	}
}

func calendarFollowsClock(t *testing.T, s *subject) {
	calendar := days(Noon)
	rule := daily(5, calendar)
	dec := s.take(5, rule)
	require.Equal(t, calendar.Current.Start, dec.Results[0].Start.UTC())
	require.Equal(t, 12*time.Hour, s.take(1, rule).RetryAfter())

	s.clock.Advance(12*time.Hour - time.Microsecond)
	require.False(t, s.take(1, rule).Allowed)
	s.clock.Advance(time.Microsecond)
	dec = s.take(1, rule)
	require.True(t, dec.Allowed, "the next period has come")
	require.Equal(t, calendar.Next.Start, dec.Results[0].Start.UTC())
	require.Equal(t, 24*time.Hour, dec.Results[0].ResetAfter)

	s.clock.Set(calendar.Previous.End.Add(-time.Microsecond))
	rule.ID = "k2"
	dec = s.take(5, rule)
	require.Equal(t, calendar.Previous.Start, dec.Results[0].Start.UTC())
	require.Equal(t, time.Microsecond, s.take(1, rule).RetryAfter())
}

func calendarAnotherStart(t *testing.T, s *subject) {
	utc := days(Noon)
	require.True(t, s.take(5, daily(5, utc)).Allowed)

	shifted := *utc
	for _, p := range []*ratelimit.Period{&shifted.Previous, &shifted.Current, &shifted.Next} {
		p.Start, p.End = p.Start.Add(-time.Hour), p.End.Add(-time.Hour)
	}
	require.Equal(t, []int64{5}, s.remaining(daily(5, &shifted)))

	monthly := *utc
	monthly.Name = "month"
	require.Equal(t, []int64{5, 0}, s.remaining(daily(5, &monthly), daily(5, utc)))
}

func calendarOutOfReach(t *testing.T, s *subject) {
	first, quota := sliding("first", 5, time.Minute), daily(5, days(Noon))
	for _, at := range []time.Time{quota.Calendar.Next.End, quota.Calendar.Previous.Start.Add(-time.Microsecond)} {
		s.clock.Set(at)
		var invalid *ratelimit.InvalidError
		require.ErrorAs(t, s.fails(s.request(1, first, quota)), &invalid)
		require.Equal(t, 1, invalid.Rule)
		require.Equal(t, "Calendar", invalid.Field)
		require.Equal(t, []int64{5}, s.remaining(first), "nothing is spent")
	}
}

func calendarClockBehind(t *testing.T, s *subject) {
	rule := daily(5, days(Noon))
	midnight := rule.Calendar.Next.Start
	s.clock.Set(midnight)
	require.True(t, s.take(5, rule).Allowed)

	s.clock.Set(midnight.Add(-time.Second))
	dec := s.take(1, rule)
	require.False(t, dec.Allowed, "the clock stands still at midnight")
	require.Equal(t, midnight, dec.Results[0].Start.UTC())
	require.Equal(t, 24*time.Hour+time.Second, dec.RetryAfter())

	s.clock.Set(Noon.Add(-48 * time.Hour))
	rule.Calendar = days(s.clock.Now())
	dec = s.take(1, rule)
	require.False(t, dec.Allowed, "what was counted is kept")
	require.Equal(t, rule.Calendar.Current.Start, dec.Results[0].Start.UTC())
	require.Equal(t, 12*time.Hour, dec.RetryAfter())
}

func calendarClockBehindReach(t *testing.T, s *subject) {
	rule := daily(5, days(Noon.Add(48*time.Hour)))
	last := Noon.Add(30 * time.Hour)
	s.clock.Set(last)
	require.True(t, s.take(3, rule).Allowed)

	// A day back, to a calendar whose next period ends before what was last.
	s.clock.Set(Noon.Add(11 * time.Hour))
	calendar := days(s.clock.Now())
	calendar.Next.End = calendar.Next.Start.Add(time.Hour)
	rule.Calendar = calendar
	dec := s.take(1, rule)
	require.True(t, dec.Allowed)
	require.Equal(t, calendar.Current.Start, dec.Results[0].Start.UTC(), "counted where the clock is")
	require.Equal(t, int64(1), dec.Results[0].Remaining, "what was counted is kept")
}
