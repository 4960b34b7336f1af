package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// together runs ask from many goroutines at once and returns, for each, how
// often it was allowed and not as a replay.
func together(t *testing.T, goroutines, times int, ask func(goroutine, time int, dec *ratelimit.Decision) error) []int64 {
	var all sync.WaitGroup
	allowed := make([]int64, goroutines)
	failures := make([]error, goroutines)
	for g := range goroutines {
		all.Go(func() {
			var dec ratelimit.Decision
			for n := range times {
				err := ask(g, n, &dec)
				failures[g] = errors.Join(failures[g], err)
				if dec.Allowed && !dec.Replayed {
					allowed[g]++
				}
			}
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(failures...))
	return allowed
}

func total(counts []int64) (sum int64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

func concurrentOneRule(t *testing.T, s *subject) {
	for _, rule := range each(500, time.Minute) {
		allowed := together(t, 16, 50, func(_, _ int, dec *ratelimit.Decision) error {
			return s.store.Take(context.Background(), s.request(1, rule), dec)
		})
		require.Equal(t, int64(500), total(allowed))
	}
}

func concurrentSharedRules(t *testing.T, s *subject) {
	const keys, perKey, perOwner, burst = 5, 90, 300, 400
	owner := ratelimit.Rule{Scope: "owner", ID: "o1", Name: "shared", Limit: perOwner, Window: time.Hour}
	wide := ratelimit.Rule{Scope: "owner", ID: "o1", Name: "wide", Algorithm: ratelimit.FixedWindow, Limit: burst, Window: time.Minute}
	key := func(i int) ratelimit.Rule {
		return ratelimit.Rule{Scope: "key", ID: fmt.Sprint("k", i), Name: "own", Limit: perKey, Window: time.Minute}
	}
	allowed := together(t, 3*keys, 40, func(g, _ int, dec *ratelimit.Decision) error {
		return s.store.Take(context.Background(), s.request(1, key(g%keys), owner, wide), dec)
	})
	require.Equal(t, int64(perOwner), total(allowed))
	require.Equal(t, []int64{0, burst - perOwner}, s.remaining(owner, wide), "refused calls spend nothing")
	for i := range keys {
		spent := allowed[i] + allowed[i+keys] + allowed[i+2*keys]
		require.Equal(t, []int64{perKey - spent}, s.remaining(key(i)), "refused calls spend nothing")
	}
}

func concurrentOneID(t *testing.T, s *subject) {
	rule := fixed("a", 1000, time.Minute)
	allowed := together(t, 8, 25, func(_, n int, dec *ratelimit.Decision) error {
		return s.store.Take(context.Background(), s.identified(fmt.Sprint(n), 2, rule), dec)
	})
	require.Equal(t, int64(25), total(allowed))
	require.Equal(t, []int64{1000 - 2*25}, s.remaining(rule))
}
