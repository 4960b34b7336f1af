package repositories

import (
	"context"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// Plans keeps plans and their versions. A ref is an id or a name.
type Plans struct{ db *DB }

// NewPlans makes the repository.
func NewPlans(db *DB) Plans { return Plans{db} }

// Create stores a new plan and its first version; its name must not be taken.
func (r Plans) Create(ctx context.Context, plan *models.Plan, version *models.PlanVersion) error {
	return r.db.InTx(ctx, func(ctx context.Context) error {
		if err := create(ctx, r.db, "plan", plan); err != nil {
			return err
		}
		return r.AddVersion(ctx, version)
	})
}

// Find gives a plan.
func (r Plans) Find(ctx context.Context, ref string) (*models.Plan, error) {
	return find[models.Plan](ctx, r.db, "plan", byRef("name", ref))
}

// FindMany gives the plans with these ids.
func (r Plans) FindMany(ctx context.Context, ids []models.PlanID) (map[models.PlanID]models.Plan, error) {
	return findMany(ctx, r.db, "plan", ids, func(p *models.Plan) models.PlanID { return p.ID })
}

// Lock gives a plan and keeps it from changing until the transaction ends.
func (r Plans) Lock(ctx context.Context, ref string) (*models.Plan, error) {
	return find[models.Plan](ctx, r.db, "plan", locked(byRef("name", ref)))
}

// List gives a page of the plans, sorted by one of [PlanSorts]; archived ones
// only if asked for.
func (r Plans) List(ctx context.Context, page models.Page, archived bool) ([]models.Plan, error) {
	return list[models.Plan](ctx, r.db, "plan", page, PlanSorts, func(g *gorm.DB) *gorm.DB {
		if !archived {
			g = g.Where("archived_at IS NULL")
		}
		return g
	})
}

// Update stores a changed plan and moves it to the next version of its row.
func (r Plans) Update(ctx context.Context, p *models.Plan) error {
	return update(ctx, r.db, "plan", p, p.ID, &p.Version, &p.UpdatedAt)
}

// Delete erases a plan that no owner is on, and its versions.
func (r Plans) Delete(ctx context.Context, id models.PlanID) error {
	return erase[models.Plan](ctx, r.db, "plan", id)
}

// AddVersion stores a new version of a plan. That it is the current one, the
// plan says.
func (r Plans) AddVersion(ctx context.Context, version *models.PlanVersion) error {
	return create(ctx, r.db, "plan version", version)
}

// FindVersion gives a version of a plan by its number.
func (r Plans) FindVersion(ctx context.Context, plan models.PlanID, number int) (*models.PlanVersion, error) {
	return find[models.PlanVersion](ctx, r.db, "plan version", func(g *gorm.DB) *gorm.DB {
		return versionsOf(plan)(g).Where("number = ?", number)
	})
}

// Versions gives a page of a plan's versions, sorted by one of
// [PlanVersionSorts].
func (r Plans) Versions(ctx context.Context, plan models.PlanID, page models.Page) ([]models.PlanVersion, error) {
	return list[models.PlanVersion](ctx, r.db, "plan version", page, PlanVersionSorts, versionsOf(plan))
}

// CurrentVersions gives the newest version of each of the plans.
func (r Plans) CurrentVersions(ctx context.Context, plans []models.PlanID) (map[models.PlanID]models.PlanVersion, error) {
	current := make(map[models.PlanID]models.PlanVersion, len(plans))
	if len(plans) == 0 {
		return current, nil
	}
	var rows []models.PlanVersion
	err := r.db.do(ctx, "plan version", func(g *gorm.DB) error {
		return g.Joins("JOIN plans ON plans.id = plan_versions.plan_id AND plans.current = plan_versions.number").
			Where("plans.id IN ?", plans).Find(&rows).Error
	})
	for _, row := range rows {
		current[row.PlanID] = row
	}
	return current, err
}

func versionsOf(plan models.PlanID) scope {
	return func(g *gorm.DB) *gorm.DB { return g.Where("plan_id = ?", plan) }
}
