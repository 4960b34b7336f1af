package repositories

import (
	"context"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// Keyspaces keeps keyspaces. A ref is an id or a name.
type Keyspaces struct{ db *DB }

// NewKeyspaces makes the repository.
func NewKeyspaces(db *DB) Keyspaces { return Keyspaces{db} }

// Create stores a new keyspace; its name must not be taken.
func (r Keyspaces) Create(ctx context.Context, keyspace *models.Keyspace) error {
	return create(ctx, r.db, "keyspace", keyspace)
}

// Find gives a keyspace.
func (r Keyspaces) Find(ctx context.Context, ref string) (*models.Keyspace, error) {
	return find[models.Keyspace](ctx, r.db, "keyspace", byRef("name", ref))
}

// FindMany gives the keyspaces with these ids.
func (r Keyspaces) FindMany(ctx context.Context, ids []models.KeyspaceID) (map[models.KeyspaceID]models.Keyspace, error) {
	return findMany(ctx, r.db, "keyspace", ids, func(k *models.Keyspace) models.KeyspaceID { return k.ID })
}

// Lock gives a keyspace and keeps it from changing until the transaction ends.
func (r Keyspaces) Lock(ctx context.Context, ref string) (*models.Keyspace, error) {
	return find[models.Keyspace](ctx, r.db, "keyspace", locked(byRef("name", ref)))
}

// All gives every keyspace, by name. They are few.
func (r Keyspaces) All(ctx context.Context) (rows []models.Keyspace, err error) {
	err = r.db.do(ctx, "keyspace", func(g *gorm.DB) error { return g.Order("name").Find(&rows).Error })
	return rows, err
}

// List gives a page of the keyspaces, sorted by one of [KeyspaceSorts].
func (r Keyspaces) List(ctx context.Context, page models.Page) ([]models.Keyspace, error) {
	return list[models.Keyspace](ctx, r.db, "keyspace", page, KeyspaceSorts, all)
}

// Update stores a changed keyspace and moves it to the next version.
func (r Keyspaces) Update(ctx context.Context, k *models.Keyspace) error {
	return update(ctx, r.db, "keyspace", k, k.ID, &k.Version, &k.UpdatedAt)
}

// Delete erases a keyspace that holds no keys.
func (r Keyspaces) Delete(ctx context.Context, id models.KeyspaceID) error {
	return erase[models.Keyspace](ctx, r.db, "keyspace", id)
}
