package repositories

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// ExpiredKeys gives keys that had expired by then, and of which that is not
// noted yet: those that expired first, at most so many. Revoked ones are left
// out, here as below.
func (r Keys) ExpiredKeys(ctx context.Context, now time.Time, most int) ([]models.KeyID, error) {
	return r.dueKeys(ctx, func(g *gorm.DB) *gorm.DB {
		return g.Where("expires_at IS NOT NULL AND expiry_noted_at IS NULL AND revoked_at IS NULL AND expires_at <= ?", now).
			Order("expires_at, id").Limit(most)
	})
}

// EndedSuspensions gives keys whose suspension had ended by then and is not
// taken off yet.
func (r Keys) EndedSuspensions(ctx context.Context, now time.Time, most int) ([]models.KeyID, error) {
	return r.dueKeys(ctx, func(g *gorm.DB) *gorm.DB {
		return g.Where("suspended_until IS NOT NULL AND revoked_at IS NULL AND suspended_until <= ?", now).
			Order("suspended_until, id").Limit(most)
	})
}

func (r Keys) dueKeys(ctx context.Context, s scope) (ids []models.KeyID, err error) {
	err = r.db.do(ctx, "key", func(g *gorm.DB) error { return s(g.Model(&models.APIKey{})).Pluck("id", &ids).Error })
	return ids, err
}

// KeysOfExpiredSecrets gives keys with secrets that had expired by then, each
// once, at most so many.
func (r Keys) KeysOfExpiredSecrets(ctx context.Context, expired time.Time, most int) (ids []models.KeyID, err error) {
	err = r.db.do(ctx, "secret", func(g *gorm.DB) error {
		return g.Model(&models.Secret{}).Distinct("key_id").Where("expires_at IS NOT NULL AND expires_at <= ?", expired).
			Order("key_id").Limit(most).Pluck("key_id", &ids).Error
	})
	return ids, err
}

// ActiveOf gives the keys of an owner that are active at now, in the order of
// their ids, from beyond one on, at most so many.
func (r Keys) ActiveOf(ctx context.Context, owner models.OwnerID, beyond models.KeyID, now time.Time, most int) ([]models.KeyID, error) {
	return r.dueKeys(ctx, func(g *gorm.DB) *gorm.DB {
		g = withStatus(g.Where("owner_id = ?", owner), models.KeyActive, now)
		if beyond != "" {
			g = g.Where("id > ?", beyond)
		}
		return g.Order("id").Limit(most)
	})
}
