package validation

import (
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// Code says what was answered. New codes may appear.
type Code string

// The codes of an answer.
const (
	OK               Code = "ok"
	KeyMalformed     Code = "key_malformed"
	KeyUnknown       Code = "key_unknown"
	KeyRevoked       Code = "key_revoked"
	KeySuspended     Code = "key_suspended"
	KeyExpired       Code = "key_expired"
	PermissionDenied Code = "permission_denied"
	IPDenied         Code = "ip_denied"
	EndpointDenied   Code = "endpoint_denied"
	RateLimited      Code = "rate_limited"
	QuotaExceeded    Code = "quota_exceeded"
	CostExceedsLimit Code = "cost_exceeds_limit"
)

// Codes lists every code.
var Codes = []Code{
	OK, KeyMalformed, KeyUnknown, KeyRevoked, KeySuspended, KeyExpired,
	PermissionDenied, IPDenied, EndpointDenied, RateLimited, QuotaExceeded, CostExceedsLimit,
}

// Answer is what a check comes to.
type Answer struct {
	Allowed   bool
	Code      Code
	RequestID string
	At        time.Time // the instant decided at
	Degraded  bool      // decided without the store that all nodes share
	Replayed  bool      // the answer that the same check_id got before
	// RetryAfter is how long after At the same call is admitted if nothing else
	// is spent: zero unless a limit refused, ratelimit.Never where no waiting
	// helps, and a guess where no limit store could be asked.
	RetryAfter time.Duration
	Snapshot   *models.Snapshot // nil where no key was found
	Limits     []Limit
	Tightest   int // index in Limits of the enforced one nearest its limit, or -1
	// Settleable tells that what the check cost can be corrected later.
	Settleable bool
}

// Limit is what one rule said.
type Limit struct {
	Rule       *models.Rule
	Remaining  int64
	ResetAfter time.Duration
	RetryAfter time.Duration
	Denied     bool
	WouldDeny  bool      // a shadow rule would have refused
	Start      time.Time // of the window or period that the call counts in
}

func limitOf(rule *models.CompiledRule, result *ratelimit.Result) Limit {
	l := Limit{
		Rule: &rule.Rule, Remaining: result.Remaining, ResetAfter: result.ResetAfter,
		RetryAfter: result.RetryAfter, Denied: result.Denied, WouldDeny: result.WouldDeny, Start: result.Start,
	}
	if rule.Overage == models.OverageAllow {
		used := models.MaxFixedLimit - result.Remaining
		l.Remaining = max(0, rule.Limit-used)
	}
	return l
}

// code names a decision by the refusal that lasts longest.
func (a *Answer) code() Code {
	switch {
	case a.Allowed:
		return OK
	case a.RetryAfter == ratelimit.Never:
		return CostExceedsLimit
	case a.Tightest >= 0 && a.Limits[a.Tightest].Rule.Quota():
		return QuotaExceeded
	default:
		return RateLimited
	}
}
