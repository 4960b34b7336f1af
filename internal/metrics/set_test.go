package metrics_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/metrics"
	"github.com/viva/rate-limiter/internal/services/validation"
)

func TestASetTellsWhichBuildThisIs(t *testing.T) {
	text := strings.Join(scrape(t, metrics.NewSet("1.2.3")), "\n")
	require.Regexp(t, `viva_build_info\{goversion="go1[^"]+",revision="[^"]+",version="1.2.3"\} 1\n`, text)
	for _, name := range []string{"go_goroutines ", "go_gc_pauses_seconds_count ", "go_sched_latencies_seconds_count ", "process_open_fds "} {
		require.Contains(t, text, "\n"+name)
	}
}

func TestScrapesAtTheSameTimeAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		set := metrics.NewSet("test")
		set.Add(func(ctx context.Context, tell metrics.Tell) {
			asked++
			tell(metrics.UndrainedStreams, float64(asked))
			<-ctx.Done() // as of a database that hangs
		}, metrics.UndrainedStreams, metrics.UsageCompleteAge)
		began := time.Now()
		told := make(chan *httptest.ResponseRecorder)
		for range 5 {
			go func() { told <- answer(t.Context(), set) }()
		}
		for range 5 {
			lines := linesOf(t, <-told)
			require.Contains(t, lines, "viva_ingest_undrained_streams 1")
			require.NotContains(t, strings.Join(lines, "\n"), "viva_usage_complete_age_seconds ", "what is not told in time is left out")
		}
		require.Equal(t, metrics.Patience, time.Since(began))
		require.Contains(t, scrape(t, set), "viva_ingest_undrained_streams 2")
	})
}

func TestWhatIsBroughtInIsCounted(t *testing.T) {
	set := metrics.NewSet("test")
	ingest := metrics.NewIngest(set)
	ingest.Batch(30*time.Millisecond, nil)
	ingest.Brought(700, 2, 1)
	ingest.Batch(time.Second, errors.New("away"))
	lines := scrape(t, set)
	for _, line := range []string{
		"viva_ingest_records_total 700", "viva_ingest_lost_records_total 2", "viva_ingest_rejected_records_total 1",
		`viva_ingest_batches_total{result="done"} 1`, `viva_ingest_batches_total{result="failed"} 1`,
		`viva_ingest_batch_duration_seconds_bucket{le="0.02"} 0`, `viva_ingest_batch_duration_seconds_bucket{le="0.05"} 1`,
		`viva_ingest_batch_duration_seconds_bucket{le="60"} 2`,
	} {
		require.Contains(t, lines, line)
	}
}

func TestWorkIsToldBeforeItHappens(t *testing.T) {
	set := metrics.NewSet("test")
	runs, attempts := metrics.NewRuns(set, []string{"alert:check", "key:expire"}), metrics.NewAttempts(set, []string{"webhook"})
	runs.Ended("alert:check", "retried", 3*time.Second)
	attempts.Ended("webhook", "delivered", 7*time.Millisecond)
	lines := scrape(t, set)
	for _, line := range []string{
		`viva_job_runs_total{kind="alert:check",result="retried"} 1`, `viva_job_runs_total{kind="key:expire",result="failed"} 0`,
		`viva_job_duration_seconds_bucket{kind="alert:check",le="2"} 0`, `viva_job_duration_seconds_bucket{kind="alert:check",le="600"} 1`,
		`viva_job_duration_seconds_count{kind="key:expire"} 0`,
		`viva_notification_attempts_total{result="delivered",type="webhook"} 1`, `viva_notification_attempts_total{result="retry",type="webhook"} 0`,
		`viva_notification_attempt_duration_seconds_bucket{type="webhook",le="0.005"} 0`,
		`viva_notification_attempt_duration_seconds_bucket{type="webhook",le="0.01"} 1`,
	} {
		require.Contains(t, lines, line)
	}
}

func TestOutagesOfTheLimitStoreAddUp(t *testing.T) {
	now := time.Unix(1000, 0)
	set := metrics.NewSet("test")
	store := metrics.NewLimitStore(set, func() time.Time { return now })
	pass := func(d time.Duration) { now = now.Add(d) }
	require.Contains(t, scrape(t, set), "viva_limit_store_breaker_open 0")
	store.Taken(300*time.Microsecond, "")
	store.Taken(50*time.Millisecond, validation.FailureTimeout)
	store.Changed(false)
	pass(2 * time.Second)
	store.Changed(false)
	store.Taken(0, validation.FailureBreakerOpen)
	lines := scrape(t, set)
	for _, line := range []string{
		"viva_limit_store_breaker_open 1", "viva_limit_store_degraded_seconds_total 2",
		`viva_limit_store_failures_total{reason="timeout"} 1`, `viva_limit_store_failures_total{reason="breaker_open"} 1`,
		`viva_limit_store_failures_total{reason="error"} 0`, `viva_limit_store_failures_total{reason="full"} 0`,
		`viva_limit_store_duration_seconds_bucket{le="0.0005"} 1`, "viva_limit_store_duration_seconds_count 2",
	} {
		require.Contains(t, lines, line)
	}
	pass(time.Second)
	store.Changed(true)
	pass(time.Hour)
	store.Changed(false)
	pass(500 * time.Millisecond)
	require.Contains(t, scrape(t, set), "viva_limit_store_degraded_seconds_total 3.5")
}
