package controllers

import (
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/alerts"
)

// alertParamsIn are the parameters of a rule as they come in; alertParamsBody as
// they go out.
type alertParamsIn struct {
	Percent              float64  `json:"percent,omitzero" minimum:"0.01" maximum:"1000" doc:"quota: from 1 to 1000; error_rate: above 0, at most 100; in hundredths"`
	Quota                string   `json:"quota,omitzero" maxLength:"64" doc:"quota: only quotas of this name"`
	Window               duration `json:"window,omitzero" doc:"violations: whole minutes up to 24h; error_rate: a multiple of 15m up to 24h; system: for how long losses are spoken of, 1h unless said otherwise"`
	Per                  string   `json:"per,omitzero" enum:"key,owner" doc:"violations, error_rate, anomaly: whom to count together; key unless said otherwise"`
	Count                int64    `json:"count,omitzero" minimum:"1" maximum:"9007199254740991" doc:"violations: refusals in the window"`
	MinReports           int64    `json:"min_reports,omitzero" minimum:"1" maximum:"9007199254740991" doc:"error_rate: of fewer reports nothing is said; 1 unless said otherwise"`
	ClientErrors         bool     `json:"client_errors,omitzero" doc:"error_rate: 4xx count as failures, too"`
	Factor               float64  `json:"factor,omitzero" minimum:"1" maximum:"1000" doc:"anomaly: how many times the usual, above 1 and at most 1000"`
	Weeks                int      `json:"weeks,omitzero" minimum:"1" maximum:"4" doc:"anomaly: how many past weeks are the usual; 4 unless said otherwise"`
	MinUnits             int64    `json:"min_units,omitzero" minimum:"1" maximum:"9007199254740991" doc:"anomaly: what is less in an hour is never one"`
	Drop                 bool     `json:"drop,omitzero" doc:"anomaly: the usual divided by the factor, or less, is one as well"`
	FailedJobs           bool     `json:"failed_jobs,omitzero" doc:"system: jobs failed for good"`
	IngestionLag         duration `json:"ingestion_lag,omitzero" doc:"system: usage is brought in so late, from 1s to 24h"`
	IngestLosses         bool     `json:"ingest_losses,omitzero" doc:"system: records of usage were lost or refused"`
	DestinationsDisabled bool     `json:"destinations_disabled,omitzero" doc:"system: destinations of notifications failed for so long that they are disabled"`
}

func (b *alertParamsIn) params() models.AlertParams {
	return models.AlertParams{
		Percent: b.Percent, Quota: b.Quota, Window: models.Span(b.Window), Per: models.AlertPer(b.Per), Count: b.Count,
		MinReports: b.MinReports, ClientErrors: b.ClientErrors, Factor: b.Factor, Weeks: b.Weeks, MinUnits: b.MinUnits, Drop: b.Drop,
		FailedJobs: b.FailedJobs, IngestionLag: models.Span(b.IngestionLag), IngestLosses: b.IngestLosses, DestinationsDisabled: b.DestinationsDisabled,
	}
}

// alertParamsBody has what a rule of its kind looks for.
type alertParamsBody struct {
	Percent              float64 `json:"percent,omitzero"`
	Quota                string  `json:"quota,omitzero"`
	WindowMS             int64   `json:"window_ms,omitzero"`
	Per                  string  `json:"per,omitzero"`
	Count                int64   `json:"count,omitzero"`
	MinReports           int64   `json:"min_reports,omitzero"`
	ClientErrors         bool    `json:"client_errors,omitzero"`
	Factor               float64 `json:"factor,omitzero"`
	Weeks                int     `json:"weeks,omitzero"`
	MinUnits             int64   `json:"min_units,omitzero"`
	Drop                 bool    `json:"drop,omitzero"`
	FailedJobs           bool    `json:"failed_jobs,omitzero"`
	IngestionLagMS       int64   `json:"ingestion_lag_ms,omitzero"`
	IngestLosses         bool    `json:"ingest_losses,omitzero"`
	DestinationsDisabled bool    `json:"destinations_disabled,omitzero"`
}

type newAlertRuleBody struct {
	Name         string        `json:"name,omitzero" maxLength:"64" example:"quota-90" doc:"Unique"`
	Kind         string        `json:"kind" enum:"quota,violations,error_rate,anomaly,system" doc:"What it looks at"`
	Severity     string        `json:"severity,omitzero" enum:"info,warning,critical" doc:"warning unless said otherwise"`
	Enabled      *bool         `json:"enabled,omitempty" doc:"true unless said otherwise"`
	Params       alertParamsIn `json:"params" doc:"What it looks for, by its kind"`
	Owner        string        `json:"owner,omitzero" maxLength:"255" doc:"Only this owner, by id or external id"`
	Key          string        `json:"key,omitzero" maxLength:"64" doc:"Only this key"`
	Plan         string        `json:"plan,omitzero" maxLength:"255" doc:"Only owners on this plan, by id or name"`
	For          duration      `json:"for,omitzero" doc:"How long the cause has to last before it fires; not at all unless said otherwise"`
	ResolveAfter *duration     `json:"resolve_after,omitempty" doc:"How long the cause has to be gone before it resolves; 5m unless said otherwise, of quotas 0s"`
	RepeatEvery  *duration     `json:"repeat_every,omitempty" doc:"How often an active alert is told again, 0s for never; 4h unless said otherwise, of quotas never"`
	Destinations []string      `json:"destinations,omitempty" maxItems:"50" maxLength:"64" doc:"Ids of those who are told; none leaves it to what each wants"`
}

func (b *newAlertRuleBody) rule() alerts.NewRule {
	return alerts.NewRule{
		Name: b.Name, Kind: models.AlertKind(b.Kind), Severity: models.Severity(b.Severity), Enabled: b.Enabled == nil || *b.Enabled,
		Params: b.Params.params(), Owner: b.Owner, Key: b.Key, Plan: b.Plan, For: time.Duration(b.For),
		ResolveAfter: (*time.Duration)(b.ResolveAfter), RepeatEvery: (*time.Duration)(b.RepeatEvery), Destinations: destinationIDs(b.Destinations),
	}
}

func destinationIDs(list []string) []models.DestinationID {
	ids := make([]models.DestinationID, len(list))
	for i, id := range list {
		ids[i] = models.DestinationID(id)
	}
	return ids
}

type alertRulePatchBody struct {
	Name         *string            `json:"name,omitempty" minLength:"1" maxLength:"64"`
	Severity     *string            `json:"severity,omitempty" enum:"info,warning,critical"`
	Enabled      *bool              `json:"enabled,omitempty"`
	Params       *alertParamsIn     `json:"params,omitempty" doc:"Replaces all of them"`
	Owner        nullable[string]   `json:"owner,omitzero" maxLength:"255"`
	Key          nullable[string]   `json:"key,omitzero" maxLength:"64"`
	Plan         nullable[string]   `json:"plan,omitzero" maxLength:"255"`
	For          *duration          `json:"for,omitempty"`
	ResolveAfter *duration          `json:"resolve_after,omitempty"`
	RepeatEvery  *duration          `json:"repeat_every,omitempty"`
	Destinations nullable[[]string] `json:"destinations,omitzero" maxItems:"50" maxLength:"64" doc:"Replaces all of them"`
}

func (b *alertRulePatchBody) patch() alerts.RulePatch {
	p := alerts.RulePatch{
		Name: b.Name, Severity: (*models.Severity)(b.Severity), Enabled: b.Enabled,
		Owner: b.Owner.cleared(), Key: b.Key.cleared(), Plan: b.Plan.cleared(),
		For: (*time.Duration)(b.For), ResolveAfter: (*time.Duration)(b.ResolveAfter), RepeatEvery: (*time.Duration)(b.RepeatEvery),
	}
	if b.Params != nil {
		params := b.Params.params()
		p.Params = &params
	}
	if list := b.Destinations.cleared(); list != nil {
		ids := destinationIDs(*list)
		p.Destinations = &ids
	}
	return p
}

type alertRuleBody struct {
	ID             string                 `json:"id"`
	Name           string                 `json:"name"`
	Kind           string                 `json:"kind"`
	Severity       string                 `json:"severity"`
	Enabled        bool                   `json:"enabled"`
	Params         alertParamsBody        `json:"params"`
	OwnerID        *string                `json:"owner_id"`
	KeyID          *string                `json:"key_id"`
	PlanID         *string                `json:"plan_id"`
	ForMS          int64                  `json:"for_ms" doc:"How long the cause has to last before it fires"`
	ResolveAfterMS int64                  `json:"resolve_after_ms" doc:"How long the cause has to be gone before it resolves"`
	RepeatEveryMS  int64                  `json:"repeat_every_ms" doc:"How often an active alert is told again; 0 is never"`
	Destinations   []models.DestinationID `json:"destinations" doc:"Those who are told; none leaves it to what each wants"`
	CreatedAt      time.Time              `json:"created_at"`
	UpdatedAt      time.Time              `json:"updated_at"`
}

func alertRuleOf(r *models.AlertRule) alertRuleBody {
	p := &r.Params
	ms := func(s models.Span) int64 { return time.Duration(s).Milliseconds() }
	return alertRuleBody{
		ID: string(r.ID), Name: r.Name, Kind: string(r.Kind), Severity: string(r.Severity), Enabled: r.Enabled,
		Params: alertParamsBody{
			Percent: p.Percent, Quota: p.Quota, WindowMS: ms(p.Window), Per: string(p.Per), Count: p.Count,
			MinReports: p.MinReports, ClientErrors: p.ClientErrors, Factor: p.Factor, Weeks: p.Weeks, MinUnits: p.MinUnits, Drop: p.Drop,
			FailedJobs: p.FailedJobs, IngestionLagMS: ms(p.IngestionLag), IngestLosses: p.IngestLosses, DestinationsDisabled: p.DestinationsDisabled,
		},
		OwnerID: (*string)(r.OwnerID), KeyID: (*string)(r.KeyID), PlanID: (*string)(r.PlanID),
		ForMS: ms(r.For), ResolveAfterMS: ms(r.ResolveAfter), RepeatEveryMS: ms(r.RepeatEvery),
		Destinations: r.Destinations, CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
	}
}
