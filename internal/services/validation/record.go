package validation

import (
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// describe makes the record of an answered check whose key was found.
func (t *take) describe(c *Check, a *Answer) {
	r := &t.record
	r.Kind, r.RequestID, r.At, r.Meter = models.RecordCheck, a.RequestID, a.At, models.MeterRequests
	r.Live = a.Snapshot.Key.Environment == apikey.Live
	r.Code, r.Allowed, r.Degraded, r.Replayed, r.Settle = string(a.Code), a.Allowed, a.Degraded, a.Replayed, a.Settleable
	r.Method, r.Endpoint, r.IP, r.UserAgent, r.Cost = c.Method, c.Endpoint, c.IP, c.UserAgent, c.Cost
	if a.Allowed {
		r.Units = c.Cost
	}
	if d := &t.decision; t.request.ID != "" && d.Nonce != 0 {
		// All who get this decision record it: it counts once.
		r.Once = models.EventIDOf("check", t.request.Group, "", d.At.UnixMicro(), int64(d.Nonce))
	}
	for i := range a.Limits {
		r.Limits = append(r.Limits, recorded(&a.Limits[i], c.Cost, a.Allowed, i == a.Tightest))
	}
}

func recorded(l *Limit, cost int64, allowed, tightest bool) models.RecordedLimit {
	r := models.RecordedLimit{
		Rule: l.Rule.Name, Scope: l.Rule.Scope, Limit: l.Rule.Capacity(), Remaining: l.Remaining,
		ResetAfterMS: milliseconds(l.ResetAfter), RetryAfterMS: milliseconds(l.RetryAfter),
		Denied: l.Denied, WouldDeny: l.WouldDeny, Tightest: tightest,
	}
	if l.RetryAfter == ratelimit.Never {
		r.RetryAfterMS = -1
	}
	if allowed && !l.WouldDeny {
		r.Spent = cost
	}
	if l.Rule.Quota() {
		r.Period, r.Start = l.Rule.Period, l.Start
	}
	return r
}

// milliseconds rounds up: what is waited for has come by then.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
