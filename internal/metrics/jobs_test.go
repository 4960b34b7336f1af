package metrics_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/metrics"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/jobs"
)

// answer is what a set answers to a scrape.
func answer(ctx context.Context, set *metrics.Set) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	set.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil))
	return recorder
}

// linesOf gives the lines of an answer.
func linesOf(t *testing.T, answer *httptest.ResponseRecorder) []string {
	t.Helper()
	require.Equal(t, http.StatusOK, answer.Code)
	return strings.Split(answer.Body.String(), "\n")
}

// scrape gives the lines that a set tells.
func scrape(t *testing.T, set *metrics.Set) []string {
	t.Helper()
	return linesOf(t, answer(t.Context(), set))
}

func TestJobsAreToldAndTheirAbsenceToo(t *testing.T) {
	var failure error
	set := metrics.NewSet("test")
	set.Add(metrics.NewJobs(func(context.Context) (jobs.Overview, error) {
		return jobs.Overview{
			Kinds: []models.JobStats{{Kind: models.JobAlertCheck, Waiting: 5, Due: 3, Failed: 2, OldestDue: 1500 * time.Millisecond}},
			Queues: []models.QueueState{
				{Name: "critical", Pending: 4, Active: 1, Archived: 7, Latency: 2 * time.Second, Paused: true},
			},
		}, failure
	}, []models.JobKind{models.JobAlertCheck, models.JobNotifyPlan}), metrics.JobsMetrics...)
	lines := scrape(t, set)
	for _, line := range []string{
		"viva_jobs_up 1",
		`viva_jobs{kind="alert:check",state="due"} 3`,
		`viva_jobs{kind="alert:check",state="failed"} 2`,
		`viva_jobs{kind="alert:check",state="waiting"} 2`,
		`viva_jobs{kind="notify:plan",state="failed"} 0`,
		`viva_jobs_oldest_due_seconds{kind="alert:check"} 1.5`,
		`viva_queue_tasks{queue="critical",state="pending"} 4`,
		`viva_queue_tasks{queue="critical",state="archived"} 7`,
		`viva_queue_latency_seconds{queue="critical"} 2`,
		`viva_queue_paused{queue="critical"} 1`,
	} {
		require.Contains(t, lines, line)
	}
	failure = errors.New("away")
	lines = scrape(t, set)
	require.Contains(t, lines, "viva_jobs_up 0")
	require.NotContains(t, strings.Join(lines, "\n"), "viva_queue_tasks{")
}
