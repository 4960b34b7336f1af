package repositories

import (
	"context"
	"fmt"
	"strings"
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
		if err := newKeys.write(ctx, r.db, keys); err != nil {
			return err
		}
		if err := newSecrets.write(ctx, r.db, secrets); err != nil || r.db.engine != SQLite {
			return err
		}
		var tags []keyTag
		for i := range keys {
			for _, tag := range keys[i].Tags {
				tags = append(tags, keyTag{tag, string(keys[i].ID)})
			}
		}
		return newTags.write(ctx, r.db, tags)
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
	few, err := r.few(ctx, filter, page)
	if err != nil {
		return nil, err
	}
	return list[models.APIKey](ctx, r.db, "key", page, KeySorts, func(g *gorm.DB) *gorm.DB {
		if filter.KeyspaceID != "" {
			g = g.Where("keyspace_id = ?", filter.KeyspaceID)
		}
		if filter.OwnerID != "" {
			g = g.Where("owner_id = ?", filter.OwnerID)
		}
		switch filter.Environment {
		case "":
		case string(apikey.Test):
			g = g.Where("environment = 'test'") // in letters: the index is of these alone
		default:
			g = g.Where("environment = ?", filter.Environment)
		}
		if few != nil {
			g = g.Where("id "+r.db.among, among(r.db, few))
		}
		switch many := few == nil && !sortedByName(page); {
		case filter.Name == "":
		case many && r.db.engine == SQLite: // which would sort all of them: the plus keeps it from their index
			g = g.Where("+name >= ? AND +name < ?", filter.Name, beyondPrefix(filter.Name))
		default:
			g = withPrefix(g, filter.Name)
		}
		if filter.Tag != "" {
			g = g.Where(r.db.tagged, filter.Tag)
		}
		return withStatus(g, filter.Status, now)
	})
}

// fewKeys is of how many keys at most a page is made by finding all of them. Of
// more, it is found along the index that gives its order, which meets enough of
// them soon.
var fewKeys = 10_000 // a variable for tests

// few gives the keys of the tag or the name of the filter where they are few, and
// nil where they are not, or an index of the order serves what is asked.
func (r Keys) few(ctx context.Context, filter models.KeyFilter, page models.Page) ([]models.KeyID, error) {
	if filter.Tag != "" {
		ids, err := r.atMost(ctx, fewKeys, r.db.taggedKeys, filter.Tag)
		if ids != nil || err != nil {
			return ids, err
		}
	}
	if filter.Name == "" || sortedByName(page) {
		return nil, nil
	}
	return r.atMost(ctx, fewKeys, "SELECT id FROM api_keys WHERE name >= ? AND name < ? LIMIT ?", filter.Name, beyondPrefix(filter.Name))
}

func sortedByName(page models.Page) bool { return strings.TrimPrefix(page.Sort, "-") == "name" }

// atMost gives the ids that a query with a limit gives, or nil where they are more.
func (r Keys) atMost(ctx context.Context, most int, query string, args ...any) ([]models.KeyID, error) {
	ids := []models.KeyID{}
	err := r.db.do(ctx, "key", func(g *gorm.DB) error {
		return g.Raw(query, append(args, most+1)...).Scan(&ids).Error
	})
	if err != nil || len(ids) > most {
		return nil, err
	}
	return ids, nil
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
