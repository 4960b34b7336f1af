package repositories

import (
	"context"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

const auditTable = "audit_logs"

// Audit keeps who changed what.
type Audit struct{ db *DB }

// NewAudit makes the repository.
func NewAudit(db *DB) Audit { return Audit{db} }

// Append stores an entry, in the transaction of the change.
func (r Audit) Append(ctx context.Context, entry *models.AuditEntry) error {
	return r.db.do(ctx, "audit entry", func(g *gorm.DB) error { return g.Table(auditTable).Create(entry).Error })
}

// List gives a page of the entries that match, sorted by one of [AuditSorts].
func (r Audit) List(ctx context.Context, filter models.AuditFilter, page models.Page) ([]models.AuditEntry, error) {
	return list[models.AuditEntry](ctx, r.db, "audit entry", page, AuditSorts, func(g *gorm.DB) *gorm.DB {
		g = g.Table(auditTable)
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
