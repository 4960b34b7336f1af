package controllers

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/plans"
)

func (a *api) registerPlans() {
	register(a, a.createCall(huma.Operation{
		OperationID: "create-plan", Method: http.MethodPost, Path: prefix + "/plans", Tags: []string{tagPlans},
		Summary: "Create a plan with its first version", Security: bearer(models.ScopePlansWrite),
	}), a.createPlan)
	register(a, csvToo(huma.Operation{
		OperationID: "list-plans", Method: http.MethodGet, Path: prefix + "/plans", Tags: []string{tagPlans},
		Summary: "List plans", Security: bearer(models.ScopePlansRead),
	}), a.listPlans)
	register(a, huma.Operation{
		OperationID: "get-plan", Method: http.MethodGet, Path: prefix + "/plans/{id}", Tags: []string{tagPlans},
		Summary: "Read a plan with its current version", Security: bearer(models.ScopePlansRead),
	}, a.getPlan)
	register(a, acceptsPatch(huma.Operation{
		OperationID: "update-plan", Method: http.MethodPatch, Path: prefix + "/plans/{id}", Tags: []string{tagPlans},
		Summary:     "Change a plan",
		Description: "Its rules change by publishing a version.",
		Security:    bearer(models.ScopePlansWrite),
	}), a.updatePlan)
	register(a, huma.Operation{
		OperationID: "delete-plan", Method: http.MethodDelete, Path: prefix + "/plans/{id}", Tags: []string{tagPlans},
		Summary:     "Delete a plan that no owner is on",
		Description: "One that is used can be archived instead.",
		Security:    bearer(models.ScopePlansWrite),
	}, a.deletePlan)
	register(a, a.createCall(huma.Operation{
		OperationID: "publish-plan-version", Method: http.MethodPost, Path: prefix + "/plans/{id}/versions", Tags: []string{tagPlans},
		Summary:     "Publish a new version of a plan",
		Description: "Owners that are not pinned to a version follow it from now on.",
		Security:    bearer(models.ScopePlansWrite),
	}), a.publishPlan)
	register(a, csvToo(huma.Operation{
		OperationID: "list-plan-versions", Method: http.MethodGet, Path: prefix + "/plans/{id}/versions", Tags: []string{tagPlans},
		Summary: "List the versions of a plan", Security: bearer(models.ScopePlansRead),
	}), a.listPlanVersions)
	register(a, huma.Operation{
		OperationID: "get-plan-version", Method: http.MethodGet, Path: prefix + "/plans/{id}/versions/{number}", Tags: []string{tagPlans},
		Summary: "Read a version of a plan", Security: bearer(models.ScopePlansRead),
	}, a.getPlanVersion)
}

// PlanPath names a plan in a path.
type PlanPath struct {
	ID string `path:"id" maxLength:"255" doc:"Id or name of the plan"`
}

type createPlanInput struct {
	IdempotencyHeader
	Body newPlanBody
}

func (a *api) createPlan(ctx context.Context, in *createPlanInput) (*versioned[planBody], error) {
	rules, err := rulesOf(in.Body.Rules)
	if err != nil {
		return nil, err
	}
	view, err := a.Plans.Create(ctx, plans.NewPlan{
		Name: in.Body.Name, Description: in.Body.Description, Rules: rules, Metadata: in.Body.Metadata,
	})
	if err != nil {
		return nil, err
	}
	return newVersioned(http.StatusCreated, view.Plan.Version, planOf(&view))
}

type listPlansInput struct {
	PageQuery
	Sort            string `query:"sort" enum:"created_at,-created_at,name,-name" default:"-created_at" doc:"The field to sort by, descending with a minus sign"`
	IncludeArchived bool   `query:"include_archived" doc:"Archived plans too"`
}

func (a *api) listPlans(ctx context.Context, in *listPlansInput) (*listOutput[planBody], error) {
	views, err := a.Plans.List(ctx, in.IncludeArchived, in.page(in.Sort))
	if err != nil {
		return nil, err
	}
	return answerList(&in.PageQuery, views, planOf, func(v *plans.View) models.Position {
		return models.Position{Value: sorted(in.Sort, v.Plan.CreatedAt, v.Plan.UpdatedAt, v.Plan.Name), ID: string(v.Plan.ID)}
	}), nil
}

type getPlanInput struct {
	PlanPath
	NoneMatchHeader
}

func (a *api) getPlan(ctx context.Context, in *getPlanInput) (*versioned[planBody], error) {
	view, err := a.Plans.Find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return answerUnless(in.NoneMatchHeader, view.Plan.Version, planOf(&view))
}

type updatePlanInput struct {
	PlanPath
	MatchHeader
	Body planPatchBody
}

func (a *api) updatePlan(ctx context.Context, in *updatePlanInput) (*versioned[planBody], error) {
	view, err := patch(in.MatchHeader,
		func() (plans.View, error) { return a.Plans.Find(ctx, in.ID) },
		func(v *plans.View) int64 { return v.Plan.Version },
		func(current *plans.View, version int64) (plans.View, error) {
			return a.Plans.Update(ctx, string(current.Plan.ID), version, plans.Patch{
				Name: in.Body.Name, Description: in.Body.Description.cleared(), Archived: in.Body.Archived,
				Metadata: in.Body.Metadata.merge(current.Plan.Metadata),
			})
		})
	if err != nil {
		return nil, err
	}
	return newVersioned(http.StatusOK, view.Plan.Version, planOf(&view))
}

func (a *api) deletePlan(ctx context.Context, in *PlanPath) (*struct{}, error) {
	return nil, a.Plans.Delete(ctx, in.ID)
}

type publishPlanInput struct {
	PlanPath
	IdempotencyHeader
	Body newPlanVersionBody
}

func (a *api) publishPlan(ctx context.Context, in *publishPlanInput) (*versioned[planBody], error) {
	rules, err := rulesOf(in.Body.Rules)
	if err != nil {
		return nil, err
	}
	view, err := a.Plans.Publish(ctx, in.ID, rules)
	if err != nil {
		return nil, err
	}
	return newVersioned(http.StatusCreated, view.Plan.Version, planOf(&view))
}

type listPlanVersionsInput struct {
	PlanPath
	PageQuery
	Sort string `query:"sort" enum:"number,-number" default:"-number" doc:"The field to sort by, descending with a minus sign"`
}

func (a *api) listPlanVersions(ctx context.Context, in *listPlanVersionsInput) (*listOutput[planVersionBody], error) {
	versions, err := a.Plans.Versions(ctx, in.ID, in.page(in.Sort))
	if err != nil {
		return nil, err
	}
	return answerList(&in.PageQuery, versions, planVersionOf, func(v *models.PlanVersion) models.Position {
		return models.Position{Value: strconv.Itoa(v.Number), ID: string(v.ID)}
	}), nil
}

type getPlanVersionInput struct {
	PlanPath
	NoneMatchHeader
	Number int `path:"number" minimum:"1" maximum:"2147483647" doc:"Number of the version"`
}

func (a *api) getPlanVersion(ctx context.Context, in *getPlanVersionInput) (*versioned[planVersionBody], error) {
	version, err := a.Plans.FindVersion(ctx, in.ID, in.Number)
	if err != nil {
		return nil, err
	}
	return answerUnless(in.NoneMatchHeader, int64(version.Number), planVersionOf(version))
}
