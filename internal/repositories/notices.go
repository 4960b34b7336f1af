package repositories

import (
	"context"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/viva/rate-limiter/internal/models"
)

// Notices keeps what is to be told.
type Notices struct{ db *DB }

// NewNotices makes the repository.
func NewNotices(db *DB) Notices { return Notices{db} }

// Add stores notices in the transaction that makes them true, gives them their
// ids, and asks for their deliveries. Of a DedupKey that is known nothing is
// told again.
func (r Notices) Add(ctx context.Context, notices ...models.Notice) error {
	if len(notices) == 0 {
		return nil
	}
	for i := range notices {
		n := &notices[i]
		n.ID, n.CreatedAt = models.NewID[models.NoticeID](), r.db.now()
		n.Event.ID = n.ID
	}
	return r.db.InTx(ctx, func(ctx context.Context) error {
		err := r.db.do(ctx, "notice", func(g *gorm.DB) error {
			return g.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "dedup_key"}}, DoNothing: true}).CreateInBatches(notices, insertRows).Error
		})
		if err != nil {
			return err
		}
		return Jobs(r).Touch(ctx, models.JobNotifyPlan, "", 0)
	})
}
