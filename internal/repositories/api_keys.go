package repositories

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// Keys keeps keys and their secrets.
type Keys struct{ db *DB }

// NewKeys makes the repository.
func NewKeys(db *DB) Keys { return Keys{db} }

// Create stores new keys and their secrets, all of them or none. The hash of a
// secret must not be taken.
func (r Keys) Create(ctx context.Context, keys []models.APIKey, secrets []models.Secret) error {
	return r.db.InTx(ctx, func(ctx context.Context) error {
		if err := createMany(ctx, r.db, "key", keys); err != nil {
			return err
		}
		return createMany(ctx, r.db, "secret", secrets)
	})
}

// Find gives a key.
func (r Keys) Find(ctx context.Context, id models.KeyID) (*models.APIKey, error) {
	return find[models.APIKey](ctx, r.db, "key", byID(id))
}

// FindMany gives the keys with these ids.
func (r Keys) FindMany(ctx context.Context, ids []models.KeyID) (map[models.KeyID]models.APIKey, error) {
	return findMany(ctx, r.db, "key", ids, func(k *models.APIKey) models.KeyID { return k.ID })
}

// FindBySecret gives the key that a secret opens, whatever its status. The
// hashes are the forms in which that of the secret may have been stored.
func (r Keys) FindBySecret(ctx context.Context, hashes []apikey.Hash) (*models.APIKey, error) {
	return find[models.APIKey](ctx, r.db, "key", func(g *gorm.DB) *gorm.DB {
		return g.Joins("JOIN secrets ON secrets.key_id = api_keys.id").Where("secrets.hash IN ?", hashes)
	})
}

// Lock gives a key and keeps it from changing until the transaction ends.
func (r Keys) Lock(ctx context.Context, id models.KeyID) (*models.APIKey, error) {
	return find[models.APIKey](ctx, r.db, "key", locked(byID(id)))
}

// List gives a page of the keys that match at now, sorted by one of [KeySorts].
func (r Keys) List(ctx context.Context, filter models.KeyFilter, page models.Page, now time.Time) ([]models.APIKey, error) {
	return list[models.APIKey](ctx, r.db, "key", page, KeySorts, func(g *gorm.DB) *gorm.DB {
		if filter.KeyspaceID != "" {
			g = g.Where("keyspace_id = ?", filter.KeyspaceID)
		}
		if filter.OwnerID != "" {
			g = g.Where("owner_id = ?", filter.OwnerID)
		}
		if filter.Environment != "" {
			g = g.Where("environment = ?", filter.Environment)
		}
		if filter.Name != "" {
			g = withPrefix(g, filter.Name)
		}
		if filter.Tag != "" {
			g = g.Where(r.db.tagged, filter.Tag)
		}
		return withStatus(g, filter.Status, now)
	})
}

// withStatus selects the keys of which models.APIKey.Status says so at now.
func withStatus(g *gorm.DB, status models.KeyStatus, now time.Time) *gorm.DB {
	const alive = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)"
	switch status {
	case "":
	case models.KeyRevoked:
		g = g.Where("revoked_at IS NOT NULL")
	case models.KeyExpired:
		g = g.Where("revoked_at IS NULL AND expires_at <= ?", now)
	case models.KeySuspended:
		g = g.Where(alive, now).
			Where("suspended_at IS NOT NULL AND (suspended_until IS NULL OR suspended_until > ?)", now)
	case models.KeyActive:
		g = g.Where(alive, now).Where("suspended_at IS NULL OR suspended_until <= ?", now)
	default:
		_ = g.AddError(fmt.Errorf("list of keys: no status %q", status))
	}
	return g
}

// Update stores a changed key and moves it to the next version.
func (r Keys) Update(ctx context.Context, k *models.APIKey) error {
	return update(ctx, r.db, "key", k, k.ID, &k.Version, &k.UpdatedAt)
}

// Delete erases a key and its secrets.
func (r Keys) Delete(ctx context.Context, id models.KeyID) error {
	return erase[models.APIKey](ctx, r.db, "key", id)
}
