package controllers

import (
	"net/http"
	"strconv"
	"time"

	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/httplimit"
)

// limitHeaders are the rate-limit headers of an answer, empty where there is
// nothing to say: RateLimit-Policy and RateLimit as structured fields of
// draft-ietf-httpapi-ratelimit-headers-10, X-RateLimit-… of the tightest rule,
// and Retry-After. Seconds are rounded up, so that waiting so long is long
// enough. As in package httplimit, the policy of a GCRA rule is its rate, and
// its X-RateLimit-Limit the burst.
type limitHeaders struct {
	policy, limit, retryAfter  []byte
	tightest, remaining, reset []byte
	scratch                    [256]byte
}

// of writes the headers of an answer. Shadow rules refuse nothing, and are
// left out.
func (h *limitHeaders) of(a *validation.Answer) {
	b := h.scratch[:0]
	b = appendPolicies(b, a.Limits)
	policyEnd := len(b)
	b = appendLimits(b, a.Limits)
	limitEnd := len(b)
	if !a.Allowed && a.RetryAfter > 0 {
		b = strconv.AppendInt(b, seconds(a.RetryAfter), 10)
	}
	retryEnd := len(b)
	remainingStart, resetStart := retryEnd, retryEnd
	if a.Tightest >= 0 {
		t := &a.Limits[a.Tightest]
		b = strconv.AppendInt(b, t.Rule.Capacity(), 10)
		remainingStart = len(b)
		b = strconv.AppendInt(b, t.Remaining, 10)
		resetStart = len(b)
		b = strconv.AppendInt(b, epoch(a.At.Add(t.ResetAfter)), 10)
	}
	h.policy, h.limit, h.retryAfter = b[:policyEnd], b[policyEnd:limitEnd], b[limitEnd:retryEnd]
	h.tightest, h.remaining, h.reset = b[retryEnd:remainingStart], b[remainingStart:resetStart], b[resetStart:]
}

// limitHeader is one of them; an empty value is none.
type limitHeader struct {
	name  string
	value []byte
}

// all gives the headers in the order of their names.
func (h *limitHeaders) all() [6]limitHeader {
	return [...]limitHeader{
		{"RateLimit", h.limit}, {"RateLimit-Policy", h.policy}, {"Retry-After", h.retryAfter},
		{"X-RateLimit-Limit", h.tightest}, {"X-RateLimit-Remaining", h.remaining}, {"X-RateLimit-Reset", h.reset},
	}
}

// set sets them on an HTTP answer.
func (h *limitHeaders) set(header http.Header) {
	for _, each := range h.all() {
		if len(each.value) > 0 {
			header.Set(each.name, string(each.value))
		}
	}
}

// appendPolicies writes the members of RateLimit-Policy.
func appendPolicies(b []byte, limits []validation.Limit) []byte {
	separator := ""
	for i := range limits {
		if rule := limits[i].Rule; !rule.Shadow {
			b = append(b, separator...)
			b = httplimit.AppendPolicy(b, rule.Name, rule.Limit, rule.Burst, rule.Window)
			separator = ", "
		}
	}
	return b
}

// appendLimits writes the members of RateLimit.
func appendLimits(b []byte, limits []validation.Limit) []byte {
	separator := ""
	for i := range limits {
		if l := &limits[i]; !l.Rule.Shadow {
			b = append(b, separator...)
			b = httplimit.AppendLimit(b, l.Rule.Name, l.Remaining, l.ResetAfter)
			separator = ", "
		}
	}
	return b
}

func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

func epoch(t time.Time) int64 {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return s
}

// retryMilliseconds is 0 where there is nothing to wait for, or no use in it.
func retryMilliseconds(d time.Duration) int64 {
	if d == ratelimit.Never {
		return 0
	}
	return milliseconds(d)
}
