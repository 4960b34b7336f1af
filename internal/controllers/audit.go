package controllers

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/viva/rate-limiter/internal/models"
)

func (a *api) registerAudit() {
	register(a, csvToo(huma.Operation{
		OperationID: "list-audit-logs", Method: http.MethodGet, Path: prefix + "/admin/audit-logs", Tags: []string{tagAccess},
		Summary: "List the changes that were made", Security: bearer(models.ScopeAdmin),
	}), a.listAudit)
}

type listAuditInput struct {
	PageQuery
	Sort       string `query:"sort" enum:"at,-at" default:"-at" doc:"The field to sort by, descending with a minus sign"`
	ObjectKind string `query:"object_kind" maxLength:"64" doc:"Only changes of such objects: key, keyspace, owner, plan, token"`
	ObjectID   string `query:"object_id" maxLength:"64" doc:"Only changes of this object"`
	ActorID    string `query:"actor_id" maxLength:"64" doc:"Only changes by this actor"`
	Action     string `query:"action" maxLength:"64" doc:"Only such changes, such as key.revoke"`
}

type auditBody struct {
	ID         string    `json:"id" doc:"UUIDv7"`
	At         time.Time `json:"at"`
	Action     string    `json:"action" example:"key.revoke"`
	ObjectKind string    `json:"object_kind"`
	ObjectID   string    `json:"object_id"`
	ActorKind  string    `json:"actor_kind" doc:"token, cli or system"`
	ActorID    string    `json:"actor_id"`
	ActorName  string    `json:"actor_name"`
	IP         string    `json:"ip"`
	RequestID  string    `json:"request_id"`
	Before     state     `json:"before" doc:"The object before the change, secrets masked; null for a creation"`
	After      state     `json:"after" doc:"The object after the change; null for an erasure"`
}

// state is an object as it is stored, whatever its members.
type state jsontext.Value

// MarshalJSON writes null where there is none.
func (s state) MarshalJSON() ([]byte, error) {
	if len(s) == 0 {
		return []byte("null"), nil
	}
	return s, nil
}

// Schema is an object with any members.
func (state) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, Nullable: true, AdditionalProperties: true}
}

func (a *api) listAudit(ctx context.Context, in *listAuditInput) (*listOutput[auditBody], error) {
	entries, err := a.Audit.List(ctx, models.AuditFilter{
		ObjectKind: in.ObjectKind, ObjectID: in.ObjectID, ActorID: in.ActorID, Action: in.Action,
	}, in.page(in.Sort))
	if err != nil {
		return nil, err
	}
	return answerList(&in.PageQuery, entries, auditOf, func(e *models.AuditEntry) models.Position {
		return models.Position{Value: e.At.UTC().Format(time.RFC3339Nano), ID: string(e.ID)}
	}), nil
}

func auditOf(e *models.AuditEntry) auditBody {
	return auditBody{
		ID: string(e.ID), At: e.At.UTC(), Action: e.Action, ObjectKind: e.ObjectKind, ObjectID: e.ObjectID,
		ActorKind: e.ActorKind, ActorID: e.ActorID, ActorName: e.ActorName, IP: e.IP, RequestID: e.RequestID,
		Before: state(e.Before), After: state(e.After),
	}
}
