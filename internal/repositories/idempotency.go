package repositories

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/viva/rate-limiter/internal/models"
)

// Idempotency keeps the answers to create calls.
type Idempotency struct{ db *DB }

// NewIdempotency makes the repository.
func NewIdempotency(db *DB) Idempotency { return Idempotency{db} }

// Claim makes the transaction the only one to handle the call with this id
// until it ends. On PostgreSQL it answers false at once while another holds it.
// On SQLite it always answers true: transactions follow one another there, so
// the other has ended and Find gives its answer.
func (r Idempotency) Claim(ctx context.Context, id string) (claimed bool, err error) {
	if r.db.transaction(ctx) == nil {
		return false, errors.New("claim of an idempotency key outside a transaction")
	}
	if r.db.engine == SQLite {
		return true, nil
	}
	err = r.db.do(ctx, "idempotency record", func(g *gorm.DB) error {
		return g.Raw("SELECT pg_try_advisory_xact_lock(?)", lockID("idempotency", id)).Scan(&claimed).Error
	})
	return claimed, err
}

// Find gives the record of a call, unless it has expired.
func (r Idempotency) Find(ctx context.Context, id string) (*models.IdempotencyRecord, error) {
	return find[models.IdempotencyRecord](ctx, r.db, "idempotency record",
		func(g *gorm.DB) *gorm.DB { return g.Where("id = ? AND expires_at > ?", id, r.db.now()) })
}

// Save stores the record of a call that was claimed, in place of one that has
// expired.
func (r Idempotency) Save(ctx context.Context, record *models.IdempotencyRecord) error {
	return r.db.do(ctx, "idempotency record", func(g *gorm.DB) error {
		return g.Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "id"}},
			DoUpdates: clause.AssignmentColumns([]string{"request_hash", "status", "response", "created_at", "expires_at"}),
		}).Create(record).Error
	})
}

// Prune erases the records that have expired at now, in transactions of a bounded
// number of them each.
func (r Idempotency) Prune(ctx context.Context, now time.Time) error {
	return r.db.repeat(ctx, "idempotency record", func(g *gorm.DB) (int64, error) {
		result := g.Exec("DELETE FROM idempotency_records WHERE id IN (SELECT id FROM idempotency_records WHERE expires_at <= ?"+
			" ORDER BY expires_at LIMIT ?)", now.UTC(), eraseRows)
		return result.RowsAffected, result.Error
	})
}
