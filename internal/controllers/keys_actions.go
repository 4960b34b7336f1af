package controllers

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/internal/models"
)

func (a *api) registerKeyActions() {
	action := func(id, verb, summary, description string) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: http.MethodPost, Path: prefix + "/keys/{id}/" + verb, Tags: []string{tagKeys},
			Summary: summary, Description: description, Security: bearer(models.ScopeKeysWrite), DefaultStatus: http.StatusOK,
		}
	}
	register(a, a.createCall(action("rotate-key", "rotate", "Give a key a new secret",
		"The new secret is in this answer and nowhere else. The others go on working for `grace`.")), a.rotateKey)
	register(a, action("revoke-key", "revoke", "Refuse a key for ever",
		"Within a second, every process refuses it."), a.revokeKey)
	register(a, action("suspend-key", "suspend", "Refuse a key for a time",
		"Until the instant given, or until it is activated."), a.suspendKey)
	register(a, action("activate-key", "activate", "End a key's suspension", ""), a.activateKey)
	reset := action("reset-key-limits", "reset-limits", "Forget what was counted against a key",
		"What its owner's keys count together stays.")
	reset.DefaultStatus = http.StatusNoContent
	register(a, reset, a.resetKeyLimits)
	register(a, huma.Operation{
		OperationID: "lookup-key", Method: http.MethodPost, Path: prefix + "/keys/lookup", Tags: []string{tagKeys},
		Summary:     "Find a key by its secret",
		Description: "In a body, as secrets must not be part of a URL.",
		Security:    bearer(models.ScopeKeysRead),
	}, a.lookupKey)
}

type rotateKeyInput struct {
	KeyPath
	IdempotencyHeader
	Body *rotationBody
}

type rotationBody struct {
	Grace duration `json:"grace,omitzero" doc:"How long the present secrets go on working, from 0s (the default) to 720h"`
}

func (a *api) rotateKey(ctx context.Context, in *rotateKeyInput) (*versioned[createdKeyBody], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	var grace time.Duration
	if in.Body != nil {
		grace = time.Duration(in.Body.Grace)
	}
	created, err := a.Keys.Rotate(ctx, id, grace)
	if err != nil {
		return nil, err
	}
	return newVersioned(http.StatusCreated, created.Key.Version, createdKeyOf(&created, a.Now()))
}

func (a *api) revokeKey(ctx context.Context, in *KeyPath) (*versioned[KeyBody], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	return a.keyAnswer(a.Keys.Revoke(ctx, id))
}

type suspendKeyInput struct {
	KeyPath
	Body *suspensionBody
}

type suspensionBody struct {
	Until  *time.Time `json:"until,omitempty" doc:"When the key works again; absent: when it is activated"`
	Reason string     `json:"reason,omitzero" maxLength:"255" doc:"For the record"`
}

func (a *api) suspendKey(ctx context.Context, in *suspendKeyInput) (*versioned[KeyBody], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	if in.Body == nil {
		return a.keyAnswer(a.Keys.Suspend(ctx, id, nil, ""))
	}
	return a.keyAnswer(a.Keys.Suspend(ctx, id, utc(in.Body.Until), in.Body.Reason))
}

func (a *api) activateKey(ctx context.Context, in *KeyPath) (*versioned[KeyBody], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	return a.keyAnswer(a.Keys.Activate(ctx, id))
}

func (a *api) resetKeyLimits(ctx context.Context, in *KeyPath) (*struct{}, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	return nil, a.Keys.ResetLimits(ctx, id)
}

type lookupKeyInput struct{ Body lookupBody }

type lookupBody struct {
	APIKey string `json:"api_key" minLength:"1" maxLength:"512" doc:"The secret"`
}

func (a *api) lookupKey(ctx context.Context, in *lookupKeyInput) (*versioned[KeyBody], error) {
	return a.keyAnswer(a.Keys.Lookup(ctx, in.Body.APIKey))
}
