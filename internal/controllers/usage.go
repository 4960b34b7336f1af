package controllers

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/usage"
	"github.com/viva/rate-limiter/pkg/apierror"
)

func (a *api) registerUsage() {
	about := "Without `group_by`, a series along time in which periods without usage are zeros; with it, the largest of the group, the largest first. " +
		"Usage is kept in quarters of an hour: `from` is moved back to one, and `to` ahead. What is not brought in yet is missing: see `complete_until`."
	register(a, usageCSV(huma.Operation{
		OperationID: "get-usage", Method: http.MethodGet, Path: prefix + "/usage", Tags: []string{tagUsage},
		Summary: "Tell what all keys used", Description: about, Security: bearer(models.ScopeUsageRead),
	}), a.getUsage)
	register(a, usageCSV(huma.Operation{
		OperationID: "get-key-usage", Method: http.MethodGet, Path: prefix + "/keys/{id}/usage", Tags: []string{tagUsage},
		Summary: "Tell what a key used", Description: about, Security: bearer(models.ScopeUsageRead),
	}), a.getKeyUsage)
	register(a, usageCSV(huma.Operation{
		OperationID: "get-owner-usage", Method: http.MethodGet, Path: prefix + "/owners/{id}/usage", Tags: []string{tagUsage},
		Summary: "Tell what the keys of an owner used", Description: about, Security: bearer(models.ScopeUsageRead),
	}), a.getOwnerUsage)
	register(a, csvToo(huma.Operation{
		OperationID: "list-usage-logs", Method: http.MethodGet, Path: prefix + "/usage/logs", Tags: []string{tagUsage},
		Summary:     "List checks and reports one by one, newest first",
		Description: "Of many only some are kept, each standing for 1 ÷ `sample_rate` of its kind: count by `usage`, not by these.",
		Security:    bearer(models.ScopeUsageRead),
	}), a.listUsageLogs)
	register(a, csvToo(huma.Operation{
		OperationID: "list-violations", Method: http.MethodGet, Path: prefix + "/violations", Tags: []string{tagUsage},
		Summary:     "List refusals by a limit, newest first",
		Description: "Refusals of a key by one rule at one endpoint are added up by the minute.",
		Security:    bearer(models.ScopeUsageRead),
	}), a.listViolations)
	register(a, huma.Operation{
		OperationID: "explain-check", Method: http.MethodGet, Path: prefix + "/checks/{request_id}", Tags: []string{tagChecks},
		Summary:     "Explain why a check was answered so, and what it cost in the end",
		Description: "404 `not_recorded` where no row of it is kept.",
		Security:    bearer(models.ScopeUsageRead),
	}, a.explainCheck)
}

func usageCSV(op huma.Operation) huma.Operation {
	op = csvToo(op)
	op.Responses["200"].Description = "A series along time, or a list of the largest"
	return op
}

// UsageQuery are the parameters of usage.
type UsageQuery struct {
	GroupBy     string    `query:"group_by" enum:"owner,key,endpoint,meter" doc:"List the largest of these instead of a series"`
	Granularity string    `query:"granularity" enum:"hour,day,week,month" doc:"The periods of a series; day unless said. Weeks begin on Monday"`
	From        time.Time `query:"from" doc:"Not before this time; before to by 24 hours, 30 days, 12 weeks or a year by granularity, and for a list the start of the month of UTC, or 24 hours for endpoints, unless said"`
	To          time.Time `query:"to" doc:"Before this time; now unless said. At most 31 days after from by the hour, 366 days by the day, 2 years by the week, and 5 years by the month and for a list; 92 days for a list of endpoints, and 48 hours where they are of all keys"`
	TZ          string    `query:"tz" maxLength:"64" example:"Europe/Berlin" doc:"The time zone whose hours, days, weeks and months the periods are; UTC unless said"`
	Meter       string    `query:"meter" maxLength:"64" doc:"What is counted; requests unless said"`
	Endpoint    string    `query:"endpoint" maxLength:"2048" doc:"Only usage of this endpoint, as far as it is counted apart; empty for what named none"`
	Limit       int       `query:"limit" minimum:"1" maximum:"1000" doc:"The most of a group to list; 100 unless said"`

	endpoint *string
}

// Resolve tells an empty endpoint from none, and refuses what would be ignored.
func (q *UsageQuery) Resolve(ctx huma.Context) []error {
	at := ctx.URL()
	query := at.Query()
	if query.Has("endpoint") {
		q.endpoint = &q.Endpoint
	}
	v := apierror.Validator{Location: apierror.Query}
	if q.GroupBy != "" {
		v.Check(!query.Has("granularity"), "granularity", "must be absent where group_by is given")
		v.Check(!query.Has("tz"), "tz", "must be absent where group_by is given")
	} else {
		v.Check(!query.Has("limit"), "limit", "must be absent where group_by is")
	}
	if err := v.Err(); err != nil {
		return []error{err}
	}
	return nil
}

type usageOutput struct{ Body usageAnswer }

// usageAnswer is one of both.
type usageAnswer struct {
	series *usageSeriesBody
	groups *usageGroupsBody
}

// MarshalJSON writes the one that there is.
func (u usageAnswer) MarshalJSON() ([]byte, error) {
	if u.series != nil {
		return encodeJSON(u.series)
	}
	return encodeJSON(u.groups)
}

// Schema is that of either.
func (usageAnswer) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		r.Schema(reflect.TypeFor[usageSeriesBody](), true, ""), r.Schema(reflect.TypeFor[usageGroupsBody](), true, ""),
	}}
}

func (u usageAnswer) columns() []string {
	if u.series != nil {
		return list[UsagePeriodBody]{}.columns()
	}
	return list[UsageGroupBody]{}.columns()
}

func (u usageAnswer) rows(yield func(any) bool) {
	if u.series != nil {
		list[UsagePeriodBody]{Data: u.series.Data}.rows(yield)
		return
	}
	list[UsageGroupBody]{Data: u.groups.Data}.rows(yield)
}

type getUsageInput struct{ UsageQuery }

func (a *api) getUsage(ctx context.Context, in *getUsageInput) (*usageOutput, error) {
	return a.usageOf(ctx, usage.Whose{}, &in.UsageQuery)
}

type getKeyUsageInput struct {
	KeyPath
	UsageQuery
}

func (a *api) getKeyUsage(ctx context.Context, in *getKeyUsageInput) (*usageOutput, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	return a.usageOf(ctx, usage.Whose{Key: id}, &in.UsageQuery)
}

type getOwnerUsageInput struct {
	OwnerPath
	UsageQuery
}

func (a *api) getOwnerUsage(ctx context.Context, in *getOwnerUsageInput) (*usageOutput, error) {
	return a.usageOf(ctx, usage.Whose{Owner: in.ID}, &in.UsageQuery)
}

func (a *api) usageOf(ctx context.Context, whose usage.Whose, q *UsageQuery) (*usageOutput, error) {
	if q.GroupBy == "" {
		series, err := a.Usage.Series(ctx, usage.SeriesQuery{
			Whose: whose, From: q.From, To: q.To, Granularity: models.Granularity(q.Granularity), Zone: q.TZ, Meter: q.Meter, Endpoint: q.endpoint,
		})
		if err != nil {
			return nil, err
		}
		return &usageOutput{usageAnswer{series: usageSeriesOf(&series)}}, nil
	}
	groups, err := a.Usage.Grouped(ctx, usage.GroupQuery{
		Whose: whose, From: q.From, To: q.To, Meter: q.Meter, Endpoint: q.endpoint, By: models.UsageGroup(q.GroupBy), Limit: q.Limit,
	})
	if err != nil {
		return nil, err
	}
	return &usageOutput{usageAnswer{groups: usageGroupsOf(&groups)}}, nil
}

// WhoseQuery narrows a list to a key or an owner.
type WhoseQuery struct {
	KeyID string    `query:"key_id" maxLength:"64" doc:"Only those of this key"`
	Owner string    `query:"owner" maxLength:"255" doc:"Only those of this owner, by id or external id"`
	From  time.Time `query:"from" doc:"Not before this time; 24 hours before to unless said, and 7 days for violations"`
	To    time.Time `query:"to" doc:"Before this time; open unless said. At most 31 days after from, and 92 for violations"`
}

func (q *WhoseQuery) whose() (usage.Whose, error) {
	whose := usage.Whose{Owner: q.Owner}
	if q.KeyID != "" {
		id, err := models.ParseID[models.KeyID](q.KeyID)
		if err != nil {
			return usage.Whose{}, apierror.Invalid(apierror.Field{In: apierror.Query, Name: "key_id", Detail: "must be the id of a key"}).Wrap(err)
		}
		whose.Key = id
	}
	return whose, nil
}

type listUsageLogsInput struct {
	PageQuery
	WhoseQuery
	Code string `query:"code" maxLength:"64" doc:"Only checks with this answer, such as rate_limited"`
}

func (a *api) listUsageLogs(ctx context.Context, in *listUsageLogsInput) (*listOutput[usageLogBody], error) {
	whose, err := in.whose()
	if err != nil {
		return nil, err
	}
	rows, err := a.Usage.Logs(ctx, usage.LogQuery{Whose: whose, Code: in.Code, From: in.From, To: in.To}, in.page(""))
	if err != nil {
		return nil, err
	}
	return answerList(&in.PageQuery, rows, usageLogOf, (*models.UsageLog).Position), nil
}

type listViolationsInput struct {
	PageQuery
	WhoseQuery
	Rule string `query:"rule" maxLength:"64" doc:"Only those by the rule of this name"`
}

func (a *api) listViolations(ctx context.Context, in *listViolationsInput) (*listOutput[violationBody], error) {
	whose, err := in.whose()
	if err != nil {
		return nil, err
	}
	rows, err := a.Usage.Violations(ctx, usage.ViolationQuery{Whose: whose, Rule: in.Rule, From: in.From, To: in.To}, in.page(""))
	if err != nil {
		return nil, err
	}
	return answerList(&in.PageQuery, rows, violationOf, (*models.RateLimitViolation).Position), nil
}

type explainCheckInput struct {
	RequestID string `path:"request_id" maxLength:"128" doc:"The request_id of the answer"`
}

type explainCheckOutput struct{ Body explanationBody }

func (a *api) explainCheck(ctx context.Context, in *explainCheckInput) (*explainCheckOutput, error) {
	e, err := a.Usage.Explain(ctx, in.RequestID)
	if err != nil {
		return nil, err
	}
	return &explainCheckOutput{explanationOf(&e)}, nil
}
