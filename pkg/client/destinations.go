package client

import (
	"context"
	"iter"
	"time"
)

// Destinations are where notifications go. Where one is named, its id or its name
// will do.
type Destinations struct{ client *Client }

// Destination is where notifications go, without what opens it.
type Destination struct {
	ID                  string            `json:"id"`
	Name                string            `json:"name"`
	Type                string            `json:"type"`    // webhook, slack or email
	URL                 string            `json:"url"`     // without its query and, of Slack, its path
	Headers             map[string]string `json:"headers"` // without their values
	To                  []string          `json:"to"`
	ToOwner             bool              `json:"to_owner"`
	Events              []string          `json:"events"` // types, or all of a family as in alert.*; empty for every event
	MinSeverity         string            `json:"min_severity"`
	RatePerMinute       int               `json:"rate_per_minute"`
	SecretPreviousUntil *time.Time        `json:"secret_previous_until"` // until then, two secrets sign
	DisabledAt          *time.Time        `json:"disabled_at"`
	DisabledReason      string            `json:"disabled_reason"`
	FailingSince        *time.Time        `json:"failing_since"`
	CreatedAt           time.Time         `json:"created_at"`
	UpdatedAt           time.Time         `json:"updated_at"`

	ETag ETag `json:"-"` // empty in lists
}

func (d *Destination) tag(etag ETag) { d.ETag = etag }

// CreatedDestination is a destination with the secret that signs its webhooks,
// which is shown this once; empty where nothing is signed.
type CreatedDestination struct {
	Destination
	Secret string `json:"secret"`
}

// NewDestination describes a destination to make. Name and Type are required,
// and what the type asks for: a URL, or addresses.
type NewDestination struct {
	Name          string            `json:"name"`
	Type          string            `json:"type"` // webhook, slack or email
	URL           string            `json:"url,omitzero"`
	Headers       map[string]string `json:"headers,omitempty"`
	To            []string          `json:"to,omitempty"`
	ToOwner       bool              `json:"to_owner,omitzero"` // an email to the owner that an event is about
	Events        []string          `json:"events,omitempty"`
	MinSeverity   string            `json:"min_severity,omitzero"`
	RatePerMinute int               `json:"rate_per_minute,omitzero"` // 1 to 6000; 60 unless said otherwise
	Secret        string            `json:"secret,omitzero"`          // your own; one is made unless said otherwise
}

// Create makes a destination.
func (d Destinations) Create(ctx context.Context, destination NewDestination, opts ...CallOption) (*CreatedDestination, error) {
	return object[CreatedDestination](ctx, d.client, create("create destination", destination, opts, "destinations"))
}

// List yields destinations. It sorts by created_at or name.
func (d Destinations) List(ctx context.Context, page Page) iter.Seq2[Destination, error] {
	op := get("list destinations", "destinations")
	op.query = page.query(nil)
	return list[Destination](ctx, d.client, op)
}

// Get reads a destination.
func (d Destinations) Get(ctx context.Context, ref string) (*Destination, error) {
	return object[Destination](ctx, d.client, get("get destination", "destinations", ref))
}

// DestinationPatch changes a destination.
type DestinationPatch struct {
	Name          *string                   `json:"name,omitempty"`
	URL           *string                   `json:"url,omitempty"`
	Headers       Change[map[string]string] `json:"headers,omitzero"` // all of them
	To            Change[[]string]          `json:"to,omitzero"`      // all of them
	ToOwner       *bool                     `json:"to_owner,omitempty"`
	Events        Change[[]string]          `json:"events,omitzero"` // cleared, every event
	MinSeverity   *string                   `json:"min_severity,omitempty"`
	RatePerMinute *int                      `json:"rate_per_minute,omitempty"`
}

// Update changes a destination that is still at the version given.
func (d Destinations) Update(ctx context.Context, ref string, version ETag, p DestinationPatch) (*Destination, error) {
	return object[Destination](ctx, d.client, patch("update destination", p, version, "destinations", ref))
}

// Delete deletes a destination. What was sent there stays in the list of
// deliveries.
func (d Destinations) Delete(ctx context.Context, ref string) error {
	_, err := d.client.do(ctx, erase("delete destination", "destinations", ref), nil)
	return err
}

// Enable tells a destination of events again.
func (d Destinations) Enable(ctx context.Context, ref string) (*Destination, error) {
	return object[Destination](ctx, d.client, post("enable destination", nil, "destinations", ref, "enable"))
}

// Disable tells a destination of nothing any more; the reason is for the record.
func (d Destinations) Disable(ctx context.Context, ref, reason string) (*Destination, error) {
	body := struct {
		Reason string `json:"reason,omitzero"`
	}{reason}
	return object[Destination](ctx, d.client, post("disable destination", body, "destinations", ref, "disable"))
}

// SecretRotation says how the secret of a webhook is replaced.
type SecretRotation struct {
	// Grace is how long the present secret signs as well, up to 168 h; 24 h where
	// it is nil.
	Grace  *time.Duration
	Secret string // your own; one is made unless said otherwise
}

// RotateSecret gives a webhook a new secret.
func (d Destinations) RotateSecret(ctx context.Context, ref string, r SecretRotation, opts ...CallOption) (*CreatedDestination, error) {
	body := struct {
		Grace  string `json:"grace,omitzero"`
		Secret string `json:"secret,omitzero"`
	}{Secret: r.Secret}
	if r.Grace != nil {
		body.Grace = FormatDuration(*r.Grace)
	}
	return object[CreatedDestination](ctx, d.client, create("rotate secret", body, opts, "destinations", ref, "rotate-secret"))
}

// Test sends a test to a destination and tells how that went: the delivery has
// one attempt, and whether it came is in its state. A destination that goes to
// owners needs an address to send it to; others take none.
func (d Destinations) Test(ctx context.Context, ref, to string) (*DeliveryDetail, error) {
	body := struct {
		To string `json:"to,omitzero"`
	}{to}
	op := post("test destination", body, "destinations", ref, "test")
	op.repeatable = false // each sends
	detail := new(DeliveryDetail)
	if _, err := d.client.do(ctx, op, detail); err != nil {
		return nil, err
	}
	return detail, nil
}
