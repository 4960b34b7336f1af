package validation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func TestTheSameCheckIDGetsTheSameAnswer(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "owner", nil, perMinute(2))
	check := validation.Check{APIKey: key, Cost: 2, CheckID: "order-1", RequestID: "first"}
	first := w.ask(t, check)
	require.False(t, first.Replayed)

	w.clock.advance(ratelimit.Replay - time.Microsecond)
	check.RequestID = "second"
	again := w.ask(t, check)
	require.True(t, again.Replayed)
	require.Equal(t, "second", again.RequestID)
	require.True(t, again.Allowed)
	require.Equal(t, first.At, again.At)
	require.Equal(t, first.Limits, again.Limits)
	require.Equal(t, first.Tightest, again.Tightest)
	require.EqualValues(t, 2, w.spent(t, key, 2))

	w.clock.advance(time.Microsecond)
	later := w.ask(t, check)
	require.False(t, later.Replayed, "after a minute the id is new")
	require.False(t, later.Allowed)
	check.RequestID = "third"
	refused := w.ask(t, check)
	require.True(t, refused.Replayed, "a refusal is kept as well")
	require.Equal(t, later.RetryAfter, refused.RetryAfter)
	require.Equal(t, validation.RateLimited, refused.Code)
}

// spent tells how much of the first limit of a key is spent.
func (w *world) spent(t testing.TB, key string, limit int64) int64 {
	t.Helper()
	return limit - w.ask(t, validation.Check{APIKey: key}).Limits[0].Remaining
}

func TestACheckIDIsForOneCheck(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "owner", func(s *models.Snapshot) { s.Key.Permissions = []string{"a", "b"} }, perMinute(100))
	check := validation.Check{APIKey: key, Cost: 1, CheckID: "order-1", Method: "GET", Endpoint: "/v1", Permissions: []string{"a"}}
	require.True(t, w.ask(t, check).Allowed)
	for name, change := range map[string]func(c *validation.Check){
		"cost":        func(c *validation.Check) { c.Cost = 2 },
		"method":      func(c *validation.Check) { c.Method = "PUT" },
		"endpoint":    func(c *validation.Check) { c.Endpoint = "/v2" },
		"keyspace":    func(c *validation.Check) { c.Keyspace = "default" },
		"permissions": func(c *validation.Check) { c.Permissions = []string{"b"} },
	} {
		other := check
		change(&other)
		_, err := w.Validate(t.Context(), &other)
		known := failed(t, err, apierror.CodeCheckIDConflict)
		require.Equal(t, 422, known.Status(), name)
		require.Equal(t, []apierror.Field{{In: apierror.Body, Name: "check_id", Detail: known.Fields[0].Detail}}, known.Fields, name)
	}
	check.Method = "get"
	require.True(t, w.ask(t, check).Replayed, "the case of a method is no other content")
	require.EqualValues(t, 1, w.spent(t, key, 100))
}

func TestCheckIDsOfTwoKeysAreApart(t *testing.T) {
	w := newWorld(t)
	one, two := w.key(t, "owner", nil, perMinute(100)), w.key(t, "owner", nil, perMinute(100))
	require.False(t, w.ask(t, validation.Check{APIKey: one, Cost: 1, CheckID: "order-1"}).Replayed)
	require.False(t, w.ask(t, validation.Check{APIKey: two, Cost: 5, CheckID: "order-1"}).Replayed)
	require.EqualValues(t, 6, w.spent(t, one, 100))
}

func TestACheckIDWithoutRules(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "owner", nil)
	check := validation.Check{APIKey: key, Cost: 1, CheckID: "order-1"}
	require.False(t, w.ask(t, check).Replayed)
	require.True(t, w.ask(t, check).Replayed)
	check.Cost = 2
	_, err := w.Validate(t.Context(), &check)
	require.ErrorIs(t, err, apierror.CodeCheckIDConflict)
}

func TestAReplayOutlivesItsRules(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "owner", nil, perMinute(1), monthly(100, models.OverageBlock))
	check := validation.Check{APIKey: key, Cost: 2, CheckID: "order-1"}
	require.Equal(t, validation.CostExceedsLimit, w.ask(t, check).Code)

	snapshot := w.keys.known[apikey.Sum(key)]
	changed := &models.Snapshot{Key: snapshot.Key, Keyspace: snapshot.Keyspace, Owner: snapshot.Owner}
	changed.PlanRules = []models.Rule{{Name: "daily", Limit: 5, Period: models.PeriodDay}, snapshot.PlanRules[1]}
	models.NormalizeRules(changed.PlanRules, models.ScopeOwner)
	require.NoError(t, changed.Compile())
	w.keys.known[apikey.Sum(key)] = changed

	a := w.ask(t, check)
	require.True(t, a.Replayed)
	require.Equal(t, validation.CostExceedsLimit, a.Code, "the same answer")
	require.Len(t, a.Limits, 1, "of the rules that are still there")
	require.Equal(t, "monthly", a.Limits[0].Rule.Name)
	require.Equal(t, -1, a.Tightest)
}

func TestBadChecks(t *testing.T) {
	tests := []struct {
		name  string
		check validation.Check
		bad   []string
	}{
		{"negative cost", validation.Check{Cost: -1}, []string{"cost"}},
		{"enormous cost", validation.Check{Cost: ratelimit.MaxCost + 1}, []string{"cost"}},
		{"long check id", validation.Check{CheckID: strings.Repeat("x", 129)}, []string{"check_id"}},
		{"check id with NUL", validation.Check{CheckID: "a\x00"}, []string{"check_id"}},
		{"long keyspace", validation.Check{Keyspace: strings.Repeat("x", 256)}, []string{"keyspace"}},
		{"long method", validation.Check{Method: strings.Repeat("X", 17)}, []string{"method"}},
		{"long endpoint", validation.Check{Endpoint: strings.Repeat("x", 2049)}, []string{"endpoint"}},
		{"endpoint with NUL", validation.Check{Endpoint: "a\x00b"}, []string{"endpoint"}},
		{"invalid UTF-8", validation.Check{Endpoint: "\xff"}, []string{"endpoint"}},
		{"a permission twice", validation.Check{Permissions: []string{"a", "a"}}, []string{"permissions[1]"}},
		{"an empty permission", validation.Check{Permissions: []string{""}}, []string{"permissions[0]"}},
		{"too many permissions", validation.Check{Permissions: make([]string, 65)}, []string{"permissions"}},
		{
			"all at once", validation.Check{Cost: -1, CheckID: "\n", Permissions: []string{"a b"}},
			[]string{"cost", "check_id", "permissions[0]"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			test.check.APIKey = w.key(t, "owner", nil, perMinute(1))
			_, err := w.Validate(t.Context(), &test.check)
			require.Subset(t, badFields(t, err), test.bad)
			require.Zero(t, w.limits.takes.Load())
			require.Zero(t, w.keys.asked.Load())
		})
	}
}

func TestLargestCheckIsAccepted(t *testing.T) {
	w := newWorld(t)
	a := w.ask(t, validation.Check{
		APIKey: w.key(t, "owner", nil, models.Rule{Name: "r", Limit: models.MaxFixedLimit, Window: time.Hour, Algorithm: ratelimit.FixedWindow}),
		Cost:   ratelimit.MaxCost, CheckID: strings.Repeat("é", 128), Method: strings.Repeat("X", 16), Endpoint: strings.Repeat("é", 2048),
	})
	require.True(t, a.Allowed)
}
