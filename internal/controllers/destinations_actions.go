package controllers

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/notifications"
)

func (a *api) registerDestinationActions() {
	action := func(id, verb, summary, description string) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: http.MethodPost, Path: prefix + "/destinations/{id}/" + verb, Tags: []string{tagNotifications},
			Summary: summary, Description: description, Security: bearer(models.ScopeAlertsWrite), DefaultStatus: http.StatusOK,
		}
	}
	register(a, action("test-destination", "test", "Send a test to a destination and tell how that went",
		"One attempt, made before the answer comes, also to a destination that is disabled. A test that failed is an answer like "+
			"one that was delivered: `state` tells them apart. It is not tried again."), a.testDestination)
	register(a, a.createCall(action("rotate-destination-secret", "rotate-secret", "Give a webhook a new secret",
		"The new secret is in this answer and nowhere else. For `grace`, the present one signs as well.")), a.rotateDestinationSecret)
	register(a, action("enable-destination", "enable", "Tell a destination of events again",
		"Of what happens from now on: what was canceled stays so."), a.enableDestination)
	register(a, action("disable-destination", "disable", "Tell a destination of nothing any more",
		"What waits for it is canceled."), a.disableDestination)
}

type testDestinationInput struct {
	DestinationPath
	Body *destinationTestBody
}

type destinationTestBody struct {
	To string `json:"to,omitzero" maxLength:"255" doc:"Where the test goes, where the destination goes to owners"`
}

func (a *api) testDestination(ctx context.Context, in *testDestinationInput) (*deliveryOutput, error) {
	var to string
	if in.Body != nil {
		to = in.Body.To
	}
	view, err := a.Notifications.Test(ctx, in.ID, to)
	if err != nil {
		return nil, err
	}
	return &deliveryOutput{deliveryDetailOf(&view)}, nil
}

type rotateDestinationInput struct {
	DestinationPath
	IdempotencyHeader
	Body *secretRotationBody
}

type secretRotationBody struct {
	Grace  *duration `json:"grace,omitempty" doc:"How long the present secret signs as well, from 0s to 168h; 24h unless said otherwise"`
	Secret string    `json:"secret,omitzero" maxLength:"255" doc:"Your own secret: whsec_ and the base64 of 24 to 64 bytes; one is made unless said otherwise"`
}

func (a *api) rotateDestinationSecret(ctx context.Context, in *rotateDestinationInput) (*versioned[createdDestinationBody], error) {
	var r notifications.Rotation
	if in.Body != nil {
		r = notifications.Rotation{Secret: in.Body.Secret, Grace: (*time.Duration)(in.Body.Grace)}
	}
	d, secret, err := a.Notifications.Rotate(ctx, in.ID, r)
	if err != nil {
		return nil, err
	}
	return newVersioned(http.StatusCreated, d.Version, createdDestinationBody{DestinationBody: destinationOf(&d), Secret: secret})
}

func (a *api) enableDestination(ctx context.Context, in *DestinationPath) (*versioned[DestinationBody], error) {
	return destinationAnswer(a.Notifications.Enable(ctx, in.ID))
}

type disableDestinationInput struct {
	DestinationPath
	Body *disablingBody
}

type disablingBody struct {
	Reason string `json:"reason,omitzero" maxLength:"255" doc:"For the record"`
}

func (a *api) disableDestination(ctx context.Context, in *disableDestinationInput) (*versioned[DestinationBody], error) {
	var reason string
	if in.Body != nil {
		reason = in.Body.Reason
	}
	return destinationAnswer(a.Notifications.Disable(ctx, in.ID, reason))
}
