package notify

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// Headers of the specification.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

// typeOfMany is the type of a message that tells of more than one event.
const typeOfMany = "events"

// webhookBody is what a webhook receives. It has the same shape for one event
// and for many, and is the same at every attempt.
type webhookBody struct {
	Type      string      `json:"type"`      // the event's type, or "events"
	Timestamp time.Time   `json:"timestamp"` // of the last thing that happened
	Data      webhookData `json:"data"`
}

type webhookData struct {
	ID      string         `json:"id"`
	Events  []models.Event `json:"events"`
	Omitted int            `json:"omitted"`
}

func bodyOf(m *models.Message) webhookBody {
	body := webhookBody{Type: typeOfMany, Timestamp: m.At.UTC(), Data: webhookData{
		ID: m.ID, Events: make([]models.Event, len(m.Events)), Omitted: m.Omitted,
	}}
	for i, e := range m.Events {
		e.At = e.At.UTC()
		body.Data.Events[i] = e
		if i == 0 || e.At.After(body.Timestamp) {
			body.Timestamp = e.At
		}
	}
	if len(m.Events) == 1 && m.Omitted == 0 {
		body.Type = string(m.Events[0].Type)
	}
	return body
}

func (s *Sender) sendWebhook(ctx context.Context, d *models.Destination, m *models.Message) models.Sent {
	body, err := json.Marshal(bodyOf(m))
	if err != nil {
		return hopeless("the message cannot be written as JSON: " + err.Error())
	}
	// The time is that of the attempt: receivers refuse what is minutes old.
	timestamp, signature, err := signatures(d, m.ID, s.options.Now(), body)
	if err != nil {
		return hopeless("secret: " + err.Error())
	}
	p := post{to: d, body: body, header: http.Header{}}
	for name, value := range d.Headers {
		if !reservedHeader(name) {
			p.header.Set(name, value)
			p.secretHeaders = append(p.secretHeaders, http.CanonicalHeaderKey(name))
		}
	}
	p.header.Set(headerID, m.ID)
	p.header.Set(headerTimestamp, timestamp)
	p.header.Set(headerSignature, signature)
	p.secretHeaders = append(p.secretHeaders, headerSignature)
	// A receiver that sends back what it got must not bring secrets into our database.
	p.secrets = append(slices.Sorted(maps.Values(d.Headers)), strings.Fields(signature)...)
	return s.post(ctx, p)
}
