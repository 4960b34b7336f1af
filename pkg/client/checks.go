package client

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// Check asks whether the holder of a key may make a call; only APIKey is
// required.
type Check struct {
	APIKey   string `json:"api_key"`           // as its holder presented it
	Keyspace string `json:"keyspace,omitzero"` // id or name of the one the key must be of
	// CheckID makes the check safe to repeat: within 60 seconds the same id of
	// the same key gets the same answer and spends once.
	CheckID     string     `json:"check_id,omitzero"`
	Cost        *int64     `json:"cost,omitempty"`    // units; nil is 1, and 0 looks without spending
	Method      string     `json:"method,omitzero"`   // of the call
	Endpoint    string     `json:"endpoint,omitzero"` // what is called, without a query string
	IP          netip.Addr `json:"ip,omitzero"`       // where the call comes from
	UserAgent   string     `json:"user_agent,omitzero"`
	Permissions []string   `json:"permissions,omitempty"`
	Settle      bool       `json:"settle,omitzero"` // the cost is to be corrected afterwards
}

// Code says what a check came to. New codes may appear.
type Code string

// The codes of answers.
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

// Answer is what a check came to.
type Answer struct {
	Allowed   bool   `json:"allowed"`
	Code      Code   `json:"code"`
	RequestID string `json:"request_id"`        // names this check
	Degraded  bool   `json:"degraded"`          // decided without the store that all processes share
	Replayed  bool   `json:"replayed,omitzero"` // the answer that the same CheckID got before
	// Settleable tells that what the check cost can be corrected, for a time.
	Settleable bool `json:"settleable,omitzero"`
	// RetryAfterMS is when the same call is allowed if nothing else is spent, in
	// milliseconds; 0 where it is allowed, and where no waiting helps.
	RetryAfterMS int64 `json:"retry_after_ms,omitzero"`
	// Key is nil where none was found.
	Key    *CheckedKey    `json:"key,omitempty"`
	Limits []CheckedLimit `json:"limits"`
	// Headers are ready to copy into the answer to the caller.
	Headers map[string]string `json:"headers"`
	// Problem says, in a batch, why this check could not be decided.
	Problem *apierror.Problem `json:"problem,omitempty"`
}

// RetryAfter is RetryAfterMS as a duration.
func (a *Answer) RetryAfter() time.Duration { return time.Duration(a.RetryAfterMS) * time.Millisecond }

// CheckedKey is what an answer tells of the key.
type CheckedKey struct {
	ID          string             `json:"id"`
	Name        string             `json:"name"`
	Keyspace    string             `json:"keyspace"`
	Owner       string             `json:"owner"`
	Plan        string             `json:"plan"`
	Environment apikey.Environment `json:"environment"`
	Permissions []string           `json:"permissions,omitempty"`
	Metadata    map[string]string  `json:"metadata"`
}

// CheckedLimit is what one rule said. Durations are in milliseconds.
type CheckedLimit struct {
	Name         string `json:"name"`
	Limit        int64  `json:"limit"`                   // units in a window or period
	Burst        int64  `json:"burst,omitzero"`          // units at once; 0 unless the algorithm is GCRA
	Remaining    int64  `json:"remaining"`               // units that could be spent now
	ResetAfterMS int64  `json:"reset_after_ms"`          // until there is more to spend
	RetryAfterMS int64  `json:"retry_after_ms,omitzero"` // until it would admit the same call; 0 unless it refused
	Shadow       bool   `json:"shadow,omitzero"`
	WouldDeny    bool   `json:"would_deny,omitzero"` // a shadow rule would have refused
}

// Validate asks one check. A refusal is an answer; an error says that the check
// could not be decided.
func (c *Client) Validate(ctx context.Context, check Check) (*Answer, error) {
	op := call{name: "validate", method: http.MethodPost, path: []string{"validate"}, body: check, repeatable: check.CheckID != ""}
	a := new(Answer)
	if _, err := c.do(ctx, op, a); err != nil {
		return nil, err
	}
	return a, nil
}

// ValidateBatch asks 1 to 1000 checks, which are decided in their order. There
// is an answer to each, in that order.
func (c *Client) ValidateBatch(ctx context.Context, checks []Check) ([]Answer, error) {
	op := call{name: "validate batch", method: http.MethodPost, path: []string{"validate", "batch"}, repeatable: true}
	for i := range checks {
		op.repeatable = op.repeatable && checks[i].CheckID != ""
	}
	op.body = struct {
		Checks []Check `json:"checks"`
	}{checks}
	var batch struct {
		Results []Answer `json:"results"`
	}
	if _, err := c.do(ctx, op, &batch); err != nil {
		return nil, err
	}
	if len(batch.Results) != len(checks) {
		return nil, fmt.Errorf("validate batch: %d answers to %d checks", len(batch.Results), len(checks))
	}
	return batch.Results, nil
}
