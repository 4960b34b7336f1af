package validation

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// A check and its retry may come to nodes of different versions: these numbers
// never change.
func TestFingerprintsAreTheSameOnEveryNode(t *testing.T) {
	full := Check{
		Cost: 7, Keyspace: "default", Method: "POST", Endpoint: "/v1/orders", IP: netip.MustParseAddr("192.0.2.1"),
		Permissions: []string{"orders:read", "orders:write"},
	}
	require.Equal(t, uint64(0x9d98af829bf5da43), (&Check{}).fingerprint())
	require.Equal(t, uint64(0xdb98f98bdb707be6), full.fingerprint())
	require.Equal(t, uint64(0x190b86c62f37d226), (&LimitCheck{Cost: 1, Rules: []models.Rule{
		{Name: "per-minute", Limit: 10, Window: time.Minute},
		{Name: "monthly", Limit: 100, Period: models.PeriodMonth, Algorithm: ratelimit.FixedWindow, Overage: models.OverageAllow, Shadow: true},
	}}).fingerprint())
}

func TestFingerprintsTellChecksApart(t *testing.T) {
	checks := []Check{
		{}, {Cost: 1}, {Keyspace: "a"}, {Method: "a"}, {Endpoint: "a"}, {IP: netip.MustParseAddr("::1")},
		{Permissions: []string{"a"}}, {Permissions: []string{"a", "b"}}, {Permissions: []string{"ab"}},
		{Permissions: []string{"b", "a"}}, {Method: "a", Endpoint: "b"}, {Method: "ab"}, {Keyspace: "ab"},
	}
	seen := map[uint64]Check{}
	for _, c := range checks {
		f := c.fingerprint()
		require.NotContains(t, seen, f, "%+v", c)
		seen[f] = c
	}
	a, b := Check{RequestID: "1", APIKey: "x"}, Check{RequestID: "2", APIKey: "y"}
	require.Equal(t, a.fingerprint(), b.fingerprint(), "what is asked counts, not who asks")
}
