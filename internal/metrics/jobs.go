// Package metrics is what Prometheus is told.
//
// Floor F3. It may import models, services and the packages of floor F0.
package metrics

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/viva/rate-limiter/internal/services/jobs"
)

// scrapeTimeout bounds what a scrape waits for the database and Redis.
const scrapeTimeout = 5 * time.Second

// Handler answers scrapes with what the collectors tell, and with what the Go
// runtime and the system tell of the process. What cannot be told is left out.
func Handler(list ...prometheus.Collector) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	registry.MustRegister(list...)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

var (
	jobsUp     = prometheus.NewDesc("viva_jobs_up", "Whether the jobs could be asked for: 1 if so.", nil, nil)
	jobsCount  = prometheus.NewDesc("viva_jobs", "Jobs in the database: waiting for their time, due by now, or failed and given up.", []string{"kind", "state"}, nil)
	jobsOldest = prometheus.NewDesc("viva_jobs_oldest_due_seconds", "How long the oldest job that is due has been.", []string{"kind"}, nil)
	queueTasks = prometheus.NewDesc("viva_queue_tasks", "Tasks that stand in a queue.", []string{"queue", "state"}, nil)
	queueLate  = prometheus.NewDesc("viva_queue_latency_seconds", "How long the oldest task that is ready has been.", []string{"queue"}, nil)
	queueStill = prometheus.NewDesc("viva_queue_paused", "Whether an operator has paused the queue: 1 if so.", []string{"queue"}, nil)
	queueRuns  = prometheus.NewDesc("viva_queue_runs_today", "Runs since midnight UTC, and those of them that failed.", []string{"queue", "result"}, nil)
)

// Jobs tells of jobs and of the queues they stand in, as they are for all
// processes together: one scrape of any worker tells it all.
type Jobs struct {
	overview func(context.Context) (jobs.Overview, error)
}

// NewJobs makes a collector that asks overview at each scrape.
func NewJobs(overview func(context.Context) (jobs.Overview, error)) Jobs { return Jobs{overview} }

// Describe names the metrics.
func (Jobs) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{jobsUp, jobsCount, jobsOldest, queueTasks, queueLate, queueStill, queueRuns} {
		ch <- d
	}
}

// Collect asks how jobs and queues are.
func (j Jobs) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	o, err := j.overview(ctx)
	if err != nil {
		gauge(jobsUp, 0)
		return
	}
	gauge(jobsUp, 1)
	for i := range o.Kinds {
		k := &o.Kinds[i]
		kind := string(k.Kind)
		gauge(jobsCount, float64(k.Waiting-k.Due), kind, "waiting")
		gauge(jobsCount, float64(k.Due), kind, "due")
		gauge(jobsCount, float64(k.Failed), kind, "failed")
		gauge(jobsOldest, k.OldestDue.Seconds(), kind)
	}
	for i := range o.Queues {
		q := &o.Queues[i]
		for state, n := range map[string]int{
			"pending": q.Pending, "active": q.Active, "scheduled": q.Scheduled, "retry": q.Retry, "archived": q.Archived,
		} {
			gauge(queueTasks, float64(n), q.Name, state)
		}
		gauge(queueLate, q.Latency.Seconds(), q.Name)
		gauge(queueRuns, float64(q.Processed-q.Failed), q.Name, "done")
		gauge(queueRuns, float64(q.Failed), q.Name, "failed")
		paused := 0.
		if q.Paused {
			paused = 1
		}
		gauge(queueStill, paused, q.Name)
	}
}
