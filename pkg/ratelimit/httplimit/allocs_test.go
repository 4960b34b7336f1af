//go:build !race

// The race detector drops what a sync.Pool holds.

package httplimit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/httplimit"
)

func TestAllocations(t *testing.T) {
	for _, c := range costs {
		rule := perMinute
		rule.Limit, rule.Algorithm = c.limit, ratelimit.SlidingWindow
		config := httplimit.Config{Rules: rules(rule), OmitRateLimit: c.omit, OmitXRateLimit: c.omit}
		once := admit(t, config, request(c.addr))
		once()
		require.Equal(t, c.admits, once(), c.name)
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { once() }), c.allocs, c.name)
	}
}
