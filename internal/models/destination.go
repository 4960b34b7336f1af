package models

import "time"

// DestinationType says how a destination is reached.
type DestinationType string

// The types of destinations.
const (
	DestinationWebhook DestinationType = "webhook" // Standard Webhooks
	DestinationSlack   DestinationType = "slack"   // an incoming webhook of Slack
	DestinationEmail   DestinationType = "email"
)

// Destination is where notifications go.
type Destination struct {
	ID   DestinationID   `gorm:"primaryKey" json:"id"`
	Name string          `json:"name,omitempty"` // unique
	Type DestinationType `json:"type,omitempty"`
	// URL is of a webhook or Slack. Slack's is a secret itself.
	URL     string            `json:"-"`
	Headers map[string]string `gorm:"serializer:json" json:"-"` // of a webhook, beside those of the standard
	// To lists the addresses of an email. With ToOwner it goes to the owner that
	// an event is about, and tells of such events alone.
	To      []string `gorm:"column:recipients;serializer:json" json:"to,omitempty"`
	ToOwner bool     `json:"to_owner,omitempty"`
	// Events narrows what it is told of: types, or "alert.*"; empty is all.
	Events      []string `gorm:"serializer:json" json:"events,omitempty"`
	MinSeverity Severity `json:"min_severity,omitempty"`
	// RatePerMinute bounds its deliveries; what is more waits.
	RatePerMinute int `json:"rate_per_minute,omitempty"`
	// Secret signs webhooks: "whsec_" and base64. After a rotation, both sign
	// until SecretPreviousUntil.
	Secret              string     `json:"-"`
	SecretPrevious      string     `json:"-"`
	SecretPreviousUntil *time.Time `json:"secret_previous_until,omitempty"`
	DisabledAt          *time.Time `json:"disabled_at,omitempty"`
	DisabledReason      string     `json:"disabled_reason,omitempty"`
	// FailingSince is when the run of failures began that has not ended.
	FailingSince *time.Time `json:"failing_since,omitempty"`
	Version      int64      `json:"version"`
	CreatedAt    time.Time  `json:"created_at,omitempty"`
	UpdatedAt    time.Time  `json:"updated_at,omitempty"`
}

// DeliveryState says how far a delivery is.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryPending   DeliveryState = "pending"
	DeliveryDelivered DeliveryState = "delivered"
	DeliveryFailed    DeliveryState = "failed"   // given up
	DeliveryCanceled  DeliveryState = "canceled" // its destination was disabled or erased
)

// Delivery is a message to one destination.
type Delivery struct {
	ID            DeliveryID `gorm:"primaryKey"`
	DestinationID DestinationID
	// OwnerID is whom it goes to, where the destination is the owner, and To is
	// the address, until it is erased.
	OwnerID *OwnerID
	To      string `gorm:"column:recipient"`
	// OriginID is the delivery that a person had made again by this one.
	OriginID *DeliveryID
	State    DeliveryState
	Message  Message `gorm:"serializer:json"`
	Attempts int     // begun
	NextAt   *time.Time
	// ClaimedUntil is until when an attempt is left to whoever began it.
	ClaimedUntil *time.Time
	FinishedAt   *time.Time
	CreatedAt    time.Time
}

// Finish ends a delivery: it is not tried again.
func (d *Delivery) Finish(state DeliveryState, now time.Time) {
	d.State, d.FinishedAt, d.NextAt, d.ClaimedUntil = state, &now, nil, nil
}

// DeliveryAttempt is one try, and how it went.
type DeliveryAttempt struct {
	DeliveryID    DeliveryID `gorm:"primaryKey"`
	Number        int        `gorm:"primaryKey"` // from 1
	DestinationID DestinationID
	At            time.Time
	DoneAt        *time.Time // nil while it is under way
	TookMS        int64      `gorm:"column:took_ms"`
	Delivered     bool
	Status        int    // of HTTP or SMTP; 0 where none came
	Request       string // what was sent, without secrets, bounded
	Response      string // the beginning of what came back
	Error         string // why it failed
}

// DeliveryFilter narrows a list of deliveries; zero fields match all.
type DeliveryFilter struct {
	DestinationID DestinationID
	State         DeliveryState
	Since         time.Time // made then or later
}

// Sent is how one attempt to send went.
type Sent struct {
	Delivered bool
	Status    int    // of HTTP or SMTP; 0 where none came
	Request   string // what was sent, without secrets, bounded
	Response  string // the beginning of what came back
	Error     string // why it failed, for an operator
	// RetryAfter is when the receiver wants to be tried again; 0 where it said nothing.
	RetryAfter time.Duration
	// Gone says that the receiver wants nothing any more.
	Gone bool
	// Hopeless says that trying again cannot help.
	Hopeless bool
}
