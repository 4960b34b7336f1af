package repositories

import (
	"context"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// Audit keeps who changed what.
type Audit struct{ db *DB }

// NewAudit makes the repository.
func NewAudit(db *DB) Audit { return Audit{db} }

// Append stores entries, in the transaction of the changes.
func (r Audit) Append(ctx context.Context, entries []models.AuditEntry) error {
	return createMany(ctx, r.db, "audit entry", entries)
}

// List gives a page of the entries that match, sorted by one of [AuditSorts].
func (r Audit) List(ctx context.Context, filter models.AuditFilter, page models.Page) ([]models.AuditEntry, error) {
	return list[models.AuditEntry](ctx, r.db, "audit entry", page, AuditSorts, func(g *gorm.DB) *gorm.DB {
		if filter.ObjectKind != "" {
			g = g.Where("object_kind = ?", filter.ObjectKind)
		}
		if filter.ObjectID != "" {
			g = g.Where("object_id = ?", filter.ObjectID)
		}
		if filter.ActorID != "" {
			g = g.Where("actor_id = ?", filter.ActorID)
		}
		if filter.Action != "" {
			g = g.Where("action = ?", filter.Action)
		}
		return g
	})
}
