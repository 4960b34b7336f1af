package repositories

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// JobTicks lets one of many processes ask for the work that is due at a time.
type JobTicks struct{ db *DB }

// NewJobTicks makes the repository.
func NewJobTicks(db *DB) JobTicks { return JobTicks{db} }

const tickNoun = "tick"

// claim tells whether the tick was claimed by nobody before. Its end is that of
// the transaction of ctx: another who claims the same waits for it.
func (r JobTicks) claim(ctx context.Context, kind models.JobKind, tick time.Time, node string) (claimed bool, err error) {
	err = r.db.do(ctx, tickNoun, func(g *gorm.DB) error {
		result := g.Exec("INSERT INTO job_ticks (kind, tick, node, claimed_at) VALUES (?, ?, ?, "+r.db.ago+") ON CONFLICT (kind, tick) DO NOTHING",
			kind, tick.UTC(), node, 0)
		claimed = result.RowsAffected == 1
		return result.Error
	})
	return claimed && err == nil, err
}

// Prune forgets the ticks that were claimed longer ago than age. A tick that is
// forgotten can be claimed again, so age has to be more than ticks are late.
func (r JobTicks) Prune(ctx context.Context, age time.Duration) error {
	return r.db.InTx(ctx, func(ctx context.Context) error {
		return r.db.do(ctx, tickNoun, func(g *gorm.DB) error {
			return g.Exec("DELETE FROM job_ticks WHERE claimed_at < "+r.db.ago, age.Microseconds()).Error
		})
	})
}
