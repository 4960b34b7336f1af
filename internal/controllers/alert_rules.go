package controllers

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/internal/models"
)

func (a *api) registerAlertRules() {
	register(a, a.createCall(huma.Operation{
		OperationID: "create-alert-rule", Method: http.MethodPost, Path: prefix + "/alert-rules", Tags: []string{tagAlerts},
		Summary: "Create an alert rule", Security: bearer(models.ScopeAlertsWrite),
	}), a.createAlertRule)
	register(a, csvToo(huma.Operation{
		OperationID: "list-alert-rules", Method: http.MethodGet, Path: prefix + "/alert-rules", Tags: []string{tagAlerts},
		Summary: "List alert rules", Security: bearer(models.ScopeAlertsRead),
	}), a.listAlertRules)
	register(a, huma.Operation{
		OperationID: "preview-alert-rule", Method: http.MethodPost, Path: prefix + "/alert-rules/preview", Tags: []string{tagAlerts},
		Summary: "Tell what an alert rule would have done",
		Description: "Times are to the minute for violations, to the quarter of an hour for error rates and quotas, and to the hour for anomalies. " +
			"How a quota was used in the course of its period is estimated by all usage of the key or owner.",
		Security: bearer(models.ScopeAlertsRead), DefaultStatus: http.StatusOK,
	}, a.previewAlertRule)
	register(a, huma.Operation{
		OperationID: "get-alert-rule", Method: http.MethodGet, Path: prefix + "/alert-rules/{id}", Tags: []string{tagAlerts},
		Summary: "Read an alert rule", Security: bearer(models.ScopeAlertsRead),
	}, a.getAlertRule)
	register(a, acceptsPatch(huma.Operation{
		OperationID: "update-alert-rule", Method: http.MethodPatch, Path: prefix + "/alert-rules/{id}", Tags: []string{tagAlerts},
		Summary:     "Change an alert rule",
		Description: "Its alerts are compared with the changed rule. One that is disabled has them resolved, and nobody is told.",
		Security:    bearer(models.ScopeAlertsWrite),
	}), a.updateAlertRule)
	register(a, huma.Operation{
		OperationID: "delete-alert-rule", Method: http.MethodDelete, Path: prefix + "/alert-rules/{id}", Tags: []string{tagAlerts},
		Summary:     "Delete an alert rule",
		Description: "Its alerts are resolved, and nobody is told. They stay in the list.",
		Security:    bearer(models.ScopeAlertsWrite),
	}, a.deleteAlertRule)
}

// AlertRulePath names an alert rule in a path.
type AlertRulePath struct {
	ID string `path:"id" maxLength:"64" doc:"Id or name of the alert rule"`
}

type createAlertRuleInput struct {
	IdempotencyHeader
	Body newAlertRuleBody
}

func (a *api) createAlertRule(ctx context.Context, in *createAlertRuleInput) (*versioned[alertRuleBody], error) {
	rule, err := a.Alerts.CreateRule(ctx, in.Body.rule())
	if err != nil {
		return nil, err
	}
	return newVersioned(http.StatusCreated, rule.Version, alertRuleOf(rule))
}

type listAlertRulesInput struct {
	PageQuery
	Sort string `query:"sort" enum:"created_at,-created_at,updated_at,-updated_at,name,-name" default:"-created_at" doc:"The field to sort by, descending with a minus sign"`
}

func (a *api) listAlertRules(ctx context.Context, in *listAlertRulesInput) (*listOutput[alertRuleBody], error) {
	rules, err := a.Alerts.ListRules(ctx, in.page(in.Sort))
	if err != nil {
		return nil, err
	}
	return answerList(&in.PageQuery, rules, alertRuleOf, func(r *models.AlertRule) models.Position {
		return models.Position{Value: sorted(in.Sort, r.CreatedAt, r.UpdatedAt, r.Name), ID: string(r.ID)}
	}), nil
}

type getAlertRuleInput struct {
	AlertRulePath
	NoneMatchHeader
}

func (a *api) getAlertRule(ctx context.Context, in *getAlertRuleInput) (*versioned[alertRuleBody], error) {
	rule, err := a.Alerts.FindRule(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return answerUnless(in.NoneMatchHeader, rule.Version, alertRuleOf(rule))
}

type updateAlertRuleInput struct {
	AlertRulePath
	MatchHeader
	Body alertRulePatchBody
}

func (a *api) updateAlertRule(ctx context.Context, in *updateAlertRuleInput) (*versioned[alertRuleBody], error) {
	rule, err := patch(in.MatchHeader,
		func() (*models.AlertRule, error) { return a.Alerts.FindRule(ctx, in.ID) },
		func(r **models.AlertRule) int64 { return (*r).Version },
		func(current **models.AlertRule, version int64) (*models.AlertRule, error) {
			return a.Alerts.UpdateRule(ctx, string((*current).ID), version, in.Body.patch())
		})
	if err != nil {
		return nil, err
	}
	return newVersioned(http.StatusOK, rule.Version, alertRuleOf(rule))
}

func (a *api) deleteAlertRule(ctx context.Context, in *AlertRulePath) (*struct{}, error) {
	return nil, a.Alerts.DeleteRule(ctx, in.ID)
}

type previewAlertRuleInput struct{ Body previewBody }

type previewBody struct {
	Rule newAlertRuleBody `json:"rule" doc:"The rule as it would be created; its name may be taken"`
	From *time.Time       `json:"from,omitempty" doc:"Where to begin, at most 31 days before to; 7 unless said otherwise"`
	To   *time.Time       `json:"to,omitempty" doc:"Where to end; now unless said otherwise"`
}

type previewOutput struct{ Body previewedBody }

type previewedBody struct {
	From      time.Time    `json:"from"`
	To        time.Time    `json:"to"`
	Truncated bool         `json:"truncated" doc:"There is more than is listed: at most 1000"`
	Estimated bool         `json:"estimated" doc:"The times are estimates"`
	Data      []firingBody `json:"data" doc:"What would have fired, by time"`
}

type firingBody struct {
	At         time.Time  `json:"at"`
	Subject    string     `json:"subject"`
	OwnerID    string     `json:"owner_id"`
	KeyID      string     `json:"key_id"`
	Quota      string     `json:"quota"`
	Value      float64    `json:"value"`
	Threshold  float64    `json:"threshold"`
	Text       string     `json:"text"`
	ResolvedAt *time.Time `json:"resolved_at" doc:"null where it was not resolved by the end"`
	Resolution string     `json:"resolution"`
}

func (a *api) previewAlertRule(ctx context.Context, in *previewAlertRuleInput) (*previewOutput, error) {
	p, err := a.Alerts.Preview(ctx, in.Body.Rule.rule(), utc(in.Body.From), utc(in.Body.To))
	if err != nil {
		return nil, err
	}
	body := previewedBody{From: p.From, To: p.To, Truncated: p.Truncated, Estimated: p.Estimated, Data: make([]firingBody, len(p.Firings))}
	for i := range p.Firings {
		f := &p.Firings[i]
		body.Data[i] = firingBody{
			At: f.At.UTC(), Subject: f.Subject, OwnerID: string(f.OwnerID), KeyID: string(f.KeyID), Quota: f.Quota, Value: f.Value,
			Threshold: f.Threshold, Text: f.Text, ResolvedAt: utc(f.ResolvedAt), Resolution: string(f.Resolution),
		}
	}
	return &previewOutput{body}, nil
}
