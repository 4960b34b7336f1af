package client

import (
	"context"
	"iter"
	"time"
)

// Deliveries are what was sent to destinations.
type Deliveries struct{ client *Client }

// Delivery is a message to one destination.
type Delivery struct {
	ID            string     `json:"id"`
	DestinationID string     `json:"destination_id"`
	OwnerID       *string    `json:"owner_id"`  // whom it goes to, where the destination goes to owners
	To            string     `json:"to"`        // the owner's address
	OriginID      *string    `json:"origin_id"` // the delivery that this one sends again
	State         string     `json:"state"`     // pending, delivered, failed or canceled
	MessageID     string     `json:"message_id"`
	Title         string     `json:"title"`  // of the first event
	Events        int        `json:"events"` // how many it tells of
	Attempts      int        `json:"attempts"`
	NextAt        *time.Time `json:"next_at"`
	FinishedAt    *time.Time `json:"finished_at"`
	CreatedAt     time.Time  `json:"created_at"`
}

// DeliveryDetail is a delivery with its message and every attempt.
type DeliveryDetail struct {
	Delivery
	Message Message           `json:"message"`
	Tries   []DeliveryAttempt `json:"tries"`
}

// Message is what a delivery says.
type Message struct {
	ID      string    `json:"id"` // the same at every attempt
	At      time.Time `json:"at"`
	Events  []Event   `json:"events"`
	Omitted int       `json:"omitted"` // further events that are not listed
}

// Event is something that people or programs are told of.
type Event struct {
	ID       string            `json:"id"`
	Type     string            `json:"type"`
	At       time.Time         `json:"at"`
	Severity string            `json:"severity"`
	Title    string            `json:"title"`
	Text     string            `json:"text"`
	OwnerID  string            `json:"owner_id"`
	Owner    string            `json:"owner"` // your own id of the owner, or ours
	KeyID    string            `json:"key_id"`
	Data     map[string]string `json:"data"`
}

// DeliveryAttempt is one try, and how it went.
type DeliveryAttempt struct {
	Number    int        `json:"number"`
	At        time.Time  `json:"at"`
	DoneAt    *time.Time `json:"done_at"` // nil while it is under way
	TookMS    int64      `json:"took_ms"`
	Delivered bool       `json:"delivered"`
	Status    int        `json:"status"` // of HTTP or SMTP; 0 where none came
	Request   string     `json:"request"`
	Response  string     `json:"response"`
	Error     string     `json:"error"`
}

// DeliveryFilter chooses deliveries; the zero filter chooses all.
type DeliveryFilter struct {
	Destination string // id or name
	State       string
	Since       time.Time // made then or later
}

// List yields deliveries, newest first; they have no other order.
func (d Deliveries) List(ctx context.Context, f DeliveryFilter, page Page) iter.Seq2[Delivery, error] {
	filters := map[string]string{"destination": f.Destination, "state": f.State}
	if !f.Since.IsZero() {
		filters["since"] = f.Since.UTC().Format(time.RFC3339Nano)
	}
	op := get("list deliveries", "deliveries")
	op.query = page.query(filters)
	return list[Delivery](ctx, d.client, op)
}

// Get reads a delivery with its message and attempts.
func (d Deliveries) Get(ctx context.Context, id string) (*DeliveryDetail, error) {
	detail := new(DeliveryDetail)
	if _, err := d.client.do(ctx, get("get delivery", "deliveries", id), detail); err != nil {
		return nil, err
	}
	return detail, nil
}

// Redeliver sends a message again, by a new delivery. Receivers get it with the
// same message id.
func (d Deliveries) Redeliver(ctx context.Context, id string, opts ...CallOption) (*Delivery, error) {
	made := new(Delivery)
	if _, err := d.client.do(ctx, create("redeliver", nil, opts, "deliveries", id, "redeliver"), made); err != nil {
		return nil, err
	}
	return made, nil
}
