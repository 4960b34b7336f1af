package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/viva/rate-limiter/internal/services/validation"
)

// LimitStore counts how the shared limit store answers.
type LimitStore struct {
	now      func() time.Time
	took     prometheus.Histogram
	failures map[validation.Failure]prometheus.Counter

	mu    sync.Mutex
	since time.Time     // when it went out of reach; zero while it is in reach
	ended time.Duration // how long the outages before that lasted
}

// NewLimitStore has the set tell of the store.
func NewLimitStore(s *Set, now func() time.Time) *LimitStore {
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "viva_limit_store_failures_total",
		Help: "Takes that did without the shared limit store: it gave no answer in time (timeout), failed (error), " +
			"had no room (full), or was not asked because it had failed (breaker_open).",
	}, []string{"reason"})
	l := &LimitStore{
		now: now, failures: make(map[validation.Failure]prometheus.Counter, len(validation.Failures)),
		took: prometheus.NewHistogram(histogram("viva_limit_store_duration_seconds",
			"How long a take through the shared limit store lasted, answered or not.", steps(50*time.Microsecond, 100*time.Millisecond))),
	}
	for _, reason := range validation.Failures {
		l.failures[reason] = failures.WithLabelValues(string(reason))
	}
	s.Register(failures, l.took)
	s.Add(l.tell, BreakerOpen, StoreDegraded)
	return l
}

// Taken is told of each take: how long it lasted, and why it had to do without
// the store, if so.
func (l *LimitStore) Taken(took time.Duration, failure validation.Failure) {
	if failure != validation.FailureBreakerOpen {
		l.took.Observe(took.Seconds())
	}
	if failure != "" {
		l.failures[failure].Inc()
	}
}

// Changed is told when the store goes out of reach and comes back.
func (l *LimitStore) Changed(reachable bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch now := l.now(); {
	case !reachable && l.since.IsZero():
		l.since = now
	case reachable && !l.since.IsZero():
		l.ended, l.since = l.ended+now.Sub(l.since), time.Time{}
	}
}

func (l *LimitStore) tell(_ context.Context, tell Tell) {
	l.mu.Lock()
	defer l.mu.Unlock()
	open, degraded := 0., l.ended
	if !l.since.IsZero() {
		open, degraded = 1, degraded+l.now().Sub(l.since)
	}
	tell(BreakerOpen, open)
	tell(StoreDegraded, degraded.Seconds())
}
