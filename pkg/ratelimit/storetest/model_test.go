package storetest_test

import (
	"testing"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/storetest"
)

func TestModelKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, clock *storetest.Clock) ratelimit.Store {
		return storetest.NewModel(clock.Now)
	})
}
