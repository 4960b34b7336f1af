package repositories

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// Invalidations keeps what was changed, for other processes to hear of.
type Invalidations struct{ db *DB }

// NewInvalidations makes the repository.
func NewInvalidations(db *DB) Invalidations { return Invalidations{db} }

// Append stores invalidations, in the transaction of the change. The database
// gives them their ids and times.
func (r Invalidations) Append(ctx context.Context, rows []models.Invalidation) error {
	if len(rows) == 0 {
		return nil
	}
	return r.db.do(ctx, "invalidation", func(g *gorm.DB) error {
		return g.Omit("created_at").CreateInBatches(rows, insertRows).Error
	})
}

// Since gives the invalidations with an id above after and, by the database's
// clock, those of the last while, in the order of their ids. Ids are given
// before they commit, so a lower one may appear after a higher one, by no more
// than Options.TxTimeout.
func (r Invalidations) Since(ctx context.Context, after int64, while time.Duration) (rows []models.Invalidation, err error) {
	err = r.db.do(ctx, "invalidation", func(g *gorm.DB) error {
		// With an OR in its place, SQLite would read the whole table.
		return g.Where("id IN (SELECT id FROM invalidations WHERE id > ?"+
			" UNION ALL SELECT id FROM invalidations WHERE created_at > "+r.db.ago+")",
			after, while.Microseconds()).Order("id").Find(&rows).Error
	})
	return rows, err
}

// Last gives the highest id, or 0 where there is none.
func (r Invalidations) Last(ctx context.Context) (id int64, err error) {
	err = r.db.do(ctx, "invalidation", func(g *gorm.DB) error {
		return g.Model(&models.Invalidation{}).Select("COALESCE(MAX(id), 0)").Scan(&id).Error
	})
	return id, err
}

// Prune erases the invalidations older than age, by the database's clock, in
// transactions of a bounded number of them each.
func (r Invalidations) Prune(ctx context.Context, age time.Duration) error {
	return r.db.repeat(ctx, "invalidation", func(g *gorm.DB) (int64, error) {
		result := g.Exec("DELETE FROM invalidations WHERE id IN (SELECT id FROM invalidations WHERE created_at < "+r.db.ago+
			" ORDER BY created_at LIMIT ?)", age.Microseconds(), eraseRows)
		return result.RowsAffected, result.Error
	})
}
