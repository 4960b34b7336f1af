package client

import (
	"context"
	"iter"
	"time"
)

// Alerts are what people are to look at, and what became of it.
type Alerts struct{ client *Client }

// AlertState says where an alert is in its life.
type AlertState string

// The states of alerts.
const (
	AlertPending      AlertState = "pending" // its cause has not lasted long enough
	AlertActive       AlertState = "active"
	AlertAcknowledged AlertState = "acknowledged" // somebody is at it
	AlertSuppressed   AlertState = "suppressed"   // not told of until SuppressedUntil
	AlertResolved     AlertState = "resolved"
)

// Alert is one cause and what became of it.
type Alert struct {
	ID              string     `json:"id"`
	RuleID          string     `json:"rule_id"`
	Rule            string     `json:"rule"` // its name when the alert was opened
	Kind            string     `json:"kind"`
	Severity        string     `json:"severity"` // info, warning or critical
	State           AlertState `json:"state"`
	Subject         string     `json:"subject"` // "owner:…", "key:…" or a part of the service
	OwnerID         *string    `json:"owner_id"`
	KeyID           *string    `json:"key_id"`
	Quota           string     `json:"quota"`  // its name, where the alert is about one
	Period          string     `json:"period"` // of the quota: day or month
	PeriodStart     *time.Time `json:"period_start"`
	PeriodEnd       *time.Time `json:"period_end"`
	Value           float64    `json:"value"`
	Threshold       float64    `json:"threshold"`
	Text            string     `json:"text"`
	CreatedAt       time.Time  `json:"created_at"` // since when the cause is there
	FiredAt         *time.Time `json:"fired_at"`
	ClearedAt       *time.Time `json:"cleared_at"` // since when it is gone
	ToldAt          *time.Time `json:"told_at"`
	AcknowledgedAt  *time.Time `json:"acknowledged_at"`
	SuppressedUntil *time.Time `json:"suppressed_until"`
	ResolvedAt      *time.Time `json:"resolved_at"`
	Resolution      string     `json:"resolution"` // cleared, period_ended, manual or rule_removed
	Note            string     `json:"note"`
	NoteBy          string     `json:"note_by"`
	UpdatedAt       time.Time  `json:"updated_at"`

	ETag ETag `json:"-"` // empty in lists
}

func (a *Alert) tag(etag ETag) { a.ETag = etag }

// AlertFilter chooses alerts; the zero filter chooses all that are not pending.
type AlertFilter struct {
	State    AlertState
	Rule     string // id or name
	Owner    string // id or external id
	Key      string // id
	Severity string
	Since    time.Time // opened then or later
}

// List yields alerts, the newest first. It sorts by created_at.
func (a Alerts) List(ctx context.Context, f AlertFilter, page Page) iter.Seq2[Alert, error] {
	op := get("list alerts", "alerts")
	op.query = page.query(map[string]string{
		"state": string(f.State), "rule": f.Rule, "owner": f.Owner, "key": f.Key, "severity": f.Severity, "since": instant(f.Since),
	})
	return list[Alert](ctx, a.client, op)
}

// Get reads an alert.
func (a Alerts) Get(ctx context.Context, id string) (*Alert, error) {
	return object[Alert](ctx, a.client, get("get alert", "alerts", id))
}

type alertNote struct {
	Note  string    `json:"note,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// Acknowledge says that somebody is at an alert: it is not told again. The note
// is for the record and may be empty. It is sent at most once: a second time is a
// conflict.
func (a Alerts) Acknowledge(ctx context.Context, id, note string) (*Alert, error) {
	return a.act(ctx, "acknowledge", id, alertNote{Note: note})
}

// Resolve ends an alert. While its cause lasts it is not opened anew. It is sent
// at most once: a second time is a conflict.
func (a Alerts) Resolve(ctx context.Context, id, note string) (*Alert, error) {
	return a.act(ctx, "resolve", id, alertNote{Note: note})
}

// Suppress keeps an alert from being told until an instant, at most 90 days ahead.
func (a Alerts) Suppress(ctx context.Context, id string, until time.Time, note string) (*Alert, error) {
	return a.act(ctx, "suppress", id, alertNote{note, until})
}

func (a Alerts) act(ctx context.Context, verb, id string, body alertNote) (*Alert, error) {
	op := post(verb+" alert", body, "alerts", id, verb)
	op.repeatable = verb == "suppress"
	return object[Alert](ctx, a.client, op)
}
