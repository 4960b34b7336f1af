package metrics

import (
	"context"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/singleflight"
)

// Patience bounds what a scrape waits for the database and Redis: Prometheus
// would rather have the rest than nothing.
const Patience = 800 * time.Millisecond

// Set is all that one process tells.
type Set struct{ registry *prometheus.Registry }

// NewSet makes a set that tells of the Go runtime, of the process, and of which
// build of the program it is.
func NewSet(version string) *Set {
	s := &Set{prometheus.NewRegistry()}
	s.Register(
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(
			collectors.MetricsGC, collectors.MetricsScheduler, collectors.MetricsMemory)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.Add(func(_ context.Context, tell Tell) {
		revision, goversion := build()
		tell(BuildInfo, 1, version, revision, goversion)
	}, BuildInfo)
	return s
}

// build tells from which commit, and by which Go, the program was built; both are
// "unknown" where it does not say.
func build() (revision, goversion string) {
	revision, goversion = "unknown", "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return revision, goversion
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			revision = setting.Value
		}
	}
	return revision, info.GoVersion
}

// Register adds collectors. It panics where two tell the same.
func (s *Set) Register(list ...prometheus.Collector) { s.registry.MustRegister(list...) }

// Tell gives the value of a metric, and of its labels in their order.
type Tell func(m *Metric, value float64, labels ...string)

// Source tells its metrics, or those of them that it can find out before ctx ends.
type Source func(ctx context.Context, tell Tell)

// Add has a source asked at each scrape for the metrics named, and for no others.
// Scrapes that come while it is asked share the answer.
func (s *Set) Add(source Source, told ...*Metric) {
	s.Register(&asked{source: source, told: told})
}

// Gatherer gives what is told, for tests and tools.
func (s *Set) Gatherer() prometheus.Gatherer { return s.registry }

// Handler answers scrapes. What cannot be told is left out.
func (s *Set) Handler() http.Handler {
	return promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// asked makes a collector of a source.
type asked struct {
	source Source
	told   []*Metric
	flight singleflight.Group
}

// Describe names the metrics.
func (a *asked) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range a.told {
		ch <- m.desc
	}
}

// Collect asks the source, unless that is being done.
func (a *asked) Collect(ch chan<- prometheus.Metric) {
	answer, _, _ := a.flight.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		var list []prometheus.Metric
		a.source(ctx, func(m *Metric, value float64, labels ...string) {
			list = append(list, prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...))
		})
		return list, nil
	})
	for _, m := range answer.([]prometheus.Metric) {
		ch <- m
	}
}
