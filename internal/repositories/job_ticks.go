package repositories

import (
	"context"
	"time"

	"gorm.io/gorm"
)

// JobTicks lets one of many processes do the work that is due at a time. All
// its times but the tick are by the database's clock, which they share.
type JobTicks struct{ db *DB }

// NewJobTicks makes the repository.
func NewJobTicks(db *DB) JobTicks { return JobTicks{db} }

const tickNoun = "tick"

// Claim tells whether the node is to do the work of the tick: nobody else is at
// it, or whoever was has not done it within the lease.
func (r JobTicks) Claim(ctx context.Context, kind string, tick time.Time, node string, lease time.Duration) (claimed bool, err error) {
	err = r.db.InTx(ctx, func(ctx context.Context) error {
		return r.db.do(ctx, tickNoun, func(g *gorm.DB) error {
			// The clock, less a lease below zero.
			result := g.Exec("INSERT INTO job_ticks (kind, tick, node, lease_until) VALUES (?, ?, ?, "+r.db.ago+")"+
				" ON CONFLICT (kind, tick) DO UPDATE SET node = excluded.node, lease_until = excluded.lease_until"+
				" WHERE job_ticks.done_at IS NULL AND job_ticks.lease_until < "+r.db.ago,
				kind, tick, node, -lease.Microseconds(), 0)
			claimed = result.RowsAffected == 1
			return result.Error
		})
	})
	return claimed && err == nil, err
}

// Done tells that the work of a tick is done: nobody is to do it again.
func (r JobTicks) Done(ctx context.Context, kind string, tick time.Time) error {
	return r.db.do(ctx, tickNoun, func(g *gorm.DB) error {
		result := g.Exec("UPDATE job_ticks SET done_at = "+r.db.ago+" WHERE kind = ? AND tick = ?", 0, kind, tick)
		if result.Error == nil && result.RowsAffected == 0 {
			return gorm.ErrRecordNotFound
		}
		return result.Error
	})
}

// Prune forgets the ticks whose lease ended longer ago than age. A tick that is
// forgotten can be claimed again, so age has to be more than ticks are late.
func (r JobTicks) Prune(ctx context.Context, age time.Duration) error {
	return r.db.do(ctx, tickNoun, func(g *gorm.DB) error {
		return g.Exec("DELETE FROM job_ticks WHERE lease_until < "+r.db.ago, age.Microseconds()).Error
	})
}
