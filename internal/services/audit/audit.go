// Package audit records who changed what, in the transaction of each change.
//
// Floor F2. It may import models and the packages of floor F0.
package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// Store keeps the entries.
type Store interface {
	Append(ctx context.Context, entries []models.AuditEntry) error
	List(ctx context.Context, filter models.AuditFilter, page models.Page) ([]models.AuditEntry, error)
}

// Service records changes and lists them. It is safe for concurrent use.
type Service struct {
	store Store
	now   func() time.Time
}

// New makes the service.
func New(store Store, now func() time.Time) *Service { return &Service{store: store, now: now} }

// Record writes changes, made by the actor of ctx, in the transaction of ctx.
// Before and After are stored as JSON; entities hold hashes and masks, never a
// secret, and hashes are left out.
func (s *Service) Record(ctx context.Context, changes ...models.Change) error {
	actor, now := models.ActorFrom(ctx), s.now()
	entries := make([]models.AuditEntry, len(changes))
	for i, c := range changes {
		before, err := state(c.Before)
		if err != nil {
			return fmt.Errorf("audit %s %s: before: %w", c.Action, c.ObjectID, err)
		}
		after, err := state(c.After)
		if err != nil {
			return fmt.Errorf("audit %s %s: after: %w", c.Action, c.ObjectID, err)
		}
		entries[i] = models.AuditEntry{
			ID: models.NewID[models.AuditID](), At: now,
			ActorKind: actor.Kind, ActorID: actor.ID, ActorName: actor.Name, IP: actor.IP, RequestID: actor.RequestID,
			Action: c.Action, ObjectKind: c.ObjectKind, ObjectID: c.ObjectID,
			Before: before, After: after, Objects: c.Objects,
		}
	}
	if err := s.store.Append(ctx, entries); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// List gives a page of the entries that match.
func (s *Service) List(ctx context.Context, filter models.AuditFilter, page models.Page) ([]models.AuditEntry, error) {
	return s.store.List(ctx, filter, page)
}

func state(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	return json.Marshal(v)
}
