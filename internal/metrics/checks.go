package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/viva/rate-limiter/internal/services/validation"
)

// timed is of how many checks with the same code one is timed: reading the clock
// costs more than all else that is done here.
const timed = 16

var (
	checksDone     = counter("viva_checks_total", "Checks decided by validate, validate/batch and authorize, by the code of their answer.", "code")
	checksDegraded = counter("viva_checks_degraded_total", "Of these, those decided without the shared limit store.")
	limitsChecked  = counter("viva_limits_checks_total", "Checks decided by limits/check.", "allowed")
)

// Checks counts checks as [validation.Observer].
type Checks struct {
	now              func() time.Time
	codes            map[validation.Code]*atomic.Int64
	degraded         atomic.Int64
	allowed, refused atomic.Int64 // of limits/check
	took             prometheus.Histogram
}

// NewChecks makes a counter of checks, whose clock is that of the checks.
func NewChecks(now func() time.Time) *Checks {
	c := &Checks{
		now: now, codes: make(map[validation.Code]*atomic.Int64, len(validation.Codes)),
		took: prometheus.NewHistogram(histogram("viva_check_duration_seconds",
			"How long it took to decide a check and to meter it, without HTTP: of one in 16 checks of each code, those of batches among them.",
			steps(5*time.Microsecond, 100*time.Millisecond))),
	}
	for _, code := range validation.Codes {
		c.codes[code] = new(atomic.Int64)
	}
	return c
}

// Checked is told of a check that was decided, and when that began.
func (c *Checks) Checked(code validation.Code, degraded bool, began time.Time) {
	if degraded {
		c.degraded.Add(1)
	}
	if n := c.codes[code]; n != nil && n.Add(1)%timed == 1 {
		c.took.Observe(c.now().Sub(began).Seconds())
	}
}

// LimitChecked is told of a check of stated limits.
func (c *Checks) LimitChecked(allowed bool) {
	if allowed {
		c.allowed.Add(1)
	} else {
		c.refused.Add(1)
	}
}

// Describe names the metrics.
func (c *Checks) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range []*Metric{checksDone, checksDegraded, limitsChecked} {
		ch <- m.desc
	}
	c.took.Describe(ch)
}

// Collect tells them.
func (c *Checks) Collect(ch chan<- prometheus.Metric) {
	tell := func(m *Metric, n *atomic.Int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(n.Load()), labels...)
	}
	for code, n := range c.codes {
		tell(checksDone, n, string(code))
	}
	tell(checksDegraded, &c.degraded)
	tell(limitsChecked, &c.allowed, "true")
	tell(limitsChecked, &c.refused, "false")
	c.took.Collect(ch)
}
