package controllers

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/notifications"
	"github.com/viva/rate-limiter/pkg/apierror"
)

func (a *api) registerDeliveries() {
	const path = prefix + "/deliveries"
	register(a, csvToo(huma.Operation{
		OperationID: "list-deliveries", Method: http.MethodGet, Path: path, Tags: []string{tagNotifications},
		Summary:     "List what was sent to destinations, newest first",
		Description: "Kept for 30 days after it ended.",
		Security:    bearer(models.ScopeAlertsRead),
	}), a.listDeliveries)
	register(a, huma.Operation{
		OperationID: "get-delivery", Method: http.MethodGet, Path: path + "/{id}", Tags: []string{tagNotifications},
		Summary: "Read a delivery, its message and every attempt", Security: bearer(models.ScopeAlertsRead),
	}, a.getDelivery)
	register(a, a.createCall(huma.Operation{
		OperationID: "redeliver", Method: http.MethodPost, Path: path + "/{id}/redeliver", Tags: []string{tagNotifications},
		Summary: "Send a message again",
		Description: "A new delivery of the same message, with the same message id and events, whether the first one came or failed. " +
			"Receivers that keep the ids they have handled, as they should, handle it once.",
		Security: bearer(models.ScopeAlertsWrite),
	}), a.redeliver)
}

// DeliveryPath names a delivery in a path.
type DeliveryPath struct {
	ID string `path:"id" maxLength:"64" doc:"The delivery's id"`
}

func (p DeliveryPath) id() (models.DeliveryID, error) {
	id, err := models.ParseID[models.DeliveryID](p.ID)
	if err != nil {
		return "", apierror.NotFound("delivery").Wrap(err)
	}
	return id, nil
}

type listDeliveriesInput struct {
	PageQuery
	Destination string    `query:"destination" maxLength:"255" doc:"Only those to this destination, by id or name; by id, also to one that is deleted"`
	State       string    `query:"state" enum:"pending,delivered,failed,canceled" doc:"Only those in this state"`
	Since       time.Time `query:"since" doc:"Only those made at this time or later"`
}

func (a *api) listDeliveries(ctx context.Context, in *listDeliveriesInput) (*listOutput[DeliveryBody], error) {
	rows, err := a.Notifications.Sent(ctx, notifications.Filter{
		Destination: in.Destination, State: models.DeliveryState(in.State), Since: in.Since,
	}, in.page("-created_at"))
	if err != nil {
		return nil, err
	}
	return answerList(&in.PageQuery, rows, deliveryOf, func(d *models.Delivery) models.Position {
		return models.Position{Value: sorted("-created_at", d.CreatedAt, d.CreatedAt, ""), ID: string(d.ID)}
	}), nil
}

type deliveryOutput struct{ Body deliveryDetailBody }

func (a *api) getDelivery(ctx context.Context, in *DeliveryPath) (*deliveryOutput, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	view, err := a.Notifications.Delivery(ctx, id)
	if err != nil {
		return nil, err
	}
	return &deliveryOutput{deliveryDetailOf(&view)}, nil
}

type redeliverInput struct {
	DeliveryPath
	IdempotencyHeader
}

type redeliverOutput struct{ Body DeliveryBody }

func (a *api) redeliver(ctx context.Context, in *redeliverInput) (*redeliverOutput, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	d, err := a.Notifications.Redeliver(ctx, id)
	if err != nil {
		return nil, err
	}
	return &redeliverOutput{deliveryOf(&d)}, nil
}
