package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func (s *subject) identified(id string, cost int64, rules ...ratelimit.Rule) *ratelimit.Request {
	req := s.request(cost, rules...)
	req.ID, req.Fingerprint = id, 1<<63+7
	return req
}

// again is what a replay of dec must be.
func again(dec *ratelimit.Decision) *ratelimit.Decision {
	replay := *dec
	replay.Replayed = true
	return &replay
}

func sameID(t *testing.T, s *subject) {
	rules := append(each(5, time.Minute), daily(5, days(Noon)), shadow(fixed("c", 1, time.Hour)))
	first := s.ask(s.identified("id", 2, rules...))
	require.True(t, first.Allowed)
	require.False(t, first.Replayed)
	s.clock.Advance(ratelimit.Replay - time.Microsecond)
	sameDecision(t, again(first), s.ask(s.identified("id", 2, rules...)))
	require.Equal(t, int64(3), s.take(0, rules...).Results[4].Remaining, "spent once")
	require.False(t, s.ask(s.identified("another", 2, rules...)).Replayed)
}

// sameDecision compares instants as instants, and rules by what they say.
func sameDecision(t require.TestingT, want, got *ratelimit.Decision) {
	require.Equal(t, normal(want), normal(got))
}

func normal(dec *ratelimit.Decision) ratelimit.Decision {
	d := *dec
	d.At = d.At.UTC()
	d.Results = nil
	for _, r := range dec.Results {
		r.Start = r.Start.UTC()
		d.Results = append(d.Results, r)
	}
	return d
}

func sameIDRefused(t *testing.T, s *subject) {
	rule := fixed("per-second", 5, time.Second)
	require.True(t, s.take(5, rule).Allowed)
	refused := s.ask(s.identified("id", 1, rule))
	require.False(t, refused.Allowed)
	s.clock.Advance(time.Second)
	require.True(t, s.take(1, rule).Allowed)
	sameDecision(t, again(refused), s.ask(s.identified("id", 1, rule)))
}

func sameIDConflict(t *testing.T, s *subject) {
	rule := fixed("per-minute", 5, time.Minute)
	s.ask(s.identified("id", 1, rule))
	other := s.identified("id", 1, rule)
	other.Fingerprint++
	require.ErrorIs(t, s.fails(other), ratelimit.ErrIDConflict)
	require.Equal(t, []int64{4}, s.remaining(rule))
	require.True(t, s.ask(s.identified("id", 1, rule)).Replayed, "the first is still kept")
}

func idForgotten(t *testing.T, s *subject) {
	rule := fixed("hourly", 5, time.Hour)
	first := s.ask(s.identified("id", 1, rule))
	s.clock.Advance(ratelimit.Replay)
	other := s.identified("id", 1, rule)
	other.Fingerprint++
	second := s.ask(other)
	require.False(t, second.Replayed)
	require.NotEqual(t, first.Nonce, second.Nonce)
	require.Equal(t, int64(3), second.Results[0].Remaining)
	sameDecision(t, again(second), s.ask(other))
}

func idClockBehind(t *testing.T, s *subject) {
	rule := fixed("hourly", 5, time.Hour)
	s.ask(s.identified("id", 1, rule))
	s.clock.Advance(-ratelimit.Replay)
	require.True(t, s.ask(s.identified("id", 1, rule)).Replayed)
	s.clock.Advance(-time.Microsecond)
	require.False(t, s.ask(s.identified("id", 1, rule)).Replayed)
}

func idsOfGroups(t *testing.T, s *subject) {
	rule := fixed("hourly", 5, time.Hour)
	s.ask(s.identified("id", 1, rule))
	s.group = "another"
	require.False(t, s.ask(s.identified("id", 1, rule)).Replayed)
}

func idChangedRules(t *testing.T, s *subject) {
	a, b := sliding("a", 5, time.Minute), daily(9, days(Noon))
	first := s.ask(s.identified("id", 2, a, b))
	var replay ratelimit.Decision
	require.NoError(t, s.store.Take(context.Background(), s.identified("id", 2, fixed("c", 1, time.Hour)), &replay))
	sameDecision(t, again(first), &replay)

	first.Results[0].Rule.Name = "changed by the caller"
	require.NoError(t, s.store.Take(context.Background(), s.identified("id", 2), &replay))
	require.Equal(t, "a", replay.Results[0].Rule.Name)
}
