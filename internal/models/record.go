package models

import (
	"net/netip"
	"time"
)

// RecordKind says what a record in the journal is about. Its values are stored:
// they never change.
type RecordKind uint8

// The kinds of record.
const (
	RecordCheck      RecordKind = 1 // a check that was answered, and whose key was found
	RecordLimitCheck RecordKind = 2 // a check of stated limits: counted, never billed
	RecordReport     RecordKind = 3 // what happened after an admission
	RecordAdjustment RecordKind = 4 // a correction of what a check spent
)

// Record is what the journal keeps of one answer, one report or one correction.
// It is all that usage, violations and bills are made from.
type Record struct {
	Kind      RecordKind
	RequestID string    // of the check that it is, or is about
	At        time.Time // decided, or said to have happened, at
	// Once is what the record is counted once by. It is zero for records that
	// come once anyway.
	Once EventID

	KeyID   KeyID
	Segment Segment // without its id
	Live    bool    // its units are billed

	Code      string
	Allowed   bool
	Degraded  bool
	Replayed  bool
	Settle    bool
	Cost      int64 // asked for
	Units     int64 // spent, reported, or the change of an adjustment
	Meter     string
	Method    string
	Endpoint  string
	IP        netip.Addr
	UserAgent string
	Limits    []RecordedLimit

	Status    int // of a report: HTTP status, or 0
	LatencyMS int64
	HasTiming bool // the report told a latency
	BytesIn   int64
	BytesOut  int64
}

// RecordedLimit is what one rule said of a check.
type RecordedLimit struct {
	Rule         string     `json:"rule"`
	Scope        Scope      `json:"scope"`
	Limit        int64      `json:"limit"`
	Remaining    int64      `json:"remaining"`
	ResetAfterMS int64      `json:"reset_after_ms"`
	RetryAfterMS int64      `json:"retry_after_ms,omitempty"` // -1 where no waiting helps
	Denied       bool       `json:"denied,omitempty"`
	WouldDeny    bool       `json:"would_deny,omitempty"`
	Tightest     bool       `json:"tightest,omitempty"`
	Period       PeriodKind `json:"period,omitempty"` // of a quota
	Start        time.Time  `json:"start,omitzero"`   // of that period
	Spent        int64      `json:"spent,omitempty"`  // from this rule: nothing where a shadow rule would have denied
}

// Tightest gives the rule that refused, or was nearest to it.
func (r *Record) Tightest() *RecordedLimit {
	for i := range r.Limits {
		if r.Limits[i].Tightest {
			return &r.Limits[i]
		}
	}
	return nil
}

// Quota names the count of a quota that the limit was taken from.
func (l *RecordedLimit) Quota(r *Record) QuotaKey {
	subject := "owner:" + string(r.Segment.OwnerID)
	if l.Scope == ScopeKey {
		subject = "key:" + string(r.KeyID)
	}
	return QuotaKey{Subject: subject, Rule: l.Rule, Period: l.Period, Start: l.Start}
}

// Counts gives what the record adds to its cell.
func (r *Record) Counts() UsageCounts {
	var c UsageCounts
	c.Units = r.Units
	if r.Live {
		c.BillableUnits = r.Units
	}
	switch r.Kind {
	case RecordCheck:
		c.Requests = 1
		r.countAnswer(&c)
	case RecordReport:
		c.Reports, c.BytesIn, c.BytesOut = 1, r.BytesIn, r.BytesOut
		switch r.Status / 100 {
		case 0:
		case 1, 2:
			c.Status2xx = 1
		case 3:
			c.Status3xx = 1
		case 4:
			c.Status4xx = 1
		default:
			c.Status5xx = 1
		}
	}
	return c
}

func (r *Record) countAnswer(c *UsageCounts) {
	switch r.Code {
	case "ok":
		c.Allowed = 1
	case "rate_limited":
		c.DeniedLimit = 1
	case "quota_exceeded":
		c.DeniedQuota = 1
	case "cost_exceeds_limit":
		c.DeniedCost = 1
	case "permission_denied", "ip_denied", "endpoint_denied":
		c.DeniedAccess = 1
	default:
		c.DeniedKey = 1
	}
}
