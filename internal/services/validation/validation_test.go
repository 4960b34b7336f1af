package validation_test

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apierror/errtest"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// world is the service over the real limit store, with keys in a map and a
// clock that stands still until a test moves it.
type world struct {
	*validation.Service
	keys   *keys
	limits *limits
	stated *limits // of checks without a key
	clock  *clock

	recorder recorder
}

func newWorld(t testing.TB, options ...ratelimit.Option) *world {
	t.Helper()
	c := &clock{now: time.Date(2026, 3, 29, 12, 0, 7, 123_456_000, time.UTC)}
	options = append(options, ratelimit.WithClock(c.Now))
	w := &world{
		keys:   &keys{directory: models.NewDirectory([]models.Keyspace{{Prefix: "viva"}}), known: map[apikey.Hash]*models.Snapshot{}},
		limits: &limits{Store: ratelimit.NewMemory(options...)},
		stated: &limits{Store: ratelimit.NewMemory(options...)},
		clock:  c,
	}
	w.Service = validation.New(validation.Deps{Keys: w.keys, Limits: w.limits, Stated: w.stated, Recorder: &w.recorder, Now: c.Now})
	return w
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type keys struct {
	directory    *models.Directory
	directoryErr error
	known        map[apikey.Hash]*models.Snapshot
	err          error
	asked        atomic.Int64
}

func (k *keys) Directory(context.Context, time.Time) (*models.Directory, error) {
	return k.directory, k.directoryErr
}

func (k *keys) Snapshot(_ context.Context, hash apikey.Hash, _ time.Time) (*models.Snapshot, error) {
	if k.err != nil {
		return nil, k.err
	}
	k.asked.Add(1)
	if s, ok := k.known[hash]; ok {
		return s, nil
	}
	return nil, apierror.NotFound("key")
}

// limits counts how often the store was taken from.
type limits struct {
	ratelimit.Store
	takes    atomic.Int64
	degraded bool
}

func (l *limits) Take(ctx context.Context, req *ratelimit.Request, dec *ratelimit.Decision) (bool, error) {
	l.takes.Add(1)
	return l.degraded, l.Store.Take(ctx, req, dec)
}

// key makes a key of an owner, in the plan of the rules given, and returns its
// secret.
func (w *world) key(t testing.TB, owner models.OwnerID, change func(s *models.Snapshot), rules ...models.Rule) string {
	t.Helper()
	secret, err := apikey.Generate("viva", apikey.Live)
	require.NoError(t, err)
	s := &models.Snapshot{
		Key:       models.APIKey{ID: models.NewID[models.KeyID](), OwnerID: owner, Name: "Checkout"},
		Keyspace:  models.Keyspace{ID: "ks-1", Name: "default", Prefix: "viva"},
		Owner:     models.Owner{ID: owner, TimeZone: "UTC", AnchorDay: 1},
		PlanRules: rules,
	}
	models.NormalizeRules(s.PlanRules, models.ScopeOwner)
	if change != nil {
		change(s)
	}
	s.Key.Normalize()
	require.NoError(t, s.Compile())
	w.keys.known[apikey.Sum(secret.Reveal())] = s
	return secret.Reveal()
}

func (w *world) ask(t testing.TB, c validation.Check) validation.Answer {
	t.Helper()
	a, err := w.Validate(t.Context(), &c)
	require.NoError(t, err)
	require.Equal(t, a.Code == validation.OK, a.Allowed)
	return a
}

func perMinute(limit int64) models.Rule {
	return models.Rule{Name: "per-minute", Limit: limit, Window: time.Minute}
}

func monthly(limit int64, overage models.Overage) models.Rule {
	return models.Rule{Name: "monthly", Limit: limit, Period: models.PeriodMonth, Overage: overage}
}

// Assertions that every service needs.
var failed, badFields = errtest.Failed, errtest.BadFields

func TestRefusalsBeforeTheLimits(t *testing.T) {
	past, future := -time.Second, time.Second
	in := func(w *world, d time.Duration) *time.Time {
		at := w.clock.Now().Add(d)
		return &at
	}
	tests := []struct {
		name   string
		change func(w *world, s *models.Snapshot)
		check  validation.Check
		want   validation.Code
	}{
		{"nothing against it", nil, validation.Check{}, validation.OK},
		{"revoked", func(w *world, s *models.Snapshot) { s.Key.RevokedAt = in(w, past) }, validation.Check{}, validation.KeyRevoked},
		{"expired", func(w *world, s *models.Snapshot) { s.Key.ExpiresAt = in(w, past) }, validation.Check{}, validation.KeyExpired},
		{"expires now", func(w *world, s *models.Snapshot) { s.Key.ExpiresAt = in(w, 0) }, validation.Check{}, validation.KeyExpired},
		{"expires soon", func(w *world, s *models.Snapshot) { s.Key.ExpiresAt = in(w, future) }, validation.Check{}, validation.OK},
		{"rotated out", func(w *world, s *models.Snapshot) { s.Secret.ExpiresAt = in(w, past) }, validation.Check{}, validation.KeyExpired},
		{"in the grace of a rotation", func(w *world, s *models.Snapshot) { s.Secret.ExpiresAt = in(w, future) }, validation.Check{}, validation.OK},
		{"suspended", func(w *world, s *models.Snapshot) { s.Key.SuspendedAt = in(w, past) }, validation.Check{}, validation.KeySuspended},
		{
			"suspended for a time that is over",
			func(w *world, s *models.Snapshot) { s.Key.SuspendedAt, s.Key.SuspendedUntil = in(w, past), in(w, 0) },
			validation.Check{}, validation.OK,
		},
		{
			"another address",
			func(_ *world, s *models.Snapshot) { s.Key.AllowedIPs = []string{"10.0.0.0/8"} },
			validation.Check{IP: netip.MustParseAddr("192.0.2.1")}, validation.IPDenied,
		},
		{
			"no address", func(_ *world, s *models.Snapshot) { s.Key.AllowedIPs = []string{"10.0.0.0/8"} },
			validation.Check{}, validation.IPDenied,
		},
		{
			"one of its addresses, mapped", func(_ *world, s *models.Snapshot) { s.Key.AllowedIPs = []string{"10.0.0.0/8"} },
			validation.Check{IP: netip.MustParseAddr("::ffff:10.1.2.3")}, validation.OK,
		},
		{
			"one permission of two", func(_ *world, s *models.Snapshot) { s.Key.Permissions = []string{"orders:read"} },
			validation.Check{Permissions: []string{"orders:read", "orders:write"}}, validation.PermissionDenied,
		},
		{
			"both permissions", func(_ *world, s *models.Snapshot) { s.Key.Permissions = []string{"orders:write", "orders:read"} },
			validation.Check{Permissions: []string{"orders:read", "orders:write"}}, validation.OK,
		},
		{
			"another endpoint", func(_ *world, s *models.Snapshot) { s.Key.Endpoints = []string{"/v1/*"} },
			validation.Check{Method: "GET", Endpoint: "/v2/users"}, validation.EndpointDenied,
		},
		{
			"another method", func(_ *world, s *models.Snapshot) { s.Key.Methods = []string{"GET"} },
			validation.Check{Method: "POST", Endpoint: "/v1/users"}, validation.EndpointDenied,
		},
		{
			"its method, in lower case", func(_ *world, s *models.Snapshot) { s.Key.Methods = []string{"GET"} },
			validation.Check{Method: "get", Endpoint: "/v1/users"}, validation.OK,
		},
		{
			"its keyspace by name", nil, validation.Check{Keyspace: "default"}, validation.OK,
		},
		{
			"its keyspace by id", nil, validation.Check{Keyspace: "ks-1"}, validation.OK,
		},
		{
			"revoked comes before all else",
			func(w *world, s *models.Snapshot) {
				s.Key.RevokedAt, s.Key.ExpiresAt, s.Key.AllowedIPs = in(w, past), in(w, past), []string{"10.0.0.0/8"}
			},
			validation.Check{Permissions: []string{"x"}}, validation.KeyRevoked,
		},
		{
			"the address comes before permissions",
			func(_ *world, s *models.Snapshot) { s.Key.AllowedIPs = []string{"10.0.0.0/8"} },
			validation.Check{Permissions: []string{"x"}}, validation.IPDenied,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			test.check.APIKey = w.key(t, "owner", func(s *models.Snapshot) {
				if test.change != nil {
					test.change(w, s)
				}
			}, perMinute(10))
			test.check.RequestID, test.check.Cost = "request", 1
			a := w.ask(t, test.check)
			require.Equal(t, test.want, a.Code)
			require.Equal(t, "request", a.RequestID)
			require.NotNil(t, a.Snapshot, "the key is known, and the answer names it")
			if test.want == validation.OK {
				require.Len(t, a.Limits, 1)
				require.EqualValues(t, 9, a.Limits[0].Remaining)
				return
			}
			require.Zero(t, w.limits.takes.Load(), "a refusal costs nothing")
			require.Empty(t, a.Limits)
			require.Equal(t, -1, a.Tightest)
			require.Zero(t, a.RetryAfter)
			require.Equal(t, w.clock.Now(), a.At)
		})
	}
}

func TestKeysThatAreNotFound(t *testing.T) {
	w := newWorld(t)
	known := w.key(t, "owner", nil, perMinute(10))
	unknown, err := apikey.Generate("viva", apikey.Test)
	require.NoError(t, err)
	tests := []struct {
		name  string
		check validation.Check
		want  validation.Code
		asks  int64
	}{
		{"empty", validation.Check{}, validation.KeyMalformed, 0},
		{"mistyped", validation.Check{APIKey: known[:len(known)-1] + "_"}, validation.KeyMalformed, 0},
		{"made elsewhere", validation.Check{APIKey: "sk_made_elsewhere_0123456789"}, validation.KeyMalformed, 0},
		{"an access token", validation.Check{APIKey: apikey.GenerateToken().Reveal()}, validation.KeyMalformed, 0},
		{"well-formed and unknown", validation.Check{APIKey: unknown.Reveal()}, validation.KeyUnknown, 1},
		{"in another keyspace", validation.Check{APIKey: known, Keyspace: "shop"}, validation.KeyUnknown, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w.keys.asked.Store(0)
			a := w.ask(t, test.check)
			require.Equal(t, test.want, a.Code)
			require.Nil(t, a.Snapshot, "the answer tells nothing of any key")
			require.Equal(t, test.asks, w.keys.asked.Load(), "garbage is refused without looking")
			require.Zero(t, w.limits.takes.Load())
		})
	}
}

func TestImportedKeysAreLookedUp(t *testing.T) {
	w := newWorld(t)
	const secret = "sk_made_elsewhere_0123456789"
	w.keys.directory = models.NewDirectory([]models.Keyspace{{Prefix: "viva", Imported: true}})
	require.Equal(t, validation.KeyUnknown, w.ask(t, validation.Check{APIKey: secret}).Code)
	generated := w.key(t, "owner", nil)
	w.keys.known[apikey.Sum(secret)] = w.keys.known[apikey.Sum(generated)]
	require.Equal(t, validation.OK, w.ask(t, validation.Check{APIKey: secret}).Code)
}

func TestChecksThatCannotBeDecided(t *testing.T) {
	down := apierror.New(apierror.CodeStoreUnavailable, "The database is out of reach")

	w := newWorld(t)
	key := w.key(t, "owner", nil, perMinute(10))
	w.keys.err = down
	_, err := w.Validate(t.Context(), &validation.Check{APIKey: key})
	require.ErrorIs(t, err, down)
	w.keys.err, w.keys.directoryErr = nil, down
	_, err = w.Validate(t.Context(), &validation.Check{APIKey: key})
	require.ErrorIs(t, err, down)

	full := newWorld(t, ratelimit.WithMaxEntries(1))
	first, second := full.key(t, "a", nil, perMinute(10)), full.key(t, "b", nil, perMinute(10))
	require.Equal(t, validation.OK, full.ask(t, validation.Check{APIKey: first, Cost: 1}).Code)
	_, err = full.Validate(t.Context(), &validation.Check{APIKey: second, Cost: 1})
	failed(t, err, apierror.CodeStoreUnavailable)
	require.ErrorIs(t, err, ratelimit.ErrFull)
	require.Equal(t, validation.OK, full.ask(t, validation.Check{APIKey: first, Cost: 1}).Code, "keys it has go on")

	w = newWorld(t)
	key = w.key(t, "owner", nil, perMinute(10))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = w.Validate(gone, &validation.Check{APIKey: key, Cost: 1})
	require.ErrorIs(t, err, context.Canceled)
	require.EqualValues(t, 10, w.ask(t, validation.Check{APIKey: key}).Limits[0].Remaining)
}
