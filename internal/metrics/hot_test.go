package metrics_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/metrics"
	"github.com/viva/rate-limiter/internal/services/validation"
)

func TestRequestsAreCountedByRouteAndStatus(t *testing.T) {
	set, requests := metrics.NewSet("test"), metrics.NewRequests()
	set.Register(requests)
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			for range 100 {
				requests.Began()
				requests.Ended("GET", fmt.Sprint("/api/v1/keys/:", i%2), 200+i%2, 1500*time.Microsecond)
			}
		})
	}
	callers.Wait()
	requests.Began()
	lines := scrape(t, set)
	for _, line := range []string{
		`viva_http_requests_total{method="GET",route="/api/v1/keys/:0",status="200"} 400`,
		`viva_http_requests_total{method="GET",route="/api/v1/keys/:1",status="201"} 400`,
		`viva_http_request_duration_seconds_bucket{method="GET",route="/api/v1/keys/:0",le="0.001"} 0`,
		`viva_http_request_duration_seconds_bucket{method="GET",route="/api/v1/keys/:0",le="0.002"} 400`,
		"viva_http_requests_in_flight 1",
	} {
		require.Contains(t, lines, line)
	}
}

func TestChecksAreCountedByCodeAndSomeTimed(t *testing.T) {
	began := time.Unix(1000, 0)
	set, checks := metrics.NewSet("test"), metrics.NewChecks(func() time.Time { return began.Add(30 * time.Microsecond) })
	set.Register(checks)
	for i := range 33 {
		checks.Checked(validation.OK, i < 2, began)
	}
	checks.Checked(validation.RateLimited, false, began)
	checks.Checked("a code that nobody listed", false, began)
	checks.LimitChecked(true)
	lines := scrape(t, set)
	for _, line := range []string{
		`viva_checks_total{code="ok"} 33`, `viva_checks_total{code="rate_limited"} 1`, `viva_checks_total{code="key_unknown"} 0`,
		"viva_checks_degraded_total 2", `viva_limits_checks_total{allowed="true"} 1`, `viva_limits_checks_total{allowed="false"} 0`,
		"viva_check_duration_seconds_count 4", // the first, 17th and 33rd of one code, and the first of the other
		`viva_check_duration_seconds_bucket{le="2e-05"} 0`, `viva_check_duration_seconds_bucket{le="5e-05"} 4`,
	} {
		require.Contains(t, lines, line)
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	requests, checks := metrics.NewRequests(), metrics.NewChecks(time.Now)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		requests.Began()
		checks.Checked(validation.OK, false, time.Time{})
		requests.Ended("POST", "/api/v1/validate", 200, time.Millisecond)
	}))
}

// BenchmarkCheck is all that metrics cost one check over HTTP, but for the cache's
// own counting.
func BenchmarkCheck(b *testing.B) {
	requests, checks := metrics.NewRequests(), metrics.NewChecks(time.Now)
	began := time.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			requests.Began()
			checks.Checked(validation.OK, false, began)
			requests.Ended("POST", "/api/v1/validate", 200, time.Millisecond)
		}
	})
}

// BenchmarkCheckOfABatch is what they cost a check among many.
func BenchmarkCheckOfABatch(b *testing.B) {
	checks := metrics.NewChecks(time.Now)
	began := time.Now()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			checks.Checked(validation.OK, false, began)
		}
	})
}
