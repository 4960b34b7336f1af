package models_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// snapshot has something in every field that a check looks at.
func snapshot() *models.Snapshot {
	limit := func(name string, limit int64, scope models.Scope) models.Rule {
		return models.Rule{Name: name, Limit: limit, Window: time.Minute, Scope: scope}
	}
	monthly := models.Rule{
		Name: "monthly", Limit: 1000, Period: models.PeriodMonth, Algorithm: ratelimit.FixedWindow,
		Scope: models.ScopeOwner, Overage: models.OverageAllow,
	}
	return &models.Snapshot{
		Key: models.APIKey{
			ID: "key-1", KeyspaceID: "ks-1", OwnerID: "own-1", Name: "Checkout", Environment: apikey.Live,
			ExpiresAt: at(time.Hour), SuspendedAt: at(-2), SuspendedUntil: at(-1), SuspendReason: "a reason",
			AllowedIPs: []string{"10.0.0.0/8", "2001:db8::/32"}, Permissions: []string{"orders:read"},
			Methods: []string{"GET", "POST"}, Endpoints: []string{"/v1/**"},
			Rules: []models.Rule{{
				Name: "burst", Limit: 5, Burst: 20, Window: time.Minute, Algorithm: ratelimit.GCRA, Scope: models.ScopeKey,
			}},
			Tags: []string{"eu"}, Metadata: map[string]string{"region": "eu"}, Version: 3, CreatedAt: noon, UpdatedAt: noon,
		},
		Secret:   models.Secret{ID: "sec-1", KeyID: "key-1", PepperID: "p", Mask: "viva_live_…wXyZ", ExpiresAt: at(time.Minute), CreatedAt: noon},
		Keyspace: models.Keyspace{ID: "ks-1", Name: "default", Prefix: "viva", Imported: true, Version: 4, CreatedAt: noon, UpdatedAt: noon},
		Owner: models.Owner{
			ID: "own-1", ExternalID: ptr("cust_42"), Name: "Ada", Email: "ada@example.com", PlanID: "pla-1", PlanVersion: ptr(2),
			Rules:    []models.Rule{limit("per-minute", 50, models.ScopeOwner)},
			TimeZone: "Europe/Berlin", AnchorDay: 15, Version: 5, CreatedAt: noon, UpdatedAt: noon,
		},
		Plan:        models.Plan{ID: "pla-1", Name: "pro", Current: 3, Version: 6, CreatedAt: noon, UpdatedAt: noon},
		PlanVersion: 2,
		PlanRules:   []models.Rule{limit("per-minute", 100, models.ScopeOwner), limit("per-key", 10, models.ScopeKey), monthly},
	}
}

func TestCompiledRulesCountWhomTheyShould(t *testing.T) {
	s := snapshot()
	require.NoError(t, s.Compile())
	limits := map[string]ratelimit.Rule{}
	var names []string
	for i := range s.Rules() {
		r := &s.Rules()[i]
		limits[r.Name], names = r.LimitAt(noon), append(names, r.Name)
	}
	require.Equal(t, []string{"per-minute", "per-key", "monthly", "burst"}, names)
	require.Equal(t, ratelimit.Rule{Scope: "owner", ID: "own-1", Name: "per-minute", Limit: 50, Window: time.Minute}, limits["per-minute"])
	require.Equal(t, ratelimit.Rule{Scope: "key", ID: "key-1", Name: "per-key", Limit: 10, Window: time.Minute}, limits["per-key"])
	require.Equal(t, ratelimit.Rule{
		Scope: "key", ID: "key-1", Name: "burst", Algorithm: ratelimit.GCRA, Limit: 5, Burst: 20, Window: time.Minute,
	}, limits["burst"])

	monthly := limits["monthly"]
	require.EqualValues(t, models.MaxFixedLimit, monthly.Limit, "beyond the quota is counted, not refused")
	require.Equal(t, instant(t, "2026-03-14T23:00:00Z"), monthly.Calendar.Current.Start, "the 15th in Berlin, in winter")
	require.Equal(t, instant(t, "2026-04-14T22:00:00Z"), monthly.Calendar.Current.End, "the 15th in Berlin, in summer")
	request := ratelimit.Request{Group: "own-1", Rules: []ratelimit.Rule{limits["per-minute"], limits["per-key"], limits["burst"], monthly}}
	require.NoError(t, request.Validate())
}

func TestCalendarFollowsTheClock(t *testing.T) {
	s := snapshot()
	require.NoError(t, s.Compile())
	quota := &s.Rules()[2]
	first := quota.LimitAt(noon).Calendar
	require.Same(t, first, quota.LimitAt(noon.Add(time.Hour)).Calendar, "a calendar serves its whole period")
	for _, now := range []time.Time{
		first.Current.Start, first.Current.End.Add(-1), first.Current.End, first.Next.End.Add(24 * time.Hour), first.Previous.Start,
	} {
		current := quota.LimitAt(now).Calendar.Current
		require.False(t, now.Before(current.Start), now)
		require.True(t, now.Before(current.End), now)
	}
}

func TestSnapshotIsSharedByManyChecks(t *testing.T) {
	s := snapshot()
	require.NoError(t, s.Compile())
	quota := &s.Rules()[2]
	var checks sync.WaitGroup
	for i := range 8 {
		checks.Go(func() {
			for n := range 200 {
				now := noon.AddDate(0, (i+n)%3, 0)
				c := quota.LimitAt(now).Calendar.Current
				if now.Before(c.Start) || !now.Before(c.End) {
					t.Errorf("%s is not in %s", now, c)
				}
				s.AllowsIP(netip.MustParseAddr("10.0.0.1"))
			}
		})
	}
	checks.Wait()
}

func TestSnapshotComesBackFromASharedCache(t *testing.T) {
	want := snapshot()
	require.NoError(t, want.Compile())
	data, err := want.Encode()
	require.NoError(t, err)
	got, err := models.DecodeSnapshot(data)
	require.NoError(t, err)

	require.Equal(t, want.Key, got.Key)
	require.Equal(t, want.Secret, got.Secret)
	require.Equal(t, want.Keyspace, got.Keyspace)
	require.Equal(t, want.Owner, got.Owner)
	require.Equal(t, want.Plan, got.Plan)
	require.Equal(t, want.PlanVersion, got.PlanVersion)
	require.Equal(t, want.Dependencies(), got.Dependencies())
	require.Len(t, got.Rules(), len(want.Rules()))
	for i := range want.Rules() {
		require.Equal(t, want.Rules()[i].Rule, got.Rules()[i].Rule)
		require.Equal(t, want.Rules()[i].LimitAt(noon), got.Rules()[i].LimitAt(noon))
	}
	for _, now := range []time.Time{noon, noon.Add(time.Minute), noon.Add(-2), noon.Add(2 * time.Hour)} {
		require.Equal(t, want.Status(now), got.Status(now))
	}
	for _, ip := range []string{"10.1.2.3", "11.0.0.1", "2001:db8::1"} {
		require.Equal(t, want.AllowsIP(netip.MustParseAddr(ip)), got.AllowsIP(netip.MustParseAddr(ip)), ip)
	}
	require.True(t, got.AllowsEndpoint("GET", "/v1/x"))
	require.False(t, got.AllowsEndpoint("PUT", "/v1/x"))
}

func TestSnapshotThatNoLongerCompiles(t *testing.T) {
	for name, change := range map[string]func(s *models.Snapshot){
		"time zone":   func(s *models.Snapshot) { s.Owner.TimeZone = "Europe/Atlantis" },
		"allowed IPs": func(s *models.Snapshot) { s.Key.AllowedIPs = []string{"10.0.0.0/99"} },
	} {
		s := snapshot()
		change(s)
		require.ErrorContains(t, s.Compile(), name)
		data, err := s.Encode()
		require.NoError(t, err)
		_, err = models.DecodeSnapshot(data)
		require.ErrorContains(t, err, name)
	}
	for _, data := range []string{"", "{", `{"Key":7}`, `{"PlanRules":[{"algorithm":"none"}],"Owner":{"time_zone":"UTC"}}`} {
		_, err := models.DecodeSnapshot([]byte(data))
		require.Error(t, err, data)
	}
}

func TestSnapshotDependsOnAllItWasMadeFrom(t *testing.T) {
	s := snapshot()
	require.NoError(t, s.Compile())
	require.ElementsMatch(t, []models.Dependency{
		{Subject: "key:key-1", Version: 3}, {Subject: "keyspace:ks-1", Version: 4},
		{Subject: "owner:own-1", Version: 5}, {Subject: "plan:pla-1", Version: 6},
	}, s.Dependencies())
}

func TestAllowsIP(t *testing.T) {
	tests := []struct {
		allowed []string
		ip      string
		want    bool
	}{
		{nil, "", true},
		{nil, "203.0.113.9", true},
		{[]string{"10.0.0.0/8"}, "", false},
		{[]string{"10.0.0.0/8"}, "10.255.0.1", true},
		{[]string{"10.0.0.0/8"}, "11.0.0.1", false},
		{[]string{"10.0.0.0/8"}, "::ffff:10.0.0.1", true},
		{[]string{"10.0.0.0/8"}, "::ffff:11.0.0.1", false},
		{[]string{"::ffff:10.0.0.0/104"}, "10.0.0.1", true},
		{[]string{"::/0"}, "2001:db8::1", true},
		{[]string{"::/0"}, "10.0.0.1", false},
		{[]string{"192.0.2.1", "2001:db8::/32"}, "2001:db8:ffff::1", true},
		{[]string{"192.0.2.1", "2001:db8::/32"}, "192.0.2.1", true},
		{[]string{"192.0.2.1", "2001:db8::/32"}, "192.0.2.2", false},
	}
	for _, test := range tests {
		s := models.Snapshot{Key: models.APIKey{AllowedIPs: test.allowed}, Owner: models.Owner{TimeZone: "UTC", AnchorDay: 1}}
		s.Key.Normalize()
		require.NoError(t, s.Compile())
		var ip netip.Addr
		if test.ip != "" {
			ip = netip.MustParseAddr(test.ip)
		}
		require.Equal(t, test.want, s.AllowsIP(ip), "%v, %s", test.allowed, test.ip)
	}
}
