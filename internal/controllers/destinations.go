package controllers

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/notifications"
)

// tagNotifications groups operations about who is told of events.
const tagNotifications = "Notifications"

func (a *api) registerDestinations() {
	const path = prefix + "/destinations"
	register(a, a.createCall(huma.Operation{
		OperationID: "create-destination", Method: http.MethodPost, Path: path, Tags: []string{tagNotifications},
		Summary:     "Create a destination of notifications",
		Description: "The secret that signs a webhook is in this answer and nowhere else.",
		Security:    bearer(models.ScopeAlertsWrite),
	}), a.createDestination)
	register(a, csvToo(huma.Operation{
		OperationID: "list-destinations", Method: http.MethodGet, Path: path, Tags: []string{tagNotifications},
		Summary: "List destinations", Security: bearer(models.ScopeAlertsRead),
	}), a.listDestinations)
	register(a, huma.Operation{
		OperationID: "get-destination", Method: http.MethodGet, Path: path + "/{id}", Tags: []string{tagNotifications},
		Summary: "Read a destination", Security: bearer(models.ScopeAlertsRead),
	}, a.getDestination)
	register(a, acceptsPatch(huma.Operation{
		OperationID: "update-destination", Method: http.MethodPatch, Path: path + "/{id}", Tags: []string{tagNotifications},
		Summary: "Change a destination", Security: bearer(models.ScopeAlertsWrite),
	}), a.updateDestination)
	register(a, huma.Operation{
		OperationID: "delete-destination", Method: http.MethodDelete, Path: path + "/{id}", Tags: []string{tagNotifications},
		Summary:     "Delete a destination",
		Description: "What waits for it is canceled. What was sent there stays in the list of deliveries.",
		Security:    bearer(models.ScopeAlertsWrite),
	}, a.deleteDestination)
	a.registerDestinationActions()
}

// DestinationPath names a destination in a path.
type DestinationPath struct {
	ID string `path:"id" maxLength:"255" doc:"Id or name of the destination"`
}

type createDestinationInput struct {
	IdempotencyHeader
	Body newDestinationBody
}

func (a *api) createDestination(ctx context.Context, in *createDestinationInput) (*versioned[createdDestinationBody], error) {
	b := &in.Body
	d, secret, err := a.Notifications.Create(ctx, notifications.NewDestination{
		Name: b.Name, Type: models.DestinationType(b.Type), URL: b.URL, Headers: b.Headers, To: b.To, ToOwner: b.ToOwner,
		Events: b.Events, MinSeverity: models.Severity(b.MinSeverity), RatePerMinute: b.RatePerMinute, Secret: b.Secret,
	})
	if err != nil {
		return nil, err
	}
	return newVersioned(http.StatusCreated, d.Version, createdDestinationBody{DestinationBody: destinationOf(&d), Secret: secret})
}

type listDestinationsInput struct {
	PageQuery
	Sort string `query:"sort" enum:"created_at,-created_at,name,-name" default:"-created_at" doc:"The field to sort by, descending with a minus sign"`
}

func (a *api) listDestinations(ctx context.Context, in *listDestinationsInput) (*listOutput[DestinationBody], error) {
	rows, err := a.Notifications.List(ctx, in.page(in.Sort))
	if err != nil {
		return nil, err
	}
	return answerList(&in.PageQuery, rows, destinationOf, func(d *models.Destination) models.Position {
		return models.Position{Value: sorted(in.Sort, d.CreatedAt, d.UpdatedAt, d.Name), ID: string(d.ID)}
	}), nil
}

type getDestinationInput struct {
	DestinationPath
	NoneMatchHeader
}

func (a *api) getDestination(ctx context.Context, in *getDestinationInput) (*versioned[DestinationBody], error) {
	d, err := a.Notifications.Find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return answerUnless(in.NoneMatchHeader, d.Version, destinationOf(&d))
}

type updateDestinationInput struct {
	DestinationPath
	MatchHeader
	Body destinationPatchBody
}

func (a *api) updateDestination(ctx context.Context, in *updateDestinationInput) (*versioned[DestinationBody], error) {
	d, err := patch(in.MatchHeader,
		func() (models.Destination, error) { return a.Notifications.Find(ctx, in.ID) },
		func(d *models.Destination) int64 { return d.Version },
		func(current *models.Destination, version int64) (models.Destination, error) {
			return a.Notifications.Update(ctx, string(current.ID), version, in.Body.patch())
		})
	return destinationAnswer(d, err)
}

func (a *api) deleteDestination(ctx context.Context, in *DestinationPath) (*struct{}, error) {
	return nil, a.Notifications.Delete(ctx, in.ID)
}

func destinationAnswer(d models.Destination, err error) (*versioned[DestinationBody], error) {
	if err != nil {
		return nil, err
	}
	return newVersioned(http.StatusOK, d.Version, destinationOf(&d))
}
