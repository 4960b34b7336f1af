package metrics_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/metrics"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/jobs"
)

func TestJobsAreToldAndTheirAbsenceToo(t *testing.T) {
	var failure error
	handler := metrics.Handler(metrics.NewJobs(func(context.Context) (jobs.Overview, error) {
		return jobs.Overview{
			Kinds: []models.JobStats{{Kind: models.JobAlertCheck, Waiting: 5, Due: 3, Failed: 2, OldestDue: 1500 * time.Millisecond}},
			Queues: []models.QueueState{
				{Name: "critical", Pending: 4, Active: 1, Archived: 7, Processed: 30, Failed: 10, Latency: 2 * time.Second, Paused: true},
			},
		}, failure
	}))
	scrape := func() string {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		require.Equal(t, 200, recorder.Code)
		return recorder.Body.String()
	}
	text := scrape()
	for _, line := range []string{
		"viva_jobs_up 1",
		`viva_jobs{kind="alert:check",state="due"} 3`,
		`viva_jobs{kind="alert:check",state="failed"} 2`,
		`viva_jobs{kind="alert:check",state="waiting"} 2`,
		`viva_jobs_oldest_due_seconds{kind="alert:check"} 1.5`,
		`viva_queue_tasks{queue="critical",state="pending"} 4`,
		`viva_queue_tasks{queue="critical",state="archived"} 7`,
		`viva_queue_latency_seconds{queue="critical"} 2`,
		`viva_queue_paused{queue="critical"} 1`,
		`viva_queue_runs_today{queue="critical",result="done"} 20`,
		`viva_queue_runs_today{queue="critical",result="failed"} 10`,
	} {
		require.Contains(t, text, line+"\n")
	}
	require.Contains(t, text, "go_goroutines ")
	failure = errors.New("away")
	text = scrape()
	require.Contains(t, text, "viva_jobs_up 0\n")
	require.NotContains(t, text, "viva_queue_tasks{")
}
