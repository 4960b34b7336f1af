package controllers

import (
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/notifications"
)

// DeliveryBody is a delivery in a list.
type DeliveryBody struct {
	ID            string     `json:"id" doc:"UUIDv7"`
	DestinationID string     `json:"destination_id"`
	OwnerID       *string    `json:"owner_id" doc:"Whom it goes to, where the destination goes to owners"`
	To            string     `json:"to" doc:"The owner's address; empty where that was erased, or the destination has its own"`
	OriginID      *string    `json:"origin_id" doc:"The delivery that this one sends again"`
	State         string     `json:"state" enum:"pending,delivered,failed,canceled"`
	MessageID     string     `json:"message_id" doc:"The same at every attempt, and when it is sent again"`
	Title         string     `json:"title" doc:"Of the first event"`
	Events        int        `json:"events" doc:"How many events it tells of, those that it only counts among them"`
	Attempts      int        `json:"attempts"`
	NextAt        *time.Time `json:"next_at" doc:"When it is tried next"`
	FinishedAt    *time.Time `json:"finished_at"`
	CreatedAt     time.Time  `json:"created_at"`
}

func deliveryOf(d *models.Delivery) DeliveryBody {
	body := DeliveryBody{
		ID: string(d.ID), DestinationID: string(d.DestinationID), OwnerID: (*string)(d.OwnerID), To: d.To, OriginID: (*string)(d.OriginID),
		State: string(d.State), MessageID: d.Message.ID, Events: len(d.Message.Events) + d.Message.Omitted, Attempts: d.Attempts,
		NextAt: utc(d.NextAt), FinishedAt: utc(d.FinishedAt), CreatedAt: d.CreatedAt.UTC(),
	}
	if len(d.Message.Events) > 0 {
		body.Title = d.Message.Events[0].Title
	}
	return body
}

type deliveryDetailBody struct {
	DeliveryBody
	Message deliveryMessageBody   `json:"message"`
	Tries   []deliveryAttemptBody `json:"tries" doc:"Every attempt, in order"`
}

type deliveryMessageBody struct {
	ID      string          `json:"id"`
	At      time.Time       `json:"at"`
	Events  []toldEventBody `json:"events"`
	Omitted int             `json:"omitted" doc:"Further events that are not listed"`
}

type toldEventBody struct {
	ID       string            `json:"id"`
	Type     string            `json:"type"`
	At       time.Time         `json:"at"`
	Severity string            `json:"severity"`
	Title    string            `json:"title"`
	Text     string            `json:"text"`
	OwnerID  string            `json:"owner_id"`
	Owner    string            `json:"owner" doc:"Your own id of the owner, or ours"`
	KeyID    string            `json:"key_id"`
	Data     map[string]string `json:"data"`
}

type deliveryAttemptBody struct {
	Number    int        `json:"number"`
	At        time.Time  `json:"at"`
	DoneAt    *time.Time `json:"done_at" doc:"null while it is under way"`
	TookMS    int64      `json:"took_ms"`
	Delivered bool       `json:"delivered"`
	Status    int        `json:"status" doc:"Of HTTP or SMTP; 0 where none came"`
	Request   string     `json:"request" doc:"What was sent, without secrets"`
	Response  string     `json:"response" doc:"The beginning of what came back"`
	Error     string     `json:"error" doc:"Why it failed"`
}

func deliveryDetailOf(v *notifications.View) deliveryDetailBody {
	m := &v.Delivery.Message
	body := deliveryDetailBody{
		DeliveryBody: deliveryOf(&v.Delivery),
		Message:      deliveryMessageBody{ID: m.ID, At: m.At.UTC(), Omitted: m.Omitted, Events: make([]toldEventBody, len(m.Events))},
		Tries:        make([]deliveryAttemptBody, len(v.Attempts)),
	}
	for i := range m.Events {
		e := &m.Events[i]
		body.Message.Events[i] = toldEventBody{
			ID: string(e.ID), Type: string(e.Type), At: e.At.UTC(), Severity: string(e.Severity), Title: e.Title, Text: e.Text,
			OwnerID: string(e.OwnerID), Owner: e.Owner, KeyID: string(e.KeyID), Data: e.Data,
		}
	}
	for i := range v.Attempts {
		a := &v.Attempts[i]
		body.Tries[i] = deliveryAttemptBody{
			Number: a.Number, At: a.At.UTC(), DoneAt: utc(a.DoneAt), TookMS: a.TookMS, Delivered: a.Delivered, Status: a.Status,
			Request: a.Request, Response: a.Response, Error: a.Error,
		}
	}
	return body
}
