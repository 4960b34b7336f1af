package metrics

import (
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Requests counts HTTP requests. They are counted by method, route and status, all
// of which have to be of a bounded number.
type Requests struct {
	inFlight atomic.Int64
	// seen is replaced, never changed: every request reads it.
	seen  atomic.Pointer[map[answered]*answers]
	mu    sync.Mutex // of who replaces it
	count *prometheus.CounterVec
	took  *prometheus.HistogramVec
	gauge prometheus.GaugeFunc
}

type answered struct {
	method, route string
	status        int
}

// answers are the counters of one kind of answer, found once.
type answers struct {
	count prometheus.Counter
	took  prometheus.Observer
}

// NewRequests makes a counter of requests.
func NewRequests() *Requests {
	r := &Requests{
		count: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "viva_http_requests_total", Help: "HTTP requests answered. The route none is that of requests for which there is none.",
		}, []string{"method", "route", "status"}),
		took: prometheus.NewHistogramVec(histogram("viva_http_request_duration_seconds",
			"How long HTTP requests took, from their headers to the end of the answer.", steps(50*time.Microsecond, 10*time.Second)),
			[]string{"method", "route"}),
	}
	r.gauge = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "viva_http_requests_in_flight", Help: "HTTP requests being answered.",
	}, func() float64 { return float64(r.inFlight.Load()) })
	r.seen.Store(&map[answered]*answers{})
	return r
}

// Began is told of a request that is going to be answered.
func (r *Requests) Began() { r.inFlight.Add(1) }

// Ended is told of one that was.
func (r *Requests) Ended(method, route string, status int, took time.Duration) {
	r.inFlight.Add(-1)
	answer := answered{method, route, status}
	to := (*r.seen.Load())[answer]
	if to == nil {
		to = r.meet(answer)
	}
	to.count.Inc()
	to.took.Observe(took.Seconds())
}

// meet finds the counters of an answer that is the first of its kind.
func (r *Requests) meet(a answered) *answers {
	r.mu.Lock()
	defer r.mu.Unlock()
	if to := (*r.seen.Load())[a]; to != nil {
		return to
	}
	to := &answers{r.count.WithLabelValues(a.method, a.route, strconv.Itoa(a.status)), r.took.WithLabelValues(a.method, a.route)}
	seen := maps.Clone(*r.seen.Load())
	seen[a] = to
	r.seen.Store(&seen)
	return to
}

// Describe names the metrics.
func (r *Requests) Describe(ch chan<- *prometheus.Desc) {
	r.count.Describe(ch)
	r.took.Describe(ch)
	r.gauge.Describe(ch)
}

// Collect tells them.
func (r *Requests) Collect(ch chan<- prometheus.Metric) {
	r.count.Collect(ch)
	r.took.Collect(ch)
	r.gauge.Collect(ch)
}
