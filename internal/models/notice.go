package models

import "time"

// Severity says how much an event matters.
type Severity string

// The severities, from the least.
const (
	SeverityInfo     Severity = "info"
	SeverityWarning  Severity = "warning"
	SeverityCritical Severity = "critical"
)

// Severities lists them, from the least.
var Severities = []Severity{SeverityInfo, SeverityWarning, SeverityCritical}

// EventType says what happened. Types are stable; new ones may appear.
type EventType string

// The types of events.
const (
	EventAlertActive         EventType = "alert.active"
	EventAlertRepeated       EventType = "alert.repeated"
	EventAlertResolved       EventType = "alert.resolved"
	EventKeySuspended        EventType = "key.suspended" // by the service itself
	EventKeyActivated        EventType = "key.activated" // its suspension ended
	EventKeyExpired          EventType = "key.expired"
	EventOwnerQuota          EventType = "owner.quota" // an owner is near or over a quota
	EventAbuseDetected       EventType = "abuse.detected"
	EventDestinationDisabled EventType = "destination.disabled"
	EventTest                EventType = "test"
)

// EventTypes lists every type.
var EventTypes = []EventType{
	EventAlertActive, EventAlertRepeated, EventAlertResolved, EventKeySuspended, EventKeyActivated, EventKeyExpired,
	EventOwnerQuota, EventAbuseDetected, EventDestinationDisabled, EventTest,
}

// Event is something that people or programs are told of.
type Event struct {
	ID       NoticeID          `json:"id"`
	Type     EventType         `json:"type"`
	At       time.Time         `json:"at"`
	Severity Severity          `json:"severity"`
	Title    string            `json:"title"`              // one line
	Text     string            `json:"text,omitempty"`     // a few sentences, plain
	OwnerID  OwnerID           `json:"owner_id,omitempty"` // whom it concerns, where it concerns somebody
	Owner    string            `json:"owner,omitempty"`    // the caller's own id of that owner, or ours
	KeyID    KeyID             `json:"key_id,omitempty"`
	Data     map[string]string `json:"data,omitempty"` // what programs may want: alert_id, rule, value, threshold …
}

// Notice is an event on its way to those who want to hear of it, written in the
// transaction that makes it true.
type Notice struct {
	ID NoticeID `gorm:"primaryKey"`
	// DedupKey is unique: what is told once has one key, whoever finds out and
	// however often.
	DedupKey string
	Event    Event `gorm:"serializer:json"`
	// Destinations narrows who is told; empty leaves it to what each wants.
	Destinations []DestinationID `gorm:"serializer:json"`
	CreatedAt    time.Time
	PlannedAt    *time.Time // when deliveries were made of it
}

// Message is what one delivery says: one event, or a burst of them.
type Message struct {
	ID      string    `json:"id"` // the same at every attempt
	At      time.Time `json:"at"` // when the message was made
	Events  []Event   `json:"events"`
	Omitted int       `json:"omitted,omitempty"` // further events that are not listed
}

// MaxMessageEvents bounds the events that a message lists.
const MaxMessageEvents = 200
