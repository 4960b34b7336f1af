// Package plans keeps the offers that owners are on: named plans whose rules
// live in versions that never change.
//
// Floor F2. It may import models and the packages of floor F0.
package plans

import (
	"context"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// Store keeps plans. A ref is an id or a name.
type Store interface {
	Create(ctx context.Context, plan *models.Plan, version *models.PlanVersion) error
	Find(ctx context.Context, ref string) (*models.Plan, error)
	Lock(ctx context.Context, ref string) (*models.Plan, error)
	List(ctx context.Context, page models.Page, archived bool) ([]models.Plan, error)
	Update(ctx context.Context, plan *models.Plan) error
	Delete(ctx context.Context, id models.PlanID) error
}

// Versions keeps what plans contained over time.
type Versions interface {
	AddVersion(ctx context.Context, version *models.PlanVersion) error
	FindVersion(ctx context.Context, plan models.PlanID, number int) (*models.PlanVersion, error)
	Versions(ctx context.Context, plan models.PlanID, page models.Page) ([]models.PlanVersion, error)
	CurrentVersions(ctx context.Context, plans []models.PlanID) (map[models.PlanID]models.PlanVersion, error)
}

// Changes makes a change durable in one transaction with its audit row and
// what it makes stale.
type Changes interface {
	InTx(ctx context.Context, fn func(ctx context.Context) error) error
	Record(ctx context.Context, changes ...models.Change) error
}

// Service makes and changes plans. It is safe for concurrent use.
type Service struct {
	store    Store
	versions Versions
	changes  Changes
	now      func() time.Time
}

// New makes the service.
func New(store Store, versions Versions, changes Changes, now func() time.Time) *Service {
	return &Service{store: store, versions: versions, changes: changes, now: now}
}

// View is a plan and its current version.
type View struct {
	Plan    models.Plan        `json:"plan"`
	Version models.PlanVersion `json:"version"`
}

// NewPlan describes a plan to make.
type NewPlan struct {
	Name        string
	Description string
	Rules       []models.Rule
	Metadata    map[string]string
}

// Create makes a plan with its first version.
func (s *Service) Create(ctx context.Context, n NewPlan) (View, error) {
	var v apierror.Validator
	models.ValidateRef(&v, "name", n.Name)
	models.ValidateText(&v, "description", n.Description, models.MaxDescription)
	models.ValidateMetadata(&v, n.Metadata)
	validateRules(&v, n.Rules)
	if err := v.Err(); err != nil {
		return View{}, err
	}
	now := s.now()
	view := View{Plan: models.Plan{
		ID: models.NewID[models.PlanID](), Name: n.Name, Description: n.Description, Metadata: n.Metadata,
		Current: 1, Version: 1, CreatedAt: now, UpdatedAt: now,
	}}
	view.Version = newVersion(&view.Plan, n.Rules, now)
	err := s.changes.InTx(ctx, func(ctx context.Context) error {
		if err := s.store.Create(ctx, &view.Plan, &view.Version); err != nil {
			return err
		}
		return s.changes.Record(ctx, models.Change{
			Action: "plan.create", ObjectKind: "plan", ObjectID: string(view.Plan.ID), After: view,
		})
	})
	if err != nil {
		return View{}, fmt.Errorf("create plan: %w", err)
	}
	return view, nil
}

// Find gives a plan by id or name.
func (s *Service) Find(ctx context.Context, ref string) (View, error) {
	plan, err := s.store.Find(ctx, ref)
	if err != nil {
		return View{}, err
	}
	return s.view(ctx, plan)
}

// List gives a page of the plans, archived ones only if asked for.
func (s *Service) List(ctx context.Context, archived bool, page models.Page) ([]View, error) {
	plans, err := s.store.List(ctx, page, archived)
	if err != nil {
		return nil, err
	}
	ids := make([]models.PlanID, len(plans))
	for i := range plans {
		ids[i] = plans[i].ID
	}
	current, err := s.versions.CurrentVersions(ctx, ids)
	if err != nil {
		return nil, err
	}
	views := make([]View, len(plans))
	for i, plan := range plans {
		views[i] = View{Plan: plan, Version: current[plan.ID]}
	}
	return views, nil
}

// Patch changes a plan; nil fields stay.
type Patch struct {
	Name        *string
	Description *string
	Metadata    *map[string]string
	Archived    *bool
}

// Update changes a plan that is still at the version the caller saw, or at any
// where version is 0.
func (s *Service) Update(ctx context.Context, ref string, version int64, p Patch) (view View, err error) {
	var v apierror.Validator
	if p.Name != nil {
		models.ValidateRef(&v, "name", *p.Name)
	}
	if p.Description != nil {
		models.ValidateText(&v, "description", *p.Description, models.MaxDescription)
	}
	if p.Metadata != nil {
		models.ValidateMetadata(&v, *p.Metadata)
	}
	if err := v.Err(); err != nil {
		return View{}, err
	}
	return s.change(ctx, ref, version, "plan.update", func(_ context.Context, plan *models.Plan) error {
		models.Assign(&plan.Name, p.Name)
		models.Assign(&plan.Description, p.Description)
		models.Assign(&plan.Metadata, p.Metadata)
		if p.Archived != nil {
			s.archive(plan, *p.Archived)
		}
		return nil
	})
}

// Publish gives the plan a new version, which owners that are not pinned
// follow from now on.
func (s *Service) Publish(ctx context.Context, ref string, rules []models.Rule) (View, error) {
	var v apierror.Validator
	validateRules(&v, rules)
	if err := v.Err(); err != nil {
		return View{}, err
	}
	return s.change(ctx, ref, 0, "plan.publish", func(ctx context.Context, plan *models.Plan) error {
		plan.Current++
		next := newVersion(plan, rules, s.now())
		return s.versions.AddVersion(ctx, &next)
	})
}

// Versions gives a page of a plan's versions.
func (s *Service) Versions(ctx context.Context, ref string, page models.Page) ([]models.PlanVersion, error) {
	plan, err := s.store.Find(ctx, ref)
	if err != nil {
		return nil, err
	}
	return s.versions.Versions(ctx, plan.ID, page)
}

// FindVersion gives one version of a plan.
func (s *Service) FindVersion(ctx context.Context, ref string, number int) (*models.PlanVersion, error) {
	plan, err := s.store.Find(ctx, ref)
	if err != nil {
		return nil, err
	}
	return s.versions.FindVersion(ctx, plan.ID, number)
}

// Delete erases a plan that no owner is on; apierror.CodeConflict otherwise:
// such a plan can be archived.
func (s *Service) Delete(ctx context.Context, ref string) error {
	err := s.changes.InTx(ctx, func(ctx context.Context) error {
		plan, err := s.store.Lock(ctx, ref)
		if err != nil {
			return err
		}
		before, err := s.view(ctx, plan)
		if err != nil {
			return err
		}
		if err := s.store.Delete(ctx, plan.ID); err != nil {
			return err
		}
		return s.changes.Record(ctx, models.Change{
			Action: "plan.delete", ObjectKind: "plan", ObjectID: string(plan.ID), Before: before,
		})
	})
	if err != nil {
		return fmt.Errorf("delete plan: %w", err)
	}
	return nil
}

// change applies fn to a locked plan and stores it.
func (s *Service) change(ctx context.Context, ref string, version int64, action string,
	fn func(ctx context.Context, plan *models.Plan) error,
) (view View, err error) {
	err = s.changes.InTx(ctx, func(ctx context.Context) error {
		plan, err := s.store.Lock(ctx, ref)
		if err != nil {
			return err
		}
		if err := models.CheckVersion(version, plan.Version); err != nil {
			return err
		}
		before, err := s.view(ctx, plan)
		if err != nil {
			return err
		}
		if err := fn(ctx, plan); err != nil {
			return err
		}
		if err := s.store.Update(ctx, plan); err != nil {
			return err
		}
		if view, err = s.view(ctx, plan); err != nil {
			return err
		}
		return s.changes.Record(ctx, models.Change{
			Action: action, ObjectKind: "plan", ObjectID: string(plan.ID), Before: before, After: view,
			Stale: []models.Dependency{{Subject: models.SubjectOf("plan", plan.ID), Version: plan.Version}},
		})
	})
	if err != nil {
		return View{}, fmt.Errorf("%s: %w", action, err)
	}
	return view, nil
}

func (s *Service) archive(plan *models.Plan, archived bool) {
	switch {
	case !archived:
		plan.ArchivedAt = nil
	case plan.ArchivedAt == nil:
		now := s.now()
		plan.ArchivedAt = &now
	}
}

func (s *Service) view(ctx context.Context, plan *models.Plan) (View, error) {
	version, err := s.versions.FindVersion(ctx, plan.ID, plan.Current)
	if err != nil {
		return View{}, err
	}
	return View{Plan: *plan, Version: *version}, nil
}

func newVersion(plan *models.Plan, rules []models.Rule, now time.Time) models.PlanVersion {
	return models.PlanVersion{
		ID: models.NewID[models.PlanVersionID](), PlanID: plan.ID, Number: plan.Current, Rules: rules, CreatedAt: now,
	}
}

// validateRules completes and checks the rules of a plan: they count all keys
// of an owner together unless they say otherwise.
func validateRules(v *apierror.Validator, rules []models.Rule) {
	models.NormalizeRules(rules, models.ScopeOwner)
	models.ValidateRules(v, rules, models.ScopeKey, models.ScopeOwner)
}
