package validation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func logins(rules ...models.Rule) validation.LimitCheck {
	return validation.LimitCheck{RequestID: "request", Namespace: "login", Identifier: "ada@example.com", Cost: 1, Rules: rules}
}

func (w *world) askLimit(t testing.TB, c validation.LimitCheck) validation.Answer {
	t.Helper()
	a, err := w.CheckLimit(t.Context(), &c)
	require.NoError(t, err)
	require.Equal(t, a.Code == validation.OK, a.Allowed)
	return a
}

func TestStatedLimits(t *testing.T) {
	w := newWorld(t)
	check := logins(perMinute(2), monthly(10, models.OverageBlock))
	first := w.askLimit(t, check)
	require.True(t, first.Allowed)
	require.Equal(t, "request", first.RequestID)
	require.Nil(t, first.Snapshot)
	require.EqualValues(t, 1, first.Limits[0].Remaining)
	require.EqualValues(t, 9, first.Limits[1].Remaining)
	require.Equal(t, time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), first.At.Add(first.Limits[1].ResetAfter).UTC(), "periods are in UTC")
	require.True(t, w.askLimit(t, check).Allowed)
	refused := w.askLimit(t, check)
	require.Equal(t, validation.RateLimited, refused.Code)
	require.Equal(t, "per-minute", refused.Limits[refused.Tightest].Rule.Name)
	require.EqualValues(t, 8, refused.Limits[1].Remaining, "a refused call spends nothing")

	w.clock.advance(refused.RetryAfter - time.Microsecond)
	require.False(t, w.askLimit(t, check).Allowed)
	w.clock.advance(time.Microsecond)
	require.True(t, w.askLimit(t, check).Allowed)
}

func TestStatedLimitsCountEachIdentifierInEachNamespace(t *testing.T) {
	w := newWorld(t)
	spend := func(namespace, identifier string) bool {
		check := logins(perMinute(1))
		check.Namespace, check.Identifier = namespace, identifier
		return w.askLimit(t, check).Allowed
	}
	require.True(t, spend("login", "ada"))
	require.False(t, spend("login", "ada"))
	require.True(t, spend("login", "bob"))
	require.True(t, spend("signup", "ada"))
	// The names alone tell them apart, however they are cut.
	require.True(t, spend("a", "b:c"))
	require.True(t, spend("a.b", "c"))
	require.True(t, spend("login", "1:login:ada"))

	key := w.key(t, "ada", nil, models.Rule{Name: "per-minute", Limit: 1, Window: time.Minute})
	require.True(t, w.ask(t, validation.Check{APIKey: key, Cost: 1}).Allowed, "no owner is meant by them")
}

func TestStatedLimitsNeverTakeTheRoomOfKeys(t *testing.T) {
	w := newWorld(t, ratelimit.WithMaxEntries(1))
	check := logins(perMinute(10))
	require.True(t, w.askLimit(t, check).Allowed)
	other := check
	other.Identifier = "made up"
	_, err := w.CheckLimit(t.Context(), &other)
	failed(t, err, apierror.CodeStoreUnavailable)

	key := w.key(t, "owner", nil, perMinute(10))
	require.True(t, w.ask(t, validation.Check{APIKey: key, Cost: 1}).Allowed)
	require.True(t, w.askLimit(t, check).Allowed, "nor do keys take theirs")
}

func TestStatedRulesAreLeftAsTheyAre(t *testing.T) {
	w := newWorld(t)
	rules := []models.Rule{perMinute(5), {Name: "monthly", Limit: 9, Period: models.PeriodMonth, Scope: models.ScopeOwner}}
	before := append([]models.Rule(nil), rules...)
	w.askLimit(t, logins(rules...))
	require.Equal(t, before, rules)
	rules[1].Scope = models.ScopeKey
	require.EqualValues(t, 7, w.askLimit(t, logins(rules...)).Limits[1].Remaining, "their scope says nothing")
}

func TestStatedLimitsWithACheckID(t *testing.T) {
	w := newWorld(t)
	check := logins(perMinute(10))
	check.CheckID = "try-1"
	require.False(t, w.askLimit(t, check).Replayed)
	require.True(t, w.askLimit(t, check).Replayed)

	for name, change := range map[string]func(c *validation.LimitCheck, r *models.Rule){
		"cost":      func(c *validation.LimitCheck, _ *models.Rule) { c.Cost = 2 },
		"name":      func(_ *validation.LimitCheck, r *models.Rule) { r.Name = "other" },
		"limit":     func(_ *validation.LimitCheck, r *models.Rule) { r.Limit = 11 },
		"window":    func(_ *validation.LimitCheck, r *models.Rule) { r.Window = time.Hour },
		"period":    func(_ *validation.LimitCheck, r *models.Rule) { r.Window, r.Period = 0, models.PeriodDay },
		"algorithm": func(_ *validation.LimitCheck, r *models.Rule) { r.Algorithm = ratelimit.FixedWindow },
		"shadow":    func(_ *validation.LimitCheck, r *models.Rule) { r.Shadow = true },
		"bucket":    func(_ *validation.LimitCheck, r *models.Rule) { r.Algorithm = ratelimit.GCRA },
	} {
		other := logins(perMinute(10))
		other.CheckID = "try-1"
		change(&other, &other.Rules[0])
		_, err := w.CheckLimit(t.Context(), &other)
		require.ErrorIs(t, err, apierror.CodeCheckIDConflict, name)
	}
	bucket := perMinute(10)
	bucket.Algorithm = ratelimit.GCRA
	filling := logins(bucket)
	filling.CheckID = "try-2"
	require.EqualValues(t, 9, w.askLimit(t, filling).Limits[0].Remaining)
	filling.Rules[0].Burst = 10
	require.True(t, w.askLimit(t, filling).Replayed, "a burst of the limit is what it had")
	filling.Rules[0].Burst = 11
	_, err := w.CheckLimit(t.Context(), &filling)
	require.ErrorIs(t, err, apierror.CodeCheckIDConflict)

	other := check
	other.Identifier = "bob"
	require.False(t, w.askLimit(t, other).Replayed, "an id is unique within an identifier")
	check.Cost, check.CheckID = 0, ""
	require.EqualValues(t, 9, w.askLimit(t, check).Limits[0].Remaining)
}

func TestBadLimitChecks(t *testing.T) {
	many := make([]models.Rule, models.MaxRules+1)
	for i := range many {
		many[i] = perMinute(1)
		many[i].Name += strings.Repeat("x", i)
	}
	tests := []struct {
		name   string
		change func(c *validation.LimitCheck)
		bad    []string
	}{
		{"no namespace", func(c *validation.LimitCheck) { c.Namespace = "" }, []string{"namespace"}},
		{"a namespace with a space", func(c *validation.LimitCheck) { c.Namespace = "a b" }, []string{"namespace"}},
		{"no identifier", func(c *validation.LimitCheck) { c.Identifier = "" }, []string{"identifier"}},
		{"long identifier", func(c *validation.LimitCheck) { c.Identifier = strings.Repeat("x", 256) }, []string{"identifier"}},
		{"identifier with NUL", func(c *validation.LimitCheck) { c.Identifier = "a\x00" }, []string{"identifier"}},
		{"negative cost", func(c *validation.LimitCheck) { c.Cost = -1000 }, []string{"cost"}},
		{"long check id", func(c *validation.LimitCheck) { c.CheckID = strings.Repeat("x", 129) }, []string{"check_id"}},
		{"no rules", func(c *validation.LimitCheck) { c.Rules = nil }, []string{"rules"}},
		{"too many rules", func(c *validation.LimitCheck) { c.Rules = many }, []string{"rules"}},
		{"window 0", func(c *validation.LimitCheck) { c.Rules[0].Window = 0 }, []string{"rules[0].window"}},
		{"negative limit", func(c *validation.LimitCheck) { c.Rules[0].Limit = -1 }, []string{"rules[0].limit"}},
		{"a burst without a bucket", func(c *validation.LimitCheck) { c.Rules[0].Burst = 1 }, []string{"rules[0].burst"}},
		{"a burst of years", func(c *validation.LimitCheck) {
			c.Rules[0].Algorithm, c.Rules[0].Burst = ratelimit.GCRA, 366*24*60+1
		}, []string{"rules[0].burst"}},
		{"a bucket without a limit", func(c *validation.LimitCheck) {
			c.Rules[0].Algorithm, c.Rules[0].Limit = ratelimit.GCRA, 0
		}, []string{"rules[0].limit"}},
		{"too long a log", func(c *validation.LimitCheck) {
			c.Rules[0].Algorithm, c.Rules[0].Limit = ratelimit.SlidingLog, models.MaxLogLimit+1
		}, []string{"rules[0].limit"}},
		{"a rule twice", func(c *validation.LimitCheck) { c.Rules = append(c.Rules, c.Rules[0]) }, []string{"rules[1].name"}},
		{"a rule for methods", func(c *validation.LimitCheck) { c.Rules[0].Methods = []string{"GET"} }, []string{"rules[0].methods"}},
		{"a rule for endpoints", func(c *validation.LimitCheck) { c.Rules[0].Endpoints = []string{"/"} }, []string{"rules[0].endpoints"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			check := logins(perMinute(1))
			test.change(&check)
			_, err := w.CheckLimit(t.Context(), &check)
			require.Equal(t, test.bad, badFields(t, err))
			require.Zero(t, w.stated.takes.Load())
		})
	}
}
