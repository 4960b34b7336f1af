package controllers

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/usage"
	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// registerReports declares what is told after a check.
func (a *api) registerReports() {
	register(a, huma.Operation{
		OperationID: "settle-check", Method: http.MethodPost, Path: prefix + "/checks/{request_id}/settle", Tags: []string{tagChecks},
		Summary: "Correct what a check cost",
		Description: "For calls whose cost is known afterwards, such as tokens of a model. The check must have been asked with `settle`, and allowed. " +
			"Units are given back, or charged beyond the limit, wherever they still count. Safe to repeat at the same cost.",
		Security: bearer(models.ScopeChecksWrite), DefaultStatus: http.StatusOK,
	}, a.settleCheck)
	register(a, huma.Operation{
		OperationID: "report-usage", Method: http.MethodPost, Path: prefix + "/usage/events", Tags: []string{tagUsage},
		Summary: "Report what became of calls",
		Description: "Status, latency, bytes, and units of any meter. An event counts once by its id, however often it is sent. " +
			"Each event is answered on its own, in order.",
		Security: bearer(models.ScopeUsageWrite), MaxBodyBytes: bulkBytes, DefaultStatus: http.StatusOK,
	}, a.reportUsage)
	register(a, huma.Operation{
		OperationID: "key-limits", Method: http.MethodGet, Path: prefix + "/keys/{id}/limits", Tags: []string{tagUsage},
		Summary: "Show what is left of a key's limits", Description: "A look: nothing is spent.", Security: bearer(models.ScopeUsageRead),
	}, a.keyLimits)
}

// errUnmetered is the answer where nothing is counted.
func errUnmetered() error {
	return apierror.New(apierror.CodeUnavailable, "Metering is switched off: journal.enabled is false")
}

type settleInput struct {
	RequestID string `path:"request_id" maxLength:"80" doc:"The request_id of the check's answer"`
	Body      settleBody
}

type settleBody struct {
	Cost int64 `json:"cost" minimum:"0" maximum:"9007199254740991" doc:"Units that the check cost in the end"`
}

type settlementBody struct {
	RequestID string `json:"request_id"`
	KeyID     string `json:"key_id"`
	Before    int64  `json:"cost_before" doc:"Units spent when the check was answered"`
	Cost      int64  `json:"cost"`
}

type settleOutput struct{ Body settlementBody }

func (a *api) settleCheck(ctx context.Context, in *settleInput) (*settleOutput, error) {
	if a.Settler == nil {
		return nil, errUnmetered()
	}
	s, err := a.Settler.Settle(ctx, in.RequestID, in.Body.Cost)
	if err != nil {
		return nil, err
	}
	return &settleOutput{settlementBody{RequestID: s.RequestID, KeyID: string(s.KeyID), Before: s.Before, Cost: s.Cost}}, nil
}

type reportInput struct {
	Body struct {
		Events []eventBody `json:"events" minItems:"1" maxItems:"1000"`
	}
}

type eventBody struct {
	ID        string     `json:"id" minLength:"1" maxLength:"128" doc:"Unique within the key: the same id counts once"`
	KeyID     string     `json:"key_id" maxLength:"64" doc:"Id of the key, as checks answer it"`
	RequestID string     `json:"request_id,omitzero" maxLength:"80" doc:"The request_id of the check that let the call in"`
	At        *time.Time `json:"at,omitempty" doc:"When it happened: now unless said otherwise, at most 24 hours ago"`
	Method    string     `json:"method,omitzero" maxLength:"16"`
	Endpoint  string     `json:"endpoint,omitzero" maxLength:"2048"`
	Status    int        `json:"status,omitzero" minimum:"100" maximum:"599" doc:"HTTP status of the answer"`
	LatencyMS *int64     `json:"latency_ms,omitempty" minimum:"0" maximum:"86400000"`
	BytesIn   int64      `json:"bytes_in,omitzero" minimum:"0" maximum:"9007199254740991"`
	BytesOut  int64      `json:"bytes_out,omitzero" minimum:"0" maximum:"9007199254740991"`
	Meter     string     `json:"meter,omitzero" maxLength:"64" example:"tokens" doc:"What units counts; requests unless said otherwise"`
	Units     int64      `json:"units,omitzero" minimum:"0" maximum:"9007199254740991" doc:"Units of the meter that the call used, beside what its check spent"`
}

func (b *eventBody) event() usage.Event {
	e := usage.Event{
		ID: b.ID, KeyID: b.KeyID, RequestID: b.RequestID, Method: b.Method, Endpoint: b.Endpoint, Status: b.Status,
		BytesIn: b.BytesIn, BytesOut: b.BytesOut, Meter: b.Meter, Units: b.Units,
	}
	if b.At != nil {
		e.At = b.At.UTC()
	}
	if b.LatencyMS != nil {
		latency := time.Duration(*b.LatencyMS) * time.Millisecond
		e.Latency = &latency
	}
	return e
}

type reportOutput struct {
	Body struct {
		Results []eventResultBody `json:"results" doc:"One for each event, in order"`
	}
}

type eventResultBody struct {
	ID       string            `json:"id"`
	Accepted bool              `json:"accepted"`
	Problem  *apierror.Problem `json:"problem,omitempty" doc:"Why it was not"`
}

func (a *api) reportUsage(ctx context.Context, in *reportInput) (*reportOutput, error) {
	if a.Reports == nil {
		return nil, errUnmetered()
	}
	events := make([]usage.Event, len(in.Body.Events))
	for i := range events {
		events[i] = in.Body.Events[i].event()
	}
	requestID := models.ActorFrom(ctx).RequestID
	out := new(reportOutput)
	out.Body.Results = make([]eventResultBody, len(events))
	for i, err := range a.Reports.Report(ctx, events) {
		result := &out.Body.Results[i]
		result.ID, result.Accepted = events[i].ID, err == nil
		if err != nil {
			problem := apierror.From(err).Problem(requestID)
			result.Problem = &problem
		}
	}
	return out, nil
}

type limitsOutput struct {
	Body struct {
		Limits   []limitBody `json:"limits"`
		Degraded bool        `json:"degraded" doc:"Told by one process alone, as the store that all share is out of reach"`
	}
}

// limitBody is a rule in force and what is left of it.
type limitBody struct {
	ruleBody
	Remaining    int64 `json:"remaining" doc:"Units that could be spent now"`
	ResetAfterMS int64 `json:"reset_after_ms" doc:"Time until there is more to spend"`
}

func (a *api) keyLimits(ctx context.Context, in *KeyPath) (*limitsOutput, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	snapshot, err := a.Snapshots.SnapshotOf(ctx, id)
	if err != nil {
		return nil, err
	}
	answer, err := a.Validation.Look(ctx, snapshot)
	if err != nil {
		return nil, err
	}
	out := new(limitsOutput)
	out.Body.Degraded, out.Body.Limits = answer.Degraded, limitBodies(&answer)
	return out, nil
}

func limitBodies(a *validation.Answer) []limitBody {
	bodies := make([]limitBody, len(a.Limits))
	for i := range a.Limits {
		l := &a.Limits[i]
		bodies[i] = limitBody{
			ruleBody:  ruleBodies([]models.Rule{*l.Rule})[0],
			Remaining: l.Remaining, ResetAfterMS: milliseconds(l.ResetAfter),
		}
	}
	return bodies
}
