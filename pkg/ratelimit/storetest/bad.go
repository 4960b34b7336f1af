package storetest

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func badRequests(t *testing.T, s *subject) {
	rule := func(change func(*ratelimit.Rule)) func(*ratelimit.Request) {
		return func(req *ratelimit.Request) { change(&req.Rules[1]) }
	}
	calendar := func(change func(*ratelimit.Calendar)) func(*ratelimit.Request) {
		return rule(func(r *ratelimit.Rule) {
			c := days(Noon)
			change(c)
			r.Algorithm, r.Window, r.Calendar = ratelimit.FixedWindow, 0, c
		})
	}
	for _, c := range []struct {
		name   string
		index  int
		field  string
		change func(*ratelimit.Request)
	}{
		{"no group", -1, "Group", func(r *ratelimit.Request) { r.Group = "" }},
		{"negative cost", -1, "Cost", func(r *ratelimit.Request) { r.Cost = -1 }},
		{"enormous cost", -1, "Cost", func(r *ratelimit.Request) { r.Cost = math.MaxInt64 }},
		{"cost beyond 2^53", -1, "Cost", func(r *ratelimit.Request) { r.Cost = 1 << 53 }},
		{"a thousand rules", -1, "Rules", func(r *ratelimit.Request) { r.Rules = make([]ratelimit.Rule, 1000) }},
		{"no scope", 1, "Scope", rule(func(r *ratelimit.Rule) { r.Scope = "" })},
		{"no id", 1, "ID", rule(func(r *ratelimit.Rule) { r.ID = "" })},
		{"no name", 1, "Name", rule(func(r *ratelimit.Rule) { r.Name = "" })},
		{"unknown algorithm", 1, "Algorithm", rule(func(r *ratelimit.Rule) { r.Algorithm = 200 })},
		{"limit zero", 1, "Limit", rule(func(r *ratelimit.Rule) { r.Limit = 0 })},
		{"negative limit", 1, "Limit", rule(func(r *ratelimit.Rule) { r.Limit = math.MinInt64 })},
		{"sliding limit beyond 2^32", 1, "Limit", rule(func(r *ratelimit.Rule) { r.Limit = 1<<32 + 1 })},
		{"fixed limit beyond 2^53", 1, "Limit", rule(func(r *ratelimit.Rule) {
			r.Algorithm, r.Limit = ratelimit.FixedWindow, 1<<53
		})},
		{"gcra limit beyond 2^32", 1, "Limit", rule(func(r *ratelimit.Rule) {
			r.Algorithm, r.Limit = ratelimit.GCRA, 1<<32+1
		})},
		{"log limit beyond 10,000", 1, "Limit", rule(func(r *ratelimit.Rule) {
			r.Algorithm, r.Limit = ratelimit.SlidingLog, 10_001
		})},
		{"negative burst", 1, "Burst", rule(func(r *ratelimit.Rule) { r.Algorithm, r.Burst = ratelimit.GCRA, -1 })},
		{"burst beyond 2^32", 1, "Burst", rule(func(r *ratelimit.Rule) {
			r.Algorithm, r.Limit, r.Burst = ratelimit.GCRA, 1<<32, 1<<32+1
		})},
		{"enormous burst", 1, "Burst", rule(func(r *ratelimit.Rule) {
			r.Algorithm, r.Burst = ratelimit.GCRA, math.MaxInt64
		})},
		{"burst of a sliding window", 1, "Burst", rule(func(r *ratelimit.Rule) { r.Burst = 1 })},
		{"burst of a fixed window", 1, "Burst", rule(func(r *ratelimit.Rule) {
			r.Algorithm, r.Burst = ratelimit.FixedWindow, 5
		})},
		{"burst of a log", 1, "Burst", rule(func(r *ratelimit.Rule) { r.Algorithm, r.Burst = ratelimit.SlidingLog, 5 })},
		{"burst of a calendar", 1, "Burst", rule(func(r *ratelimit.Rule) {
			r.Algorithm, r.Window, r.Calendar, r.Burst = ratelimit.FixedWindow, 0, days(Noon), 5
		})},
		{"bucket that drains in over 366 days", 1, "Burst", rule(func(r *ratelimit.Rule) {
			r.Algorithm, r.Limit, r.Burst, r.Window = ratelimit.GCRA, 3, 3*366+1, 24*time.Hour
		})},
		{"bucket that hardly drains", 1, "Burst", rule(func(r *ratelimit.Rule) {
			r.Algorithm, r.Limit, r.Burst, r.Window = ratelimit.GCRA, 1, 1<<32, ratelimit.MaxSliding
		})},
		{"window zero", 1, "Window", rule(func(r *ratelimit.Rule) { r.Window = 0 })},
		{"negative window", 1, "Window", rule(func(r *ratelimit.Rule) { r.Window = -time.Minute })},
		{"short window", 1, "Window", rule(func(r *ratelimit.Rule) { r.Window = 100*time.Millisecond - time.Microsecond })},
		{"long sliding window", 1, "Window", rule(func(r *ratelimit.Rule) { r.Window = 31*24*time.Hour + time.Millisecond })},
		{"short gcra window", 1, "Window", rule(func(r *ratelimit.Rule) {
			r.Algorithm, r.Window = ratelimit.GCRA, 100*time.Millisecond-time.Microsecond
		})},
		{"long gcra window", 1, "Window", rule(func(r *ratelimit.Rule) {
			r.Algorithm, r.Window = ratelimit.GCRA, 31*24*time.Hour+time.Millisecond
		})},
		{"long log window", 1, "Window", rule(func(r *ratelimit.Rule) {
			r.Algorithm, r.Window = ratelimit.SlidingLog, 31*24*time.Hour+time.Millisecond
		})},
		{"long fixed window", 1, "Window", rule(func(r *ratelimit.Rule) {
			r.Algorithm, r.Window = ratelimit.FixedWindow, math.MaxInt64
		})},
		{"part of a microsecond", 1, "Window", rule(func(r *ratelimit.Rule) { r.Window = time.Second + 1 })},
		{"part of a millisecond", 1, "Window", rule(func(r *ratelimit.Rule) { r.Window = time.Hour + time.Microsecond })},
		{"durable without a calendar", 1, "Durable", rule(func(r *ratelimit.Rule) { r.Durable = true })},
		{"durable fixed window", 1, "Durable", rule(func(r *ratelimit.Rule) {
			r.Algorithm, r.Durable = ratelimit.FixedWindow, true
		})},
		{"the same counter twice", 1, "Name", func(r *ratelimit.Request) {
			r.Rules[1] = r.Rules[0]
			r.Rules[1].Limit, r.Rules[1].Shadow = 7, true
		}},
		{"the same calendar twice", 1, "Name", func(r *ratelimit.Request) {
			r.Rules[0], r.Rules[1] = daily(5, days(Noon)), daily(5, days(Noon.Add(24*time.Hour)))
		}},
		{"calendar and window", 1, "Window", rule(func(r *ratelimit.Rule) {
			r.Algorithm, r.Calendar = ratelimit.FixedWindow, days(Noon)
		})},
		{"sliding calendar", 1, "Algorithm", rule(func(r *ratelimit.Rule) { r.Window, r.Calendar = 0, days(Noon) })},
		{"gcra calendar", 1, "Algorithm", rule(func(r *ratelimit.Rule) {
			r.Algorithm, r.Window, r.Calendar = ratelimit.GCRA, 0, days(Noon)
		})},
		{"log calendar", 1, "Algorithm", rule(func(r *ratelimit.Rule) {
			r.Algorithm, r.Window, r.Calendar = ratelimit.SlidingLog, 0, days(Noon)
		})},
		{"calendar without a name", 1, "Calendar", calendar(func(c *ratelimit.Calendar) { c.Name = "" })},
		{"calendar with a gap", 1, "Calendar", calendar(func(c *ratelimit.Calendar) {
			c.Next.Start = c.Next.Start.Add(time.Second)
		})},
		{"calendar that overlaps", 1, "Calendar", calendar(func(c *ratelimit.Calendar) {
			c.Previous.End = c.Previous.End.Add(time.Second)
		})},
		{"calendar of nothing", 1, "Calendar", calendar(func(c *ratelimit.Calendar) { *c = ratelimit.Calendar{Name: "day"} })},
		{"calendar backwards", 1, "Calendar", calendar(func(c *ratelimit.Calendar) {
			c.Previous.Start = c.Previous.End.Add(time.Hour)
		})},
		{"calendar of two years", 1, "Calendar", calendar(func(c *ratelimit.Calendar) {
			c.Next.End = c.Next.Start.AddDate(2, 0, 0)
		})},
		{"calendar in microseconds", 1, "Calendar", calendar(func(c *ratelimit.Calendar) {
			c.Next.End = c.Next.End.Add(time.Microsecond)
		})},
		{"calendar before 1970", 1, "Calendar", calendar(func(c *ratelimit.Calendar) {
			*c = *days(time.Unix(0, 0))
		})},
		{"calendar after 2255", 1, "Calendar", calendar(func(c *ratelimit.Calendar) {
			*c = *days(time.Date(2256, 1, 1, 0, 0, 0, 0, time.UTC))
		})},
	} {
		first := sliding("first", 5, time.Minute)
		req := s.request(1, first, sliding("second", 5, time.Minute))
		c.change(req)
		var invalid *ratelimit.InvalidError
		err := s.fails(req)
		require.ErrorAs(t, err, &invalid, c.name)
		require.ErrorIs(t, err, ratelimit.ErrInvalid, c.name)
		require.Equal(t, c.index, invalid.Rule, c.name)
		require.Equal(t, c.field, invalid.Field, c.name)
		require.Equal(t, []int64{5}, s.remaining(first), c.name)
	}
}

func badRefunds(t *testing.T, s *subject) {
	rule := fixed("a", 10, time.Minute)
	good := s.spend(4, rule)
	for _, units := range []int64{0, 5, math.MaxInt64, -1 << 53, math.MinInt64} {
		var invalid *ratelimit.InvalidError
		require.ErrorAs(t, s.refund(good, units), &invalid)
		require.Equal(t, "Units", invalid.Field)
	}
	for name, change := range map[string]func(*ratelimit.Receipt){
		"no group":      func(r *ratelimit.Receipt) { r.Group = "" },
		"enormous cost": func(r *ratelimit.Receipt) { r.Cost = math.MaxInt64 },
		"bad rule":      func(r *ratelimit.Receipt) { r.Spent = []ratelimit.Spending{{}} },
		"twice":         func(r *ratelimit.Receipt) { r.Spent = append(r.Spent, r.Spent[0]) },
		"too many":      func(r *ratelimit.Receipt) { r.Spent = make([]ratelimit.Spending, 65) },
	} {
		bad := good
		change(&bad)
		require.ErrorIs(t, s.refund(bad, 1), ratelimit.ErrInvalid, name)
	}
	reset := func(group string, rule ratelimit.Rule) error {
		return s.store.Reset(context.Background(), group, []ratelimit.Rule{rule})
	}
	require.ErrorIs(t, reset("", rule), ratelimit.ErrInvalid)
	require.ErrorIs(t, reset(s.group, ratelimit.Rule{}), ratelimit.ErrInvalid)
	require.Equal(t, []int64{6}, s.remaining(rule))
}

func doneContext(t *testing.T, s *subject) {
	rule := fixed("a", 10, time.Minute)
	receipt := s.spend(4, rule)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dec := ratelimit.Decision{Allowed: true}
	require.ErrorIs(t, s.store.Take(ctx, s.request(1, rule), &dec), context.Canceled)
	require.False(t, dec.Allowed)
	require.ErrorIs(t, s.store.Refund(ctx, receipt, 1), context.Canceled)
	require.ErrorIs(t, s.store.Reset(ctx, s.group, []ratelimit.Rule{rule}), context.Canceled)
	quota := daily(10, days(Noon))
	seeds := []ratelimit.Seeding{seeding(quota, quota.Calendar.Current.Start, 9)}
	require.ErrorIs(t, s.store.Seed(ctx, s.group, seeds), context.Canceled)
	require.Equal(t, []int64{10}, s.remaining(quota))
	require.Equal(t, []int64{6}, s.remaining(rule))
}
