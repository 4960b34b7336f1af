package repositories

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// SecretsOf gives the secrets of keys, oldest first.
func (r Keys) SecretsOf(ctx context.Context, keys []models.KeyID) (map[models.KeyID][]models.Secret, error) {
	secrets := make(map[models.KeyID][]models.Secret, len(keys))
	if len(keys) == 0 {
		return secrets, nil
	}
	var rows []models.Secret
	err := r.db.do(ctx, "secret", func(g *gorm.DB) error {
		return g.Where("key_id IN ?", keys).Order("key_id").Order("created_at").Order("id").Find(&rows).Error
	})
	for _, row := range rows {
		secrets[row.KeyID] = append(secrets[row.KeyID], row)
	}
	return secrets, err
}

// AddSecret gives a key another secret, whose hash must not be taken.
func (r Keys) AddSecret(ctx context.Context, secret *models.Secret) error {
	return create(ctx, r.db, "secret", secret)
}

// ExpireSecrets lets no secret of the key outlive at.
func (r Keys) ExpireSecrets(ctx context.Context, key models.KeyID, at time.Time) error {
	return r.db.do(ctx, "secret", func(g *gorm.DB) error {
		return g.Model(&models.Secret{}).Where("key_id = ? AND (expires_at IS NULL OR expires_at > ?)", key, at).
			Update("expires_at", at).Error
	})
}

// DropSecrets erases the secrets of the key that had expired by then.
func (r Keys) DropSecrets(ctx context.Context, key models.KeyID, expired time.Time) error {
	return r.db.do(ctx, "secret", func(g *gorm.DB) error {
		return g.Where("key_id = ? AND expires_at <= ?", key, expired).Delete(&models.Secret{}).Error
	})
}

// Rehash stores the hash of a secret in another form, made with the pepper
// named.
func (r Keys) Rehash(ctx context.Context, id models.SecretID, hash apikey.Hash, pepperID string) error {
	return r.db.do(ctx, "secret", func(g *gorm.DB) error {
		result := byID(id)(g.Model(&models.Secret{})).Updates(map[string]any{"hash": hash, "pepper_id": pepperID})
		if result.Error == nil && result.RowsAffected == 0 {
			return gorm.ErrRecordNotFound
		}
		return result.Error
	})
}
