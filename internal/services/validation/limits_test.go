package validation_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func TestRetryAfterIsExact(t *testing.T) {
	rules := map[string]models.Rule{
		"sliding": {Name: "r", Limit: 3, Window: 20 * time.Second},
		"fixed":   {Name: "r", Limit: 3, Window: 20 * time.Second, Algorithm: ratelimit.FixedWindow},
		"log":     {Name: "r", Limit: 3, Window: 20 * time.Second, Algorithm: ratelimit.SlidingLog},
		"quota":   {Name: "r", Limit: 3, Period: models.PeriodDay},
	}
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			tick := time.Microsecond
			if rule.Quota() {
				tick = time.Millisecond
			}
			w := newWorld(t)
			key := w.key(t, "owner", nil, rule)
			check := validation.Check{APIKey: key, Cost: 1}
			for want := int64(2); want >= 0; want-- {
				a := w.ask(t, check)
				require.True(t, a.Allowed)
				require.Zero(t, a.RetryAfter)
				require.Equal(t, want, a.Limits[0].Remaining)
				w.clock.advance(1234 * time.Millisecond)
			}
			refused := w.ask(t, check)
			require.Equal(t, rule.Quota(), refused.Code == validation.QuotaExceeded)
			require.Equal(t, !rule.Quota(), refused.Code == validation.RateLimited)
			require.Positive(t, refused.RetryAfter)
			require.Equal(t, refused.RetryAfter, refused.Limits[0].RetryAfter)
			require.True(t, refused.Limits[0].Denied)
			require.Equal(t, 0, refused.Tightest)

			w.clock.advance(refused.RetryAfter - tick)
			require.False(t, w.ask(t, check).Allowed, "a tick early")
			w.clock.advance(tick)
			require.True(t, w.ask(t, check).Allowed, "in time")
		})
	}
}

func TestABucketTakesItsBurstAndDrainsAtItsLimit(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "owner", nil, models.Rule{
		Name: "bucket", Limit: 2, Window: time.Second, Algorithm: ratelimit.GCRA, Burst: 5,
	})
	a := w.ask(t, validation.Check{APIKey: key, Cost: 5})
	require.True(t, a.Allowed, "more than the limit at once")
	require.Zero(t, a.Limits[0].Remaining)
	require.EqualValues(t, 2, a.Limits[0].Rule.Limit)
	require.EqualValues(t, 5, a.Limits[0].Rule.Capacity())
	require.Equal(t, 500*time.Millisecond, a.Limits[0].ResetAfter)

	refused := w.ask(t, validation.Check{APIKey: key, Cost: 2})
	require.Equal(t, validation.RateLimited, refused.Code)
	require.Equal(t, time.Second, refused.RetryAfter)
	w.clock.advance(time.Second - time.Microsecond)
	require.False(t, w.ask(t, validation.Check{APIKey: key, Cost: 2}).Allowed, "a tick early")
	w.clock.advance(time.Microsecond)
	require.True(t, w.ask(t, validation.Check{APIKey: key, Cost: 2}).Allowed, "in time")

	require.Equal(t, validation.CostExceedsLimit, w.ask(t, validation.Check{APIKey: key, Cost: 6}).Code)
	w.clock.advance(time.Hour)
	require.EqualValues(t, 5, w.ask(t, validation.Check{APIKey: key}).Limits[0].Remaining, "the burst and no more")
}

func TestALogIsExactInEveryTrailingWindow(t *testing.T) {
	for algorithm, want := range map[ratelimit.Algorithm]bool{ratelimit.SlidingLog: false, ratelimit.FixedWindow: true} {
		w := newWorld(t)
		rule := models.Rule{Name: "r", Limit: 10, Window: time.Minute, Algorithm: algorithm}
		key := w.key(t, "owner", nil, rule)
		edge := w.clock.Now().Truncate(time.Minute).Add(time.Minute)
		w.clock.advance(edge.Sub(w.clock.Now()) - time.Second)
		require.True(t, w.ask(t, validation.Check{APIKey: key, Cost: 10}).Allowed)
		w.clock.advance(2 * time.Second)
		require.Equal(t, want, w.ask(t, validation.Check{APIKey: key, Cost: 10}).Allowed, "%s, across an edge", algorithm)
	}
}

func TestRefusedCallsSpendNothing(t *testing.T) {
	w := newWorld(t)
	rules := []models.Rule{
		{Name: "burst", Limit: 1_000, Window: time.Second, Scope: models.ScopeKey},
		perMinute(5),
		monthly(1_000, models.OverageBlock),
	}
	var keys [5]string
	for i := range keys {
		keys[i] = w.key(t, "owner", nil, rules...)
	}
	for i, key := range keys {
		require.True(t, w.ask(t, validation.Check{APIKey: key, Cost: 1}).Allowed, i)
	}
	for range 3 {
		for _, key := range keys {
			a := w.ask(t, validation.Check{APIKey: key, Cost: 1})
			require.Equal(t, validation.RateLimited, a.Code)
			require.Equal(t, "per-minute", a.Limits[a.Tightest].Rule.Name)
		}
	}
	for _, key := range keys {
		look := w.ask(t, validation.Check{APIKey: key})
		require.EqualValues(t, 999, look.Limits[0].Remaining, "each key spent one of its own")
		require.EqualValues(t, 0, look.Limits[1].Remaining, "the keys share their owner's limit")
		require.EqualValues(t, 995, look.Limits[2].Remaining, "and its quota")
	}
}

func TestTheLongestRefusalNamesTheAnswer(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "owner", nil, perMinute(1), monthly(1, models.OverageBlock))
	require.True(t, w.ask(t, validation.Check{APIKey: key, Cost: 1}).Allowed)
	a := w.ask(t, validation.Check{APIKey: key, Cost: 1})
	require.Equal(t, validation.QuotaExceeded, a.Code)
	require.Equal(t, "monthly", a.Limits[a.Tightest].Rule.Name)
	require.Equal(t, time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), a.At.Add(a.RetryAfter).UTC())
	require.True(t, a.Limits[0].Denied)
	require.True(t, a.Limits[1].Denied)
}

func TestCost(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "owner", nil, perMinute(10), monthly(100, models.OverageBlock))
	require.EqualValues(t, 10, w.ask(t, validation.Check{APIKey: key}).Limits[0].Remaining, "cost 0 looks")
	require.EqualValues(t, 3, w.ask(t, validation.Check{APIKey: key, Cost: 7}).Limits[0].Remaining)

	a := w.ask(t, validation.Check{APIKey: key, Cost: 4})
	require.Equal(t, validation.RateLimited, a.Code)
	a = w.ask(t, validation.Check{APIKey: key, Cost: 11})
	require.Equal(t, validation.CostExceedsLimit, a.Code)
	require.Equal(t, ratelimit.Never, a.RetryAfter)
	require.Equal(t, ratelimit.Never, a.Limits[0].RetryAfter)
	require.False(t, a.Limits[1].Denied, "the quota has room for it")
	a = w.ask(t, validation.Check{APIKey: key, Cost: ratelimit.MaxCost})
	require.Equal(t, validation.CostExceedsLimit, a.Code)

	require.True(t, w.ask(t, validation.Check{APIKey: key, Cost: 3}).Allowed, "refusals spent nothing")
	require.True(t, w.ask(t, validation.Check{APIKey: key}).Allowed, "a look at a spent limit is allowed")
}

func TestOverageIsCountedAndNeverRefused(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "owner", nil, perMinute(1_000), monthly(10, models.OverageAllow))
	remaining := []int64{6, 2, 0, 0}
	for _, want := range remaining {
		a := w.ask(t, validation.Check{APIKey: key, Cost: 4})
		require.True(t, a.Allowed)
		l := a.Limits[1]
		require.Equal(t, want, l.Remaining)
		require.EqualValues(t, 10, l.Rule.Limit, "the answer states the quota")
		require.False(t, l.Denied)
		require.Equal(t, time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), a.At.Add(l.ResetAfter).UTC())
		require.Equal(t, 0, a.Tightest, "a quota that refuses nothing does not slow a caller down")
	}
}

func TestShadowRulesReportAndNeverRefuse(t *testing.T) {
	w := newWorld(t)
	shadow := models.Rule{Name: "next-year", Limit: 1, Window: time.Minute, Shadow: true}
	key := w.key(t, "owner", nil, perMinute(3), shadow)
	a := w.ask(t, validation.Check{APIKey: key, Cost: 1})
	require.True(t, a.Allowed)
	require.False(t, a.Limits[1].WouldDeny)
	a = w.ask(t, validation.Check{APIKey: key, Cost: 1})
	require.True(t, a.Allowed)
	require.Zero(t, a.RetryAfter)
	require.True(t, a.Limits[1].WouldDeny)
	require.False(t, a.Limits[1].Denied)
	require.Positive(t, a.Limits[1].RetryAfter)
	require.Equal(t, 0, a.Tightest, "what is not enforced is not the tightest")

	only := w.key(t, "another", nil, shadow)
	require.Equal(t, -1, w.ask(t, validation.Check{APIKey: only, Cost: 5}).Tightest)
}

func TestRulesCountTheCallsTheyMatch(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "owner", nil,
		models.Rule{Name: "writes", Limit: 1, Window: time.Minute, Methods: []string{"post"}, Endpoints: []string{"/v1/**"}},
		perMinute(100),
	)
	names := func(c validation.Check) (names []string) {
		c.APIKey, c.Cost = key, 1
		for _, l := range w.ask(t, c).Limits {
			names = append(names, l.Rule.Name)
		}
		return names
	}
	require.Equal(t, []string{"per-minute"}, names(validation.Check{}))
	require.Equal(t, []string{"per-minute"}, names(validation.Check{Method: "GET", Endpoint: "/v1/users"}))
	require.Equal(t, []string{"per-minute"}, names(validation.Check{Method: "POST", Endpoint: "/v2/users"}))
	require.Equal(t, []string{"writes", "per-minute"}, names(validation.Check{Method: "post", Endpoint: "/v1/users"}))
	require.Equal(t, validation.RateLimited, w.ask(t, validation.Check{APIKey: key, Cost: 1, Method: "Post", Endpoint: "/v1/orders"}).Code)
}

func TestRulesOfTheKeyOverrideByName(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "owner", func(s *models.Snapshot) {
		s.Owner.Rules = []models.Rule{{Name: "per-minute", Limit: 2, Window: time.Minute, Scope: models.ScopeOwner}}
		s.Key.Rules = []models.Rule{{Name: "per-minute", Limit: 3, Window: time.Minute}, {Name: "burst", Limit: 9, Window: time.Second}}
	}, perMinute(1), monthly(100, models.OverageBlock))
	a := w.ask(t, validation.Check{APIKey: key, Cost: 1})
	require.Len(t, a.Limits, 3)
	require.EqualValues(t, 2, a.Limits[0].Remaining)
	require.Equal(t, models.ScopeKey, a.Limits[0].Rule.Scope)
	require.Equal(t, "monthly", a.Limits[1].Rule.Name, "what is not overridden is not lifted")
	require.Equal(t, "burst", a.Limits[2].Rule.Name)
}

func TestMostRulesAKeyCanHaveAreTakenTogether(t *testing.T) {
	w := newWorld(t)
	layer := func(name string, scope models.Scope) []models.Rule {
		rules := make([]models.Rule, models.MaxRules)
		for i := range rules {
			rules[i] = models.Rule{Name: fmt.Sprint(name, i), Limit: 10, Window: time.Minute, Scope: scope}
		}
		return rules
	}
	key := w.key(t, "owner", func(s *models.Snapshot) {
		s.Owner.Rules, s.Key.Rules = layer("owner", models.ScopeOwner), layer("key", models.ScopeKey)
	}, layer("plan", models.ScopeOwner)...)
	require.Len(t, w.ask(t, validation.Check{APIKey: key, Cost: 1}).Limits, 3*models.MaxRules)
}

func TestNoRules(t *testing.T) {
	w := newWorld(t)
	a := w.ask(t, validation.Check{APIKey: w.key(t, "owner", nil), Cost: 1})
	require.True(t, a.Allowed)
	require.Empty(t, a.Limits)
	require.Equal(t, -1, a.Tightest)
	require.Zero(t, w.limits.takes.Load())
}

func TestTheLimitStoreTellsTheTime(t *testing.T) {
	w := newWorld(t)
	store := w.clock.Now().Add(-2 * time.Second)
	w.limits.Store = ratelimit.NewMemory(ratelimit.WithClock(func() time.Time { return store }))
	a := w.ask(t, validation.Check{APIKey: w.key(t, "owner", nil, perMinute(1)), Cost: 1})
	require.True(t, store.Equal(a.At), a.At)
}

func TestExactlyTheLimitIsAdmittedUnderLoad(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "owner", nil, models.Rule{Name: "hourly", Limit: 1_000, Window: time.Hour, Algorithm: ratelimit.FixedWindow})
	snapshot := w.keys.known[apikey.Sum(key)]
	service := validation.New(validation.Deps{Keys: fixed{w.keys.directory, snapshot}, Limits: w.limits, Stated: w.limits, Now: w.clock.Now})
	var admitted, refused atomic.Int64
	var clients sync.WaitGroup
	for range 64 {
		clients.Go(func() {
			for range 50 {
				a, err := service.Validate(t.Context(), &validation.Check{APIKey: key, Cost: 1})
				switch {
				case err != nil:
					t.Error(err)
				case a.Allowed:
					admitted.Add(1)
				case a.Code == validation.RateLimited:
					refused.Add(1)
				}
			}
		})
	}
	clients.Wait()
	require.EqualValues(t, 1_000, admitted.Load())
	require.EqualValues(t, 64*50-1_000, refused.Load())
}

// fixed knows one key, and may be asked by many at once.
type fixed struct {
	directory *models.Directory
	snapshot  *models.Snapshot
}

func (f fixed) Directory(context.Context, time.Time) (*models.Directory, error) {
	return f.directory, nil
}

func (f fixed) Snapshot(context.Context, apikey.Hash, time.Time) (*models.Snapshot, error) {
	return f.snapshot, nil
}
