package metrics

import (
	"context"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/jobs"
)

// JobsMetrics are what [NewJobs] tells.
var JobsMetrics = []*Metric{JobsUp, Jobs, JobsOldestDue, QueueTasks, QueueLatency, QueuePaused}

// NewJobs tells of jobs and of the queues they stand in, as they are for all
// processes together: one scrape of any worker tells it all. Kinds are told of
// even where they have no job.
func NewJobs(overview func(context.Context) (jobs.Overview, error), kinds []models.JobKind) Source {
	return func(ctx context.Context, tell Tell) {
		o, err := overview(ctx)
		if err != nil {
			tell(JobsUp, 0)
			return
		}
		tell(JobsUp, 1)
		stats := make(map[models.JobKind]models.JobStats, len(kinds))
		for _, kind := range kinds {
			stats[kind] = models.JobStats{Kind: kind}
		}
		for _, k := range o.Kinds {
			stats[k.Kind] = k
		}
		for kind, k := range stats {
			tell(Jobs, float64(k.Waiting-k.Due), string(kind), "waiting")
			tell(Jobs, float64(k.Due), string(kind), "due")
			tell(Jobs, float64(k.Failed), string(kind), "failed")
			tell(JobsOldestDue, k.OldestDue.Seconds(), string(kind))
		}
		for i := range o.Queues {
			tellQueue(&o.Queues[i], tell)
		}
	}
}

func tellQueue(q *models.QueueState, tell Tell) {
	for state, n := range map[string]int{
		"pending": q.Pending, "active": q.Active, "scheduled": q.Scheduled, "retry": q.Retry, "archived": q.Archived,
	} {
		tell(QueueTasks, float64(n), q.Name, state)
	}
	tell(QueueLatency, q.Latency.Seconds(), q.Name)
	tell(QueuePaused, Truth(q.Paused), q.Name)
}

// Truth is 1 for what is so, and 0 for what is not.
func Truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
