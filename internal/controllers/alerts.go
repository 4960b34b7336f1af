package controllers

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/alerts"
	"github.com/viva/rate-limiter/pkg/apierror"
)

func (a *api) registerAlerts() {
	register(a, csvToo(huma.Operation{
		OperationID: "list-alerts", Method: http.MethodGet, Path: prefix + "/alerts", Tags: []string{tagAlerts},
		Summary:     "List alerts",
		Description: "Those that are pending, whose cause has not lasted for long enough, are listed only with `state=pending`.",
		Security:    bearer(models.ScopeAlertsRead),
	}), a.listAlerts)
	register(a, huma.Operation{
		OperationID: "get-alert", Method: http.MethodGet, Path: prefix + "/alerts/{id}", Tags: []string{tagAlerts},
		Summary: "Read an alert", Security: bearer(models.ScopeAlertsRead),
	}, a.getAlert)
	action := func(id, verb, summary, description string) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: http.MethodPost, Path: prefix + "/alerts/{id}/" + verb, Tags: []string{tagAlerts},
			Summary: summary, Description: description, Security: bearer(models.ScopeAlertsWrite), DefaultStatus: http.StatusOK,
		}
	}
	register(a, action("acknowledge-alert", "acknowledge", "Say that somebody is at an alert",
		"It is not told again, until it is resolved."), a.acknowledgeAlert)
	register(a, action("resolve-alert", "resolve", "End an alert",
		"While its cause lasts, no alert is opened of it: only when the cause has gone and comes back."), a.resolveAlert)
	register(a, action("suppress-alert", "suppress", "Keep an alert from being told for a time",
		"If its cause is still there then, it becomes active, and is told."), a.suppressAlert)
}

// AlertPath names an alert in a path.
type AlertPath struct {
	ID string `path:"id" maxLength:"64" doc:"Id of the alert"`
}

func (p *AlertPath) id() (models.AlertID, error) {
	id, err := models.ParseID[models.AlertID](p.ID)
	if err != nil {
		return "", apierror.NotFound("alert").Wrap(err)
	}
	return id, nil
}

type listAlertsInput struct {
	PageQuery
	Sort     string    `query:"sort" enum:"created_at,-created_at" default:"-created_at" doc:"By when they were opened, descending with a minus sign"`
	State    string    `query:"state" enum:"pending,active,acknowledged,suppressed,resolved" doc:"Only alerts in this state"`
	Rule     string    `query:"rule" maxLength:"64" doc:"Only alerts of this rule, by id or name"`
	Owner    string    `query:"owner" maxLength:"255" doc:"Only alerts about this owner or its keys, by id or external id"`
	Key      string    `query:"key" maxLength:"64" doc:"Only alerts about this key"`
	Severity string    `query:"severity" enum:"info,warning,critical" doc:"Only alerts of this severity"`
	Since    time.Time `query:"since" doc:"Only alerts opened then or later"`
}

func (a *api) listAlerts(ctx context.Context, in *listAlertsInput) (*listOutput[alertBody], error) {
	rows, err := a.Alerts.List(ctx, alerts.Filter{
		State: models.AlertState(in.State), Rule: in.Rule, Owner: in.Owner, Key: in.Key, Severity: models.Severity(in.Severity), Since: in.Since.UTC(),
	}, in.page(in.Sort))
	if err != nil {
		return nil, err
	}
	return answerList(&in.PageQuery, rows, alertOf, func(r *models.Alert) models.Position {
		return models.Position{Value: r.CreatedAt.UTC().Format(time.RFC3339Nano), ID: string(r.ID)}
	}), nil
}

type getAlertInput struct {
	AlertPath
	NoneMatchHeader
}

func (a *api) getAlert(ctx context.Context, in *getAlertInput) (*versioned[alertBody], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	alert, err := a.Alerts.Find(ctx, id)
	if err != nil {
		return nil, err
	}
	return answerUnless(in.NoneMatchHeader, alert.Version, alertOf(alert))
}

type noteAlertInput struct {
	AlertPath
	Body *noteBody
}

type noteBody struct {
	Note string `json:"note,omitzero" maxLength:"1000" doc:"For the record"`
}

func (b *noteBody) text() string {
	if b == nil {
		return ""
	}
	return b.Note
}

func (a *api) acknowledgeAlert(ctx context.Context, in *noteAlertInput) (*versioned[alertBody], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	return alertAnswer(a.Alerts.Acknowledge(ctx, id, in.Body.text()))
}

func (a *api) resolveAlert(ctx context.Context, in *noteAlertInput) (*versioned[alertBody], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	return alertAnswer(a.Alerts.Resolve(ctx, id, in.Body.text()))
}

type suppressAlertInput struct {
	AlertPath
	Body suppressBody
}

type suppressBody struct {
	Until *time.Time `json:"until,omitempty" doc:"When it may be told again, at most 90 days ahead; absent where for is given"`
	For   duration   `json:"for,omitzero" doc:"For how long it is not told; absent where until is given"`
	Note  string     `json:"note,omitzero" maxLength:"1000" doc:"For the record"`
}

func (a *api) suppressAlert(ctx context.Context, in *suppressAlertInput) (*versioned[alertBody], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	if (in.Body.Until == nil) == (in.Body.For == 0) {
		return nil, apierror.Invalid(apierror.Field{In: apierror.Body, Name: "until", Detail: "must be given, or for instead of it"})
	}
	until := a.Now().Add(time.Duration(in.Body.For))
	models.Assign(&until, in.Body.Until)
	return alertAnswer(a.Alerts.Suppress(ctx, id, until, in.Body.Note))
}

func alertAnswer(alert *models.Alert, err error) (*versioned[alertBody], error) {
	if err != nil {
		return nil, err
	}
	return newVersioned(http.StatusOK, alert.Version, alertOf(alert))
}

type alertBody struct {
	ID              string     `json:"id" doc:"UUIDv7"`
	RuleID          string     `json:"rule_id"`
	Rule            string     `json:"rule" doc:"Name of the rule, when the alert was opened"`
	Kind            string     `json:"kind" doc:"quota, violations, error_rate, anomaly or system"`
	Severity        string     `json:"severity" doc:"info, warning or critical"`
	State           string     `json:"state" doc:"pending, active, acknowledged, suppressed or resolved"`
	Subject         string     `json:"subject" example:"owner:0197f0d8-5f4c-7cc2-9a3b-1d2e3f405162" doc:"What it is about: an owner, a key, or a part of the service"`
	OwnerID         *string    `json:"owner_id"`
	KeyID           *string    `json:"key_id"`
	Quota           string     `json:"quota" doc:"Name of the quota, where it is about one"`
	Period          string     `json:"period" doc:"day or month, where it is about a quota"`
	PeriodStart     *time.Time `json:"period_start"`
	PeriodEnd       *time.Time `json:"period_end"`
	Value           float64    `json:"value" doc:"What was found, to the minute: percent used or failed, refusals, units, or a count"`
	Threshold       float64    `json:"threshold" doc:"From where on that is an alert"`
	Text            string     `json:"text" doc:"The same as a sentence"`
	CreatedAt       time.Time  `json:"created_at" doc:"Since when the cause is there"`
	FiredAt         *time.Time `json:"fired_at" doc:"When it became active first"`
	ClearedAt       *time.Time `json:"cleared_at" doc:"Since when the cause is gone"`
	ToldAt          *time.Time `json:"told_at" doc:"When it was told last; null where it never was, or as one of many alone"`
	AcknowledgedAt  *time.Time `json:"acknowledged_at"`
	SuppressedUntil *time.Time `json:"suppressed_until"`
	ResolvedAt      *time.Time `json:"resolved_at"`
	Resolution      string     `json:"resolution" doc:"cleared, period_ended, manual or rule_removed; empty while it is not resolved"`
	Note            string     `json:"note" doc:"The last that was made"`
	NoteBy          string     `json:"note_by"`
	UpdatedAt       time.Time  `json:"updated_at"`
}

func alertOf(a *models.Alert) alertBody {
	return alertBody{
		ID: string(a.ID), RuleID: string(a.RuleID), Rule: a.RuleName, Kind: string(a.Kind), Severity: string(a.Severity), State: string(a.State),
		Subject: a.Subject, OwnerID: (*string)(a.OwnerID), KeyID: (*string)(a.KeyID),
		Quota: a.Quota, Period: string(a.Period), PeriodStart: utc(a.PeriodStart), PeriodEnd: utc(a.PeriodEnd),
		Value: a.Value, Threshold: a.Threshold, Text: a.Text,
		CreatedAt: a.CreatedAt.UTC(), FiredAt: utc(a.FiredAt), ClearedAt: utc(a.ClearedAt), ToldAt: utc(a.ToldAt),
		AcknowledgedAt: utc(a.AcknowledgedAt), SuppressedUntil: utc(a.SuppressedUntil), ResolvedAt: utc(a.ResolvedAt),
		Resolution: string(a.Resolution), Note: a.Note, NoteBy: a.NoteBy, UpdatedAt: a.UpdatedAt.UTC(),
	}
}
