package repositories

import (
	"context"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// Owners keeps the accounts that keys belong to. A ref is an id or an external
// id.
type Owners struct{ db *DB }

// NewOwners makes the repository.
func NewOwners(db *DB) Owners { return Owners{db} }

// Create stores a new owner; its external id must not be taken.
func (r Owners) Create(ctx context.Context, owner *models.Owner) error {
	return create(ctx, r.db, "owner", owner)
}

// CreateMany stores new owners, all of them or none.
func (r Owners) CreateMany(ctx context.Context, owners []models.Owner) error {
	return createMany(ctx, r.db, "owner", owners)
}

// Find gives an owner.
func (r Owners) Find(ctx context.Context, ref string) (*models.Owner, error) {
	return find[models.Owner](ctx, r.db, "owner", byRef("external_id", ref))
}

// FindMany gives the owners with these ids.
func (r Owners) FindMany(ctx context.Context, ids []models.OwnerID) (map[models.OwnerID]models.Owner, error) {
	return findMany(ctx, r.db, "owner", ids, func(o *models.Owner) models.OwnerID { return o.ID })
}

// Lock gives an owner and keeps it from changing until the transaction ends.
func (r Owners) Lock(ctx context.Context, ref string) (*models.Owner, error) {
	return find[models.Owner](ctx, r.db, "owner", locked(byRef("external_id", ref)))
}

// List gives a page of the owners that match, sorted by one of [OwnerSorts].
func (r Owners) List(ctx context.Context, filter models.OwnerFilter, page models.Page) ([]models.Owner, error) {
	return list[models.Owner](ctx, r.db, "owner", page, OwnerSorts, func(g *gorm.DB) *gorm.DB {
		if filter.PlanID != "" {
			g = g.Where("plan_id = ?", filter.PlanID)
		}
		if filter.Name != "" {
			g = withPrefix(g, filter.Name)
		}
		if filter.Implicit != nil {
			g = g.Where("implicit = ?", *filter.Implicit)
		}
		if !filter.IncludeArchived {
			g = g.Where("archived_at IS NULL")
		}
		return g
	})
}

// Update stores a changed owner and moves it to the next version.
func (r Owners) Update(ctx context.Context, o *models.Owner) error {
	return update(ctx, r.db, "owner", o, o.ID, &o.Version, &o.UpdatedAt)
}

// Delete erases an owner that holds no keys.
func (r Owners) Delete(ctx context.Context, id models.OwnerID) error {
	return erase[models.Owner](ctx, r.db, "owner", id)
}

// CountKeys tells how many keys an owner holds, whatever their status.
func (r Owners) CountKeys(ctx context.Context, owner models.OwnerID) (n int64, err error) {
	err = r.db.do(ctx, "key", func(g *gorm.DB) error {
		return g.Model(&models.APIKey{}).Where("owner_id = ?", owner).Count(&n).Error
	})
	return n, err
}
