// Package owners keeps the accounts that pay, and whose keys share limits.
//
// Floor F2. It may import models and the packages of floor F0.
package owners

import (
	"context"
	"fmt"
	"net/mail"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// Store keeps owners. A ref is an id or an external id.
type Store interface {
	Create(ctx context.Context, owner *models.Owner) error
	Find(ctx context.Context, ref string) (*models.Owner, error)
	Lock(ctx context.Context, ref string) (*models.Owner, error)
	List(ctx context.Context, filter models.OwnerFilter, page models.Page) ([]models.Owner, error)
	Update(ctx context.Context, owner *models.Owner) error
}

// Keys tells whether an owner still holds keys.
type Keys interface {
	CountKeys(ctx context.Context, owner models.OwnerID) (int64, error)
}

// Plans finds the plans that owners are on. A ref is an id or a name.
type Plans interface {
	Find(ctx context.Context, ref string) (*models.Plan, error)
	FindVersion(ctx context.Context, plan models.PlanID, number int) (*models.PlanVersion, error)
	FindMany(ctx context.Context, ids []models.PlanID) (map[models.PlanID]models.Plan, error)
}

// Changes makes a change durable in one transaction with its audit row and
// what it makes stale.
type Changes interface {
	InTx(ctx context.Context, fn func(ctx context.Context) error) error
	Record(ctx context.Context, changes ...models.Change) error
}

// Service makes and changes owners. It is safe for concurrent use.
type Service struct {
	store       Store
	keys        Keys
	plans       Plans
	changes     Changes
	defaultPlan string
	now         func() time.Time
}

// New makes the service. Owners made without a plan are on defaultPlan.
func New(store Store, keys Keys, plans Plans, changes Changes, defaultPlan string, now func() time.Time) *Service {
	return &Service{store: store, keys: keys, plans: plans, changes: changes, defaultPlan: defaultPlan, now: now}
}

// View is an owner and the plan it is on.
type View struct {
	Owner models.Owner
	Plan  models.Plan
}

// NewOwner describes an owner to make. Empty fields take defaults: the default
// plan, UTC, and the first day of the month.
type NewOwner struct {
	ExternalID  string
	Name        string
	Email       string
	Plan        string
	PlanVersion *int
	Rules       []models.Rule
	TimeZone    string
	AnchorDay   int
	Metadata    map[string]string
}

// Create makes an owner.
func (s *Service) Create(ctx context.Context, n NewOwner) (View, error) {
	now := s.now()
	view := View{Owner: models.Owner{
		ID: models.NewID[models.OwnerID](), Name: n.Name, Email: n.Email, PlanVersion: n.PlanVersion,
		Rules: n.Rules, TimeZone: n.TimeZone, AnchorDay: n.AnchorDay, Metadata: n.Metadata,
		PlanSince: now, Version: 1, CreatedAt: now, UpdatedAt: now,
	}}
	if n.ExternalID != "" {
		view.Owner.ExternalID = &n.ExternalID
	}
	view.Owner.Normalize()
	if n.Plan == "" {
		n.Plan = s.defaultPlan
	}
	err := s.changes.InTx(ctx, func(ctx context.Context) error {
		if err := s.check(ctx, &view, n.Plan); err != nil {
			return err
		}
		if err := s.store.Create(ctx, &view.Owner); err != nil {
			return err
		}
		return s.changes.Record(ctx, models.Change{
			Action: "owner.create", ObjectKind: "owner", ObjectID: string(view.Owner.ID), After: view.Owner,
		})
	})
	if err != nil {
		return View{}, fmt.Errorf("create owner: %w", err)
	}
	return view, nil
}

// Find gives an owner by id or external id.
func (s *Service) Find(ctx context.Context, ref string) (View, error) {
	owner, err := s.store.Find(ctx, ref)
	if err != nil {
		return View{}, err
	}
	return s.view(ctx, owner)
}

// Filter narrows a list; zero fields match all.
type Filter struct {
	Plan            string // id or name
	Name            string // prefix
	Implicit        *bool
	IncludeArchived bool
}

// List gives a page of the owners that match.
func (s *Service) List(ctx context.Context, f Filter, page models.Page) ([]View, error) {
	filter := models.OwnerFilter{Name: f.Name, Implicit: f.Implicit, IncludeArchived: f.IncludeArchived}
	if f.Plan != "" {
		plan, err := s.plans.Find(ctx, f.Plan)
		if err != nil {
			return nil, models.MissingRef(err, apierror.Query, "plan", "plan")
		}
		filter.PlanID = plan.ID
	}
	list, err := s.store.List(ctx, filter, page)
	if err != nil {
		return nil, err
	}
	ids := make([]models.PlanID, len(list))
	for i := range list {
		ids[i] = list[i].PlanID
	}
	plans, err := s.plans.FindMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	views := make([]View, len(list))
	for i, owner := range list {
		views[i] = View{Owner: owner, Plan: plans[owner.PlanID]}
	}
	return views, nil
}

// Patch changes an owner; nil fields stay. ExternalID and PlanVersion are
// cleared by a pointer to nil.
type Patch struct {
	ExternalID  **string
	Name        *string
	Email       *string
	Plan        *string
	PlanVersion **int
	Rules       *[]models.Rule
	TimeZone    *string
	AnchorDay   *int
	Metadata    *map[string]string
}

// Update changes an owner that is still at the version the caller saw, or at
// any where version is 0. Another plan ends a pin to a version of the old one.
func (s *Service) Update(ctx context.Context, ref string, version int64, p Patch) (View, error) {
	return s.change(ctx, ref, version, "owner.update", func(ctx context.Context, view *View) (changed bool, err error) {
		o := &view.Owner
		planBefore, pinBefore := o.PlanID, o.PlanVersion
		plan := string(o.PlanID)
		if p.Plan != nil && *p.Plan != view.Plan.Name && *p.Plan != plan {
			plan, o.PlanVersion = *p.Plan, nil
		}
		models.Assign(&o.ExternalID, p.ExternalID)
		models.Assign(&o.Name, p.Name)
		models.Assign(&o.Email, p.Email)
		models.Assign(&o.PlanVersion, p.PlanVersion)
		models.Assign(&o.Rules, p.Rules)
		models.Assign(&o.TimeZone, p.TimeZone)
		models.Assign(&o.AnchorDay, p.AnchorDay)
		models.Assign(&o.Metadata, p.Metadata)
		o.Normalize()
		if err := s.check(ctx, view, plan); err != nil {
			return false, err
		}
		if !o.OnPlan(planBefore, pinBefore) {
			o.PlanSince = s.now()
		}
		return true, nil
	})
}

// Delete archives an owner that holds no keys; apierror.CodeConflict otherwise.
// Its history stays. Deleting twice changes nothing.
func (s *Service) Delete(ctx context.Context, ref string) error {
	_, err := s.change(ctx, ref, 0, "owner.archive", func(ctx context.Context, view *View) (changed bool, err error) {
		if view.Owner.Archived() {
			return false, nil
		}
		n, err := s.keys.CountKeys(ctx, view.Owner.ID)
		if err != nil {
			return false, err
		}
		if n > 0 {
			return false, apierror.Newf(apierror.CodeConflict, "The owner still holds %d keys: erase or move them first", n)
		}
		now := s.now()
		view.Owner.ArchivedAt = &now
		return true, nil
	})
	return err
}

// change applies fn to a locked owner and stores it, if fn changed it.
func (s *Service) change(ctx context.Context, ref string, version int64, action string,
	fn func(ctx context.Context, view *View) (changed bool, err error),
) (view View, err error) {
	err = s.changes.InTx(ctx, func(ctx context.Context) error {
		owner, err := s.store.Lock(ctx, ref)
		if err != nil {
			return err
		}
		if err := models.CheckVersion(version, owner.Version); err != nil {
			return err
		}
		before := *owner
		if view, err = s.view(ctx, owner); err != nil {
			return err
		}
		if changed, err := fn(ctx, &view); err != nil || !changed {
			return err
		}
		if err := s.store.Update(ctx, &view.Owner); err != nil {
			return err
		}
		return s.changes.Record(ctx, models.Change{
			Action: action, ObjectKind: "owner", ObjectID: string(owner.ID), Before: before, After: view.Owner,
			Stale: []models.Dependency{{Subject: models.SubjectOf("owner", owner.ID), Version: view.Owner.Version}},
		})
	})
	if err != nil {
		return View{}, fmt.Errorf("%s: %w", action, err)
	}
	return view, nil
}

// check validates the owner and sets the plan it names.
func (s *Service) check(ctx context.Context, view *View, plan string) error {
	o := &view.Owner
	var v apierror.Validator
	if o.ExternalID != nil {
		models.ValidateExternalID(&v, "external_id", *o.ExternalID)
	}
	if o.Name != "" {
		models.ValidateName(&v, "name", o.Name)
	}
	if o.Email != "" {
		addr, err := mail.ParseAddress(o.Email)
		v.Check(err == nil && addr.Address == o.Email && len(o.Email) <= models.MaxName, "email", "must be an e-mail address")
	}
	_, err := models.LoadZone(o.TimeZone)
	v.Check(err == nil, "time_zone", `must be an IANA time zone such as "Europe/Berlin"`)
	v.Check(o.AnchorDay >= 1 && o.AnchorDay <= 31, "anchor_day", "must be from 1 to 31")
	models.ValidateRules(&v, o.Rules, models.ScopeKey, models.ScopeOwner)
	models.ValidateMetadata(&v, o.Metadata)
	if err := v.Err(); err != nil {
		return err
	}
	return s.assignPlan(ctx, view, plan)
}

func (s *Service) assignPlan(ctx context.Context, view *View, ref string) error {
	plan, err := s.plans.Find(ctx, ref)
	if err != nil {
		return models.MissingRef(err, apierror.Body, "plan", "plan")
	}
	if plan.Archived() && plan.ID != view.Owner.PlanID {
		return apierror.Invalid(apierror.Field{In: apierror.Body, Name: "plan", Detail: "must be a plan that is not archived"})
	}
	if n := view.Owner.PlanVersion; n != nil {
		if _, err := s.plans.FindVersion(ctx, plan.ID, *n); err != nil {
			return models.MissingRef(err, apierror.Body, "plan_version", "version of the plan")
		}
	}
	view.Owner.PlanID, view.Plan = plan.ID, *plan
	return nil
}

func (s *Service) view(ctx context.Context, owner *models.Owner) (View, error) {
	plan, err := s.plans.Find(ctx, string(owner.PlanID))
	if err != nil {
		return View{}, fmt.Errorf("plan of owner %s: %w", owner.ID, err)
	}
	return View{Owner: *owner, Plan: *plan}, nil
}
