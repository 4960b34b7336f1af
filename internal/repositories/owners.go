package repositories

import (
	"context"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

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
	return newOwners.write(ctx, r.db, owners)
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

// Share gives the owners that there are of refs and keeps them from changing until
// the transaction ends, as others may at the same time. Implicit ones are left out:
// another key changes them, and two that shared one could not both do that.
func (r Owners) Share(ctx context.Context, refs []string) (map[string]models.Owner, error) {
	ids, names := []models.OwnerID{}, []string{}
	for _, ref := range refs {
		if id, err := models.ParseID[models.OwnerID](ref); err == nil {
			ids = append(ids, id)
		} else if storable(ref) {
			names = append(names, ref)
		}
	}
	found := make(map[string]models.Owner, len(refs))
	for _, by := range []struct {
		column string
		list   any
		none   bool
	}{{"id", ids, len(ids) == 0}, {"external_id", names, len(names) == 0}} {
		if by.none {
			continue
		}
		var rows []models.Owner
		err := r.db.do(ctx, "owner", func(g *gorm.DB) error {
			return g.Where(by.column+" IN ? AND NOT implicit", by.list).Order("id").
				Clauses(clause.Locking{Strength: clause.LockingStrengthShare}).Find(&rows).Error
		})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if found[string(row.ID)] = row; row.ExternalID != nil {
				found[*row.ExternalID] = row
			}
		}
	}
	return found, nil
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
			if *filter.Implicit {
				g = g.Where("implicit")
			} else {
				g = g.Where("NOT implicit") // as the index of these says
			}
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
