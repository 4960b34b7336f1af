package httplimit

import (
	"net/http"
	"strconv"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// SetHeaders tells a client what was decided: RateLimit-Policy and RateLimit
// for every enforced rule, X-RateLimit-Limit, -Remaining and -Reset for the
// tightest one, and Retry-After if waiting turns the refusal into an admission.
//
// Where a limiter further out has set them already, the two lists are added to
// and the tighter X-RateLimit headers stay.
func SetHeaders(h http.Header, dec *ratelimit.Decision) { setHeaders(h, dec, true, true) }

// The headers in the order in which they are written, in the form that
// http.Header keys have.
const (
	policyHeader = iota
	limitHeader
	retryHeader
	tightestHeader
	remainingHeader
	resetHeader
	headers
)

var headerNames = [headers]string{
	"Ratelimit-Policy", "Ratelimit", "Retry-After", "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset",
}

func setHeaders(h http.Header, dec *ratelimit.Decision, fields, legacy bool) {
	var scratch [384]byte
	var ends [headers]int
	b := scratch[:0]
	if fields {
		b = appendPolicies(b, dec.Results)
		ends[policyHeader] = len(b)
		b = appendLimits(b, dec.Results)
		ends[limitHeader] = len(b)
	}
	if wait := dec.RetryAfter(); !dec.Allowed && wait > 0 {
		b = strconv.AppendInt(b, seconds(wait), 10)
		ends[retryHeader] = len(b)
	}
	if r := dec.Tightest(); legacy && r != nil && (!dec.Allowed || !tighterSet(h, r.Remaining)) {
		b = strconv.AppendInt(b, capacity(r.Rule), 10)
		ends[tightestHeader] = len(b)
		b = strconv.AppendInt(b, r.Remaining, 10)
		ends[remainingHeader] = len(b)
		b = strconv.AppendInt(b, epoch(dec.At.Add(r.ResetAfter)), 10)
		ends[resetHeader] = len(b)
	}
	if len(b) == 0 {
		return
	}
	// One string and one slice hold them all.
	text, lines := string(b), make([]string, headers)
	start := 0
	for i, end := range ends {
		if end <= start {
			continue
		}
		lines[i] = text[start:end]
		start = end
		name := headerNames[i]
		if set := h[name]; len(set) > 0 && i <= limitHeader {
			h[name] = append(set, lines[i])
		} else {
			h[name] = lines[i : i+1 : i+1]
		}
	}
}

func appendPolicies(b []byte, results []ratelimit.Result) []byte {
	separator := ""
	for i := range results {
		if rule := results[i].Rule; !rule.Shadow {
			b = append(b, separator...)
			b = AppendPolicy(b, rule.Name, rule.Limit, rule.Burst, rule.Window)
			separator = ", "
		}
	}
	return b
}

func appendLimits(b []byte, results []ratelimit.Result) []byte {
	separator := ""
	for i := range results {
		if r := &results[i]; !r.Rule.Shadow {
			b = append(b, separator...)
			b = AppendLimit(b, r.Rule.Name, r.Remaining, r.ResetAfter)
			separator = ", "
		}
	}
	return b
}

// tighterSet tells whether a limiter further out has less left.
func tighterSet(h http.Header, remaining int64) bool {
	set := h[headerNames[remainingHeader]]
	if len(set) != 1 {
		return false
	}
	theirs, err := strconv.ParseInt(set[0], 10, 64)
	return err == nil && theirs <= remaining
}

// capacity is the most that can remain of a rule.
func capacity(rule *ratelimit.Rule) int64 {
	if rule.Algorithm == ratelimit.GCRA && rule.Burst > 0 {
		return rule.Burst
	}
	return rule.Limit
}

func epoch(t time.Time) int64 {
	whole := t.Unix()
	if t.Nanosecond() > 0 {
		whole++
	}
	return whole
}
