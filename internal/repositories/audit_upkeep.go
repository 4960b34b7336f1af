package repositories

import (
	"context"
	"time"

	"gorm.io/gorm"
)

// Prune erases entries from before an instant, in transactions of a bounded
// number of them each.
func (r Audit) Prune(ctx context.Context, before time.Time) error {
	return r.db.repeat(ctx, "audit entry", func(g *gorm.DB) (int64, error) {
		result := g.Exec("DELETE FROM audit_logs WHERE id IN (SELECT id FROM audit_logs WHERE at < ? ORDER BY at, id LIMIT ?)", before.UTC(), eraseRows)
		return result.RowsAffected, result.Error
	})
}
