package repositories

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// OldestUnplanned gives when the oldest notice was written that nothing was
// planned for; zero where there is none.
func (r Notices) OldestUnplanned(ctx context.Context) (at time.Time, err error) {
	var times []time.Time
	err = r.db.do(ctx, "notice", func(g *gorm.DB) error {
		return g.Model(&models.Notice{}).Where("planned_at IS NULL").Order("created_at").Limit(1).Pluck("created_at", &times).Error
	})
	if err != nil || len(times) == 0 {
		return time.Time{}, err
	}
	return times[0].UTC(), nil
}

// LockUnplanned gives the oldest notices that nothing was planned for, and keeps
// them for the transaction. A second planner waits for the first and then finds
// what that one left: none is skipped, so that what is new for a destination
// comes into one delivery and not into one of each planner.
func (r Notices) LockUnplanned(ctx context.Context, most int) (list []models.Notice, err error) {
	err = r.db.do(ctx, "notice", func(g *gorm.DB) error {
		return locked(all)(g).Where("planned_at IS NULL").Order("created_at").Order("id").Limit(most).Find(&list).Error
	})
	return list, err
}

// Planned notes that deliveries were made of notices.
func (r Notices) Planned(ctx context.Context, ids []models.NoticeID, now time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	return r.db.do(ctx, "notice", func(g *gorm.DB) error {
		return g.Model(&models.Notice{}).Where("id "+r.db.among, among(r.db, ids)).UpdateColumn("planned_at", now).Error
	})
}

// Prune erases notices that were planned before an instant, and with them the
// memory that they were told: it has to be longer ago than anything is found out
// again. Each batch is a transaction of its own.
func (r Notices) Prune(ctx context.Context, before time.Time) error {
	return r.db.repeat(ctx, "notice", func(g *gorm.DB) (int64, error) {
		result := g.Exec("DELETE FROM notices WHERE id IN (SELECT id FROM notices WHERE planned_at < ? ORDER BY planned_at LIMIT ?)",
			before, deliveryRows)
		return result.RowsAffected, result.Error
	})
}
