package controllers

import (
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/notifications"
)

type newDestinationBody struct {
	Name          string            `json:"name" minLength:"1" maxLength:"255" example:"on-call" doc:"Unique, of a-z, A-Z, 0-9, '.', '_' and '-'"`
	Type          string            `json:"type" enum:"webhook,slack,email"`
	URL           string            `json:"url,omitzero" maxLength:"2048" example:"https://example.com/hooks/viva" doc:"Where a webhook goes, or an incoming webhook of Slack"`
	Headers       map[string]string `json:"headers,omitempty" doc:"Headers of a webhook beside those of Standard Webhooks, at most 20"`
	To            []string          `json:"to,omitempty" maxItems:"20" doc:"Addresses of an email"`
	ToOwner       bool              `json:"to_owner,omitzero" doc:"An email goes to the owner that an event is about, and tells of events of keys and quotas alone"`
	Events        []string          `json:"events,omitempty" maxItems:"50" example:"alert.*" doc:"Types of events, or all of a family as in alert.*; every event unless said otherwise"`
	MinSeverity   string            `json:"min_severity,omitzero" enum:"info,warning,critical" doc:"The least severe events it is told of; info unless said otherwise"`
	RatePerMinute int               `json:"rate_per_minute,omitzero" minimum:"1" maximum:"6000" doc:"The most attempts in a minute; 60 unless said otherwise. What is more waits, and what is new joins it"`
	Secret        string            `json:"secret,omitzero" maxLength:"255" doc:"Your own secret to sign webhooks: whsec_ and the base64 of 24 to 64 bytes; one is made unless said otherwise"`
}

type destinationPatchBody struct {
	Name          *string                     `json:"name,omitempty" minLength:"1" maxLength:"255"`
	URL           *string                     `json:"url,omitempty" minLength:"1" maxLength:"2048"`
	Headers       nullable[map[string]string] `json:"headers,omitzero" doc:"Replaces all headers"`
	To            nullable[[]string]          `json:"to,omitzero" maxItems:"20" doc:"Replaces all addresses"`
	ToOwner       *bool                       `json:"to_owner,omitempty"`
	Events        nullable[[]string]          `json:"events,omitzero" maxItems:"50" doc:"Replaces all types; null asks for every event"`
	MinSeverity   *string                     `json:"min_severity,omitempty" enum:"info,warning,critical"`
	RatePerMinute *int                        `json:"rate_per_minute,omitempty" minimum:"1" maximum:"6000"`
}

func (b *destinationPatchBody) patch() notifications.Patch {
	return notifications.Patch{
		Name: b.Name, URL: b.URL, Headers: b.Headers.cleared(), To: b.To.cleared(), ToOwner: b.ToOwner,
		Events: b.Events.cleared(), MinSeverity: (*models.Severity)(b.MinSeverity), RatePerMinute: b.RatePerMinute,
	}
}

// DestinationBody is a destination in an answer, without its secrets.
type DestinationBody struct {
	ID                  string            `json:"id" doc:"UUIDv7"`
	Name                string            `json:"name"`
	Type                string            `json:"type" enum:"webhook,slack,email"`
	URL                 string            `json:"url" doc:"Without its query and, of Slack, its path: they may be secrets"`
	Headers             map[string]string `json:"headers" doc:"Without their values, which may be secrets"`
	To                  []string          `json:"to"`
	ToOwner             bool              `json:"to_owner"`
	Events              []string          `json:"events" doc:"Empty asks for every event"`
	MinSeverity         string            `json:"min_severity" enum:"info,warning,critical"`
	RatePerMinute       int               `json:"rate_per_minute"`
	SecretPreviousUntil *time.Time        `json:"secret_previous_until" doc:"Until when the secret before the last rotation signs as well"`
	DisabledAt          *time.Time        `json:"disabled_at" doc:"Since when it is told of nothing"`
	DisabledReason      string            `json:"disabled_reason"`
	FailingSince        *time.Time        `json:"failing_since" doc:"Since when no attempt has succeeded, where the last one failed"`
	CreatedAt           time.Time         `json:"created_at"`
	UpdatedAt           time.Time         `json:"updated_at"`
}

type createdDestinationBody struct {
	DestinationBody
	Secret string `json:"secret" doc:"What signs its webhooks, this once; empty where nothing is signed"`
}

func destinationOf(d *models.Destination) DestinationBody {
	return DestinationBody{
		ID: string(d.ID), Name: d.Name, Type: string(d.Type), URL: d.ShownURL(), Headers: d.ShownHeaders(),
		To: d.To, ToOwner: d.ToOwner, Events: d.Events, MinSeverity: string(d.MinSeverity), RatePerMinute: d.RatePerMinute,
		SecretPreviousUntil: utc(d.SecretPreviousUntil), DisabledAt: utc(d.DisabledAt), DisabledReason: d.DisabledReason,
		FailingSince: utc(d.FailingSince), CreatedAt: d.CreatedAt.UTC(), UpdatedAt: d.UpdatedAt.UTC(),
	}
}
