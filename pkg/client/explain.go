package client

import (
	"context"
	"time"
)

// Explanation tells why a check was answered as it was, and what it came to.
type Explanation struct {
	RequestID     string            `json:"request_id"`
	At            time.Time         `json:"at"`
	Allowed       bool              `json:"allowed"`
	Code          Code              `json:"code"`
	Decisive      string            `json:"decisive"` // the rule that refused, or came nearest to it
	RetryAt       *time.Time        `json:"retry_at"` // nil where it was allowed, and where no waiting would have helped
	Limits        []ExplainedLimit  `json:"limits"`
	Degraded      bool              `json:"degraded"`
	Repeats       int               `json:"repeats"` // of the answer, to the same CheckID
	Key           Named             `json:"key"`
	Owner         Named             `json:"owner"`
	Plan          string            `json:"plan"`
	PlanVersion   int               `json:"plan_version"`
	Method        string            `json:"method"`
	Endpoint      string            `json:"endpoint"`
	IP            string            `json:"ip"`
	UserAgent     string            `json:"user_agent"`
	Meter         string            `json:"meter"`
	Cost          int64             `json:"cost"`  // asked for
	Units         int64             `json:"units"` // spent in the end
	Settleable    bool              `json:"settleable"`
	Adjustments   []UsageAdjustment `json:"adjustments"`
	Reports       []UsageReport     `json:"reports"`
	SampleRate    float64           `json:"sample_rate"`
	CompleteUntil *time.Time        `json:"complete_until"`
}

// Named is a thing and what people call it.
type Named struct {
	ID   string `json:"id"`
	Name string `json:"name"` // empty for what was erased
}

// ExplainedLimit is what one rule said of a check. Durations are in milliseconds.
type ExplainedLimit struct {
	Name         string `json:"name"`
	Scope        Scope  `json:"scope"`
	Limit        int64  `json:"limit"`
	Remaining    int64  `json:"remaining"` // after the check
	ResetAfterMS int64  `json:"reset_after_ms"`
	RetryAfterMS int64  `json:"retry_after_ms"` // -1 where no waiting helps
	Denied       bool   `json:"denied"`
	WouldDeny    bool   `json:"would_deny"`
}

// UsageAdjustment is a correction of what a check cost.
type UsageAdjustment struct {
	At    time.Time `json:"at"`
	Units int64     `json:"units"` // the change
}

// UsageReport is what was told of a call after its check.
type UsageReport struct {
	At        time.Time `json:"at"`
	Status    int       `json:"status"`
	LatencyMS int64     `json:"latency_ms"`
	BytesIn   int64     `json:"bytes_in"`
	BytesOut  int64     `json:"bytes_out"`
	Meter     string    `json:"meter"`
	Units     int64     `json:"units"`
}

// Check explains the check of a request. Where no row of it is kept, it fails
// with apierror.CodeNotRecorded.
func (c *Client) Check(ctx context.Context, requestID string) (*Explanation, error) {
	e := new(Explanation)
	if _, err := c.do(ctx, get("explain check", "checks", requestID), e); err != nil {
		return nil, err
	}
	return e, nil
}
