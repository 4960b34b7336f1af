package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Ingest counts what is brought from the journal into the database.
type Ingest struct {
	records, lost, rejected prometheus.Counter
	done, failed            prometheus.Counter
	took                    prometheus.Histogram
}

// NewIngest has the set tell of it.
func NewIngest(s *Set) *Ingest {
	count := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		s.Register(c)
		return c
	}
	batches := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "viva_ingest_batches_total", Help: "Batches of records brought into the database, and attempts that failed.",
	}, []string{"result"})
	i := &Ingest{
		records:  count("viva_ingest_records_total", "Records brought into the database."),
		lost:     count("viva_ingest_lost_records_total", "Records found to be missing in the journal."),
		rejected: count("viva_ingest_rejected_records_total", "Records that the database refused, wholly or in part, and that are set aside."),
		done:     batches.WithLabelValues("done"), failed: batches.WithLabelValues("failed"),
		took: prometheus.NewHistogram(histogram("viva_ingest_batch_duration_seconds",
			"How long a batch of records took, brought in or not.", steps(time.Millisecond, time.Minute))),
	}
	s.Register(batches, i.took)
	return i
}

// Batch is told of an attempt to bring in a batch.
func (i *Ingest) Batch(took time.Duration, err error) {
	i.took.Observe(took.Seconds())
	if err != nil {
		i.failed.Inc()
	} else {
		i.done.Inc()
	}
}

// Brought is told how many records a transaction has brought in, how many before
// them were missing, and how many of them are set aside.
func (i *Ingest) Brought(records, lost, rejected int64) {
	i.records.Add(float64(records))
	i.lost.Add(float64(lost))
	i.rejected.Add(float64(rejected))
}

// Work counts attempts at something by its kind, and how they ended.
type Work struct {
	count *prometheus.CounterVec
	took  *prometheus.HistogramVec
}

// NewRuns has the set tell of the runs of jobs, of the kinds named from the start.
func NewRuns(s *Set, kinds []string) *Work {
	return newWork(s, "kind", kinds, []string{"done", "retried", "failed"}, steps(5*time.Millisecond, 10*time.Minute),
		prometheus.CounterOpts{
			Name: "viva_job_runs_total", Help: "Runs of jobs by this process: done, to be tried again, or failed for good.",
		}, "viva_job_duration_seconds", "How long runs of jobs by this process took.")
}

// NewAttempts has the set tell of the attempts to deliver notifications, to
// destinations of the types named from the start.
func NewAttempts(s *Set, types []string) *Work {
	return newWork(s, "type", types, []string{"delivered", "retry", "failed"}, steps(5*time.Millisecond, time.Minute),
		prometheus.CounterOpts{
			Name: "viva_notification_attempts_total",
			Help: "Attempts of this process to deliver notifications: delivered, to be tried again, or failed for good.",
		}, "viva_notification_attempt_duration_seconds", "How long attempts of this process to deliver notifications took.")
}

func newWork(s *Set, label string, kinds, results []string, buckets []float64, count prometheus.CounterOpts, took, help string) *Work {
	w := &Work{
		count: prometheus.NewCounterVec(count, []string{label, "result"}),
		took:  prometheus.NewHistogramVec(histogram(took, help, buckets), []string{label}),
	}
	// What has not happened yet is told as 0, so that its first time can be seen.
	for _, kind := range kinds {
		w.took.WithLabelValues(kind)
		for _, result := range results {
			w.count.WithLabelValues(kind, result)
		}
	}
	s.Register(w.count, w.took)
	return w
}

// Ended is told of an attempt.
func (w *Work) Ended(kind, result string, took time.Duration) {
	w.count.WithLabelValues(kind, result).Inc()
	w.took.WithLabelValues(kind).Observe(took.Seconds())
}
