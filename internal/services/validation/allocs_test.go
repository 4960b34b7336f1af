//go:build !race

package validation_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// The race detector makes sync.Pool forget at random, so this counts without it.
func TestAChecksAllocations(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "owner", func(s *models.Snapshot) {
		s.Key.AllowedIPs, s.Key.Permissions = []string{"10.0.0.0/8"}, []string{"orders:read"}
		s.Key.Endpoints = []string{"/v1/**"}
	}, perMinute(models.MaxSlidingLimit), monthly(models.MaxFixedLimit, models.OverageBlock))
	service := validation.New(validation.Deps{
		Keys: fixed{w.keys.directory, w.keys.known[apikey.Sum(key)]}, Limits: w.limits, Stated: w.limits, Recorder: dropped{}, Now: w.clock.Now,
	})
	revoked := *w.keys.known[apikey.Sum(key)]
	now := w.clock.Now()
	revoked.Key.RevokedAt = &now
	refusing := validation.New(validation.Deps{
		Keys: fixed{w.keys.directory, &revoked}, Limits: w.limits, Stated: w.limits, Recorder: dropped{}, Now: w.clock.Now,
	})
	check := validation.Check{
		APIKey: key, Cost: 1, Method: "GET", Endpoint: "/v1/orders/7", IP: netip.MustParseAddr("10.1.2.3"),
	}
	count := func(service *validation.Service) float64 {
		return testing.AllocsPerRun(1_000, func() {
			if _, err := service.Validate(t.Context(), &check); err != nil {
				t.Fatal(err)
			}
		})
	}
	require.LessOrEqual(t, count(service), 1.0, "the limits of the answer")
	require.Zero(t, count(refusing), "a refusal before the limits")
	check.Permissions = []string{"orders:read"}
	require.LessOrEqual(t, count(service), 2.0, "with permissions")
	check.APIKey = key[1:]
	require.LessOrEqual(t, count(service), 1.0, "garbage")
}
