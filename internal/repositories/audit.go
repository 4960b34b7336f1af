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
	return r.db.InTx(ctx, func(ctx context.Context) error {
		if err := createMany(ctx, r.db, "audit entry", entries); err != nil {
			return err
		}
		var objects []auditObject
		for i := range entries {
			for _, id := range entries[i].Objects {
				objects = append(objects, auditObject{id, string(entries[i].ID)})
			}
		}
		return auditObjects.write(ctx, r.db, objects)
	})
}

// auditObject is one of the many objects that an entry is about.
type auditObject struct{ object, entry string }

var auditObjects = bulk[auditObject]{
	table: "audit_objects", noun: "audit entry",
	columns: []bulkColumn[auditObject]{
		idOf("object_id", func(o *auditObject) string { return o.object }),
		idOf("entry_id", func(o *auditObject) string { return o.entry }),
	},
}

// aboutObject selects the entries about an object, alone or among many.
func aboutObject(g *gorm.DB, id string) *gorm.DB {
	if _, err := models.ParseID[string](id); err != nil {
		return g.Where("object_id = ?", id) // only what has such an id is changed with many others
	}
	return g.Where("id IN (SELECT id FROM audit_logs WHERE object_id = ?"+
		" UNION ALL SELECT entry_id FROM audit_objects WHERE object_id = ?)", id, id)
}

// List gives a page of the entries that match, sorted by one of [AuditSorts].
func (r Audit) List(ctx context.Context, filter models.AuditFilter, page models.Page) ([]models.AuditEntry, error) {
	return list[models.AuditEntry](ctx, r.db, "audit entry", page, AuditSorts, func(g *gorm.DB) *gorm.DB {
		if filter.ObjectKind != "" {
			g = g.Where("object_kind = ?", filter.ObjectKind)
		}
		if filter.ObjectID != "" {
			g = aboutObject(g, filter.ObjectID)
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
