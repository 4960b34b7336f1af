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

func (a *api) registerMaintenanceWindows() {
	register(a, a.createCall(huma.Operation{
		OperationID: "create-maintenance-window", Method: http.MethodPost, Path: prefix + "/maintenance-windows", Tags: []string{tagAlerts},
		Summary:     "Create a maintenance window",
		Description: "During one, alerts open but are not told. Those whose cause is still there at its end are told then.",
		Security:    bearer(models.ScopeAlertsWrite),
	}), a.createMaintenanceWindow)
	register(a, csvToo(huma.Operation{
		OperationID: "list-maintenance-windows", Method: http.MethodGet, Path: prefix + "/maintenance-windows", Tags: []string{tagAlerts},
		Summary: "List maintenance windows", Security: bearer(models.ScopeAlertsRead),
	}), a.listMaintenanceWindows)
	register(a, huma.Operation{
		OperationID: "get-maintenance-window", Method: http.MethodGet, Path: prefix + "/maintenance-windows/{id}", Tags: []string{tagAlerts},
		Summary: "Read a maintenance window", Security: bearer(models.ScopeAlertsRead),
	}, a.getMaintenanceWindow)
	register(a, acceptsPatch(huma.Operation{
		OperationID: "update-maintenance-window", Method: http.MethodPatch, Path: prefix + "/maintenance-windows/{id}", Tags: []string{tagAlerts},
		Summary: "Change a maintenance window", Security: bearer(models.ScopeAlertsWrite),
	}), a.updateMaintenanceWindow)
	register(a, huma.Operation{
		OperationID: "delete-maintenance-window", Method: http.MethodDelete, Path: prefix + "/maintenance-windows/{id}", Tags: []string{tagAlerts},
		Summary: "Delete a maintenance window, which ends it", Security: bearer(models.ScopeAlertsWrite),
	}, a.deleteMaintenanceWindow)
}

// MaintenancePath names a maintenance window in a path.
type MaintenancePath struct {
	ID string `path:"id" maxLength:"64" doc:"Id of the maintenance window"`
}

func (p *MaintenancePath) id() (models.MaintenanceID, error) {
	id, err := models.ParseID[models.MaintenanceID](p.ID)
	if err != nil {
		return "", apierror.NotFound("maintenance window").Wrap(err)
	}
	return id, nil
}

type createMaintenanceInput struct {
	IdempotencyHeader
	Body newMaintenanceBody
}

func (a *api) createMaintenanceWindow(ctx context.Context, in *createMaintenanceInput) (*versioned[maintenanceBody], error) {
	w, err := a.Alerts.CreateWindow(ctx, alerts.NewWindow{
		Name: in.Body.Name, StartsAt: in.Body.StartsAt.UTC(), EndsAt: in.Body.EndsAt.UTC(), Rules: in.Body.Rules, Owner: in.Body.Owner,
	})
	if err != nil {
		return nil, err
	}
	return newVersioned(http.StatusCreated, w.Version, maintenanceOf(w))
}

type listMaintenanceInput struct {
	PageQuery
	Sort string `query:"sort" enum:"created_at,-created_at,name,-name" default:"-created_at" doc:"The field to sort by, descending with a minus sign"`
}

func (a *api) listMaintenanceWindows(ctx context.Context, in *listMaintenanceInput) (*listOutput[maintenanceBody], error) {
	rows, err := a.Alerts.ListWindows(ctx, in.page(in.Sort))
	if err != nil {
		return nil, err
	}
	return answerList(&in.PageQuery, rows, maintenanceOf, func(w *models.MaintenanceWindow) models.Position {
		return models.Position{Value: sorted(in.Sort, w.CreatedAt, w.UpdatedAt, w.Name), ID: string(w.ID)}
	}), nil
}

type getMaintenanceInput struct {
	MaintenancePath
	NoneMatchHeader
}

func (a *api) getMaintenanceWindow(ctx context.Context, in *getMaintenanceInput) (*versioned[maintenanceBody], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	w, err := a.Alerts.FindWindow(ctx, id)
	if err != nil {
		return nil, err
	}
	return answerUnless(in.NoneMatchHeader, w.Version, maintenanceOf(w))
}

type updateMaintenanceInput struct {
	MaintenancePath
	MatchHeader
	Body maintenancePatchBody
}

func (a *api) updateMaintenanceWindow(ctx context.Context, in *updateMaintenanceInput) (*versioned[maintenanceBody], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	w, err := patch(in.MatchHeader,
		func() (*models.MaintenanceWindow, error) { return a.Alerts.FindWindow(ctx, id) },
		func(w **models.MaintenanceWindow) int64 { return (*w).Version },
		func(_ **models.MaintenanceWindow, version int64) (*models.MaintenanceWindow, error) {
			return a.Alerts.UpdateWindow(ctx, id, version, alerts.WindowPatch{
				Name: in.Body.Name, StartsAt: utc(in.Body.StartsAt), EndsAt: utc(in.Body.EndsAt),
				Rules: in.Body.Rules.cleared(), Owner: in.Body.Owner.cleared(),
			})
		})
	if err != nil {
		return nil, err
	}
	return newVersioned(http.StatusOK, w.Version, maintenanceOf(w))
}

func (a *api) deleteMaintenanceWindow(ctx context.Context, in *MaintenancePath) (*struct{}, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	return nil, a.Alerts.DeleteWindow(ctx, id)
}

type newMaintenanceBody struct {
	Name     string    `json:"name" minLength:"1" maxLength:"255" example:"Upgrade of the database" doc:"For people"`
	StartsAt time.Time `json:"starts_at"`
	EndsAt   time.Time `json:"ends_at" doc:"At most 31 days after starts_at"`
	Rules    []string  `json:"rules,omitempty" maxItems:"100" maxLength:"64" doc:"Only alerts of these rules, by id or name; none is all"`
	Owner    string    `json:"owner,omitzero" maxLength:"255" doc:"Only alerts about this owner and its keys, by id or external id"`
}

type maintenancePatchBody struct {
	Name     *string            `json:"name,omitempty" minLength:"1" maxLength:"255"`
	StartsAt *time.Time         `json:"starts_at,omitempty"`
	EndsAt   *time.Time         `json:"ends_at,omitempty"`
	Rules    nullable[[]string] `json:"rules,omitzero" maxItems:"100" maxLength:"64" doc:"Replaces all of them"`
	Owner    nullable[string]   `json:"owner,omitzero" maxLength:"255"`
}

type maintenanceBody struct {
	ID        string               `json:"id" doc:"UUIDv7"`
	Name      string               `json:"name"`
	StartsAt  time.Time            `json:"starts_at"`
	EndsAt    time.Time            `json:"ends_at" doc:"The first instant that is not of it"`
	Rules     []models.AlertRuleID `json:"rules" doc:"Ids of the rules; none is all"`
	OwnerID   *string              `json:"owner_id"`
	CreatedAt time.Time            `json:"created_at"`
	UpdatedAt time.Time            `json:"updated_at"`
}

func maintenanceOf(w *models.MaintenanceWindow) maintenanceBody {
	return maintenanceBody{
		ID: string(w.ID), Name: w.Name, StartsAt: w.StartsAt.UTC(), EndsAt: w.EndsAt.UTC(), Rules: w.RuleIDs,
		OwnerID: (*string)(w.OwnerID), CreatedAt: w.CreatedAt.UTC(), UpdatedAt: w.UpdatedAt.UTC(),
	}
}
