package ratelimit_test

import (
	"testing"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/storetest"
)

func TestMemoryIsLinearizable(t *testing.T) {
	storetest.Linearizable(t, 100, func(_ *testing.T, now func() time.Time) []ratelimit.Store {
		return []ratelimit.Store{ratelimit.NewMemory(ratelimit.WithClock(now))}
	})
}
