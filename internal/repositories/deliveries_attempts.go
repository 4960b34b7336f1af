package repositories

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// Begin stores an attempt that is about to be made.
func (r Deliveries) Begin(ctx context.Context, a *models.DeliveryAttempt) error {
	return create(ctx, r.db, "attempt", a)
}

// End stores how an attempt went. One whose delivery is gone went nowhere.
func (r Deliveries) End(ctx context.Context, a *models.DeliveryAttempt) error {
	return r.db.do(ctx, "attempt", func(g *gorm.DB) error { return g.Select("*").UpdateColumns(a).Error })
}

// Attempt gives one attempt.
func (r Deliveries) Attempt(ctx context.Context, id models.DeliveryID, number int) (*models.DeliveryAttempt, error) {
	return find[models.DeliveryAttempt](ctx, r.db, "attempt", func(g *gorm.DB) *gorm.DB {
		return g.Where("delivery_id = ? AND number = ?", id, number)
	})
}

// AttemptsOf gives the attempts of a delivery, in their order.
func (r Deliveries) AttemptsOf(ctx context.Context, id models.DeliveryID) (list []models.DeliveryAttempt, err error) {
	err = r.db.do(ctx, "attempt", func(g *gorm.DB) error {
		return g.Where("delivery_id = ?", id).Order("number").Find(&list).Error
	})
	return list, err
}

// FullSince gives the instant since which a destination has had as many attempts
// as a rate allows, of those after a horizon; zero where it has had fewer.
func (r Deliveries) FullSince(ctx context.Context, destination models.DestinationID, rate int, horizon time.Time) (since time.Time, err error) {
	var times []time.Time
	err = r.db.do(ctx, "attempt", func(g *gorm.DB) error {
		return g.Model(&models.DeliveryAttempt{}).Where("destination_id = ? AND at > ?", destination, horizon).
			Order("at DESC").Offset(rate-1).Limit(1).Pluck("at", &times).Error
	})
	if err != nil || len(times) == 0 {
		return time.Time{}, err
	}
	return times[0].UTC(), nil
}
