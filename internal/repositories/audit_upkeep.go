package repositories

import (
	"context"
	"time"

	"gorm.io/gorm"
)

// pruneEntries bounds the entries that one transaction erases.
const pruneEntries = 200

// Prune erases entries from before an instant, in transactions of a bounded
// number of them each.
func (r Audit) Prune(ctx context.Context, before time.Time) error {
	return r.db.repeat(ctx, "audit entry", func(g *gorm.DB) (int64, error) {
		const due = "(SELECT id FROM audit_logs WHERE at < ? ORDER BY at, id LIMIT ?)"
		// Each entry may be about a thousand objects.
		if err := g.Exec("DELETE FROM audit_objects WHERE entry_id IN "+due, before.UTC(), pruneEntries).Error; err != nil {
			return 0, err
		}
		result := g.Exec("DELETE FROM audit_logs WHERE id IN "+due, before.UTC(), pruneEntries)
		return result.RowsAffected, result.Error
	})
}
