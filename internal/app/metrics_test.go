package app

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/testenv"
)

// scrape asks as Prometheus does, without a token, and gives values by name and
// labels.
func (p *process) scrape() map[string]float64 {
	p.t.Helper()
	url := p.URL()
	if p.scraped != nil {
		url = "http://" + p.scraped.Addr().String()
	}
	status, values := p.scrapeAt(url)
	require.Equal(p.t, http.StatusOK, status)
	return values
}

func (p *process) scrapeAt(url string) (status int, values map[string]float64) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, url+"/metrics", http.NoBody)
	require.NoError(p.t, err)
	response, err := p.client.Do(request)
	require.NoError(p.t, err)
	defer response.Body.Close()
	values = map[string]float64{}
	if response.StatusCode != http.StatusOK {
		return response.StatusCode, values
	}
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if name, value, ok := cutLast(lines.Text(), " "); ok && !strings.HasPrefix(name, "#") {
			values[name], err = strconv.ParseFloat(value, 64)
			require.NoError(p.t, err, lines.Text())
		}
	}
	return response.StatusCode, values
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func TestMetricsCountWhatHappens(t *testing.T) {
	p := run(t, config.RoleServe)
	key := p.do("POST", "/api/v1/keys", object{"name": "k", "rules": []object{{"name": "r", "limit": 2, "window": "1h"}}})
	secret := key["secret"].(string)
	for range 3 {
		p.check(secret)
	}
	p.do("POST", "/api/v1/limits/check", object{
		"namespace": "n", "identifier": "i", "rules": []object{{"name": "r", "limit": 2, "window": "1h"}},
	})
	valid := p.token
	p.token = "wrong"
	status, _ := p.call("GET", "/api/v1/keys", nil)
	require.Equal(t, http.StatusUnauthorized, status)
	p.token = valid

	require.Eventually(t, func() bool { return p.scrape()["viva_ingest_records_total"] == 4 }, 10*time.Second, 20*time.Millisecond)
	got := p.scrape()
	for name, want := range map[string]float64{
		`viva_checks_total{code="ok"}`: 2, `viva_checks_total{code="rate_limited"}`: 1, "viva_checks_degraded_total": 0,
		"viva_check_duration_seconds_count": 2, `viva_limits_checks_total{allowed="true"}`: 1,
		`viva_http_requests_total{method="POST",route="/api/v1/validate",status="200"}`: 3,
		`viva_http_requests_total{method="GET",route="/api/v1/keys",status="401"}`:      1,
		"viva_http_requests_in_flight": 1, "viva_authentication_failures_total": 1,
		`viva_key_cache_lookups_total{result="hit"}`: 2, `viva_key_cache_lookups_total{result="miss"}`: 1,
		`viva_key_cache_loads_total{result="found",source="database"}`: 1, `viva_key_cache_entries{kind="keys"}`: 1,
		`viva_limit_memory_capacity_entries{store="limits_check"}`: 1_000_000, `viva_limit_memory_entries{store="limits_check"}`: 1,
		"viva_journal_records_total": 4, "viva_ingest_lag_records": 0, "viva_ingest_lag_seconds": 0, "viva_ingest_lost_records_total": 0,
		"viva_ingest_undrained_streams": 0, "viva_jobs_up": 1, `viva_jobs{kind="notify:deliver",state="failed"}`: 0,
		`viva_dependency_up{dependency="database"}`: 1, `viva_dependency_up{dependency="queue"}`: 1,
		`viva_alerts{kind="quota",state="active"}`: 0, `viva_deliveries{state="failed"}`: 0,
		`viva_destinations{state="failing",type="webhook"}`: 0, `viva_notification_attempts_total{result="delivered",type="webhook"}`: 0,
		`go_sql_max_open_connections{db_name="viva"}`: 20,
	} {
		value, told := got[name]
		require.True(t, told, name)
		require.InDelta(t, want, value, 0, name)
	}
	require.Less(t, got["viva_invalidations_heard_age_seconds"], 5.)
	require.Positive(t, got[`viva_limit_memory_entries{store="keys"}`])
	require.NotContains(t, got, "viva_limit_store_breaker_open", "there is no shared store")
}

func TestMetricsCanHaveAListenerOfTheirOwnOrNone(t *testing.T) {
	p := run(t, config.RoleServe, "VIVA_METRICS_ADDR=127.0.0.1:0")
	status, _ := p.scrapeAt(p.URL())
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, p.scrape(), "viva_http_requests_in_flight")
	_, _, err := open(t, config.RoleServe, "VIVA_METRICS_ADDR="+p.scraped.Addr().String())
	require.ErrorContains(t, err, "address already in use")

	off := run(t, config.RoleServe, "VIVA_METRICS_ENABLED=false")
	status, _ = off.scrapeAt(off.URL())
	require.Equal(t, http.StatusNotFound, status)
}

func TestMetricsTellOfOutages(t *testing.T) {
	t.Parallel()
	postgres, redis := testenv.StartProxy(t, testenv.Postgres(t)), testenv.StartProxy(t, testenv.Redis(t))
	p := run(t, config.RoleAPI, "VIVA_DATABASE_URL="+postgres.URL(), "VIVA_REDIS_URL="+redis.URL(), "VIVA_REDIS_NAMESPACE="+namespace(t),
		"VIVA_DATABASE_QUERY_TIMEOUT=1s", "VIVA_RATELIMIT_BREAKER_FAILURES=2")
	secret := p.do("POST", "/api/v1/keys", object{"name": "k", "rules": []object{{"name": "r", "limit": 9, "window": "1h"}}})["secret"].(string)
	require.Equal(t, true, p.check(secret)["allowed"])
	got := p.scrape()
	require.Zero(t, got["viva_limit_store_breaker_open"])
	require.Positive(t, got["viva_limit_store_duration_seconds_count"])
	require.InDelta(t, 1, got[`viva_dependency_up{dependency="redis"}`], 0)
	require.Contains(t, got, `viva_redis_pool_connections{client="limits",state="idle"}`)

	redis.Cut()
	require.Eventually(t, func() bool {
		require.Equal(t, true, p.check(secret)["degraded"])
		got = p.scrape()
		return got[`viva_limit_store_failures_total{reason="breaker_open"}`] > 0
	}, 20*time.Second, time.Millisecond)
	require.InDelta(t, 1, got["viva_limit_store_breaker_open"], 0)
	require.Positive(t, got["viva_limit_store_degraded_seconds_total"])
	require.Positive(t, got["viva_checks_degraded_total"])
	require.Zero(t, got[`viva_dependency_up{dependency="redis"}`])

	postgres.Blackhole()
	require.Equal(t, true, p.check(secret)["allowed"])
	require.Eventually(t, func() bool {
		began := time.Now()
		got = p.scrape()
		require.Less(t, time.Since(began), 5*time.Second, "a scrape waits for nobody for long")
		return got["viva_ingest_lag_records"] > 0 && got["viva_ingest_lag_seconds"] > 1 && got[`viva_ingest_batches_total{result="failed"}`] > 0
	}, 20*time.Second, 100*time.Millisecond)
	require.Zero(t, got[`viva_dependency_up{dependency="database"}`])
	postgres.Restore()
	redis.Restore()
	require.Eventually(t, func() bool {
		p.check(secret) // one of them finds out that Redis is back
		got = p.scrape()
		return got["viva_limit_store_breaker_open"] == 0 && got[`viva_dependency_up{dependency="redis"}`] == 1
	}, 20*time.Second, 50*time.Millisecond)
	require.Eventually(t, func() bool {
		got = p.scrape()
		return got["viva_ingest_lag_records"] == 0 && got["viva_ingest_lag_seconds"] == 0
	}, 20*time.Second, 100*time.Millisecond)
}
