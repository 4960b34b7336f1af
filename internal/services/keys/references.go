package keys

import (
	"context"
	"errors"
	"slices"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// references finds what new keys name, each once.
type references struct {
	service   *Service
	keyspaces map[string]*models.Keyspace
	owners    map[string]*models.Owner
	plans     map[string]*models.Plan
}

func newReferences(s *Service) *references {
	return &references{
		service:   s,
		keyspaces: map[string]*models.Keyspace{},
		owners:    map[string]*models.Owner{},
		plans:     map[string]*models.Plan{},
	}
}

func (r *references) keyspace(ctx context.Context, v *apierror.Validator, ref string, into *models.Keyspace) error {
	found, err := find(ctx, r.keyspaces, ref, r.service.Keyspaces.Find)
	v.Check(found != nil, "keyspace", "must name a keyspace that exists")
	if found != nil {
		*into = *found
	}
	return err
}

func (r *references) plan(ctx context.Context, v *apierror.Validator, ref string, into *models.Plan) error {
	found, err := find(ctx, r.plans, ref, r.service.Plans.Find)
	v.Check(found != nil && !found.Archived(), "plan", "must name a plan that exists and is not archived")
	if found != nil {
		*into = *found
	}
	return err
}

// owner finds and locks the owner of another key, and the plan it is on; one
// that is not found leaves into as it is. An implicit owner belongs to its one
// key alone: with another it is implicit no more.
func (r *references) owner(ctx context.Context, v *apierror.Validator, ref string, into *View) error {
	found, err := find(ctx, r.owners, ref, r.service.Owners.Lock)
	fit := found != nil && !found.Archived()
	v.Check(fit, "owner", "must name an owner that exists and is not archived")
	if err != nil || !fit {
		return err
	}
	if found.Implicit {
		before := *found
		found.Implicit = false
		if err := r.service.updateOwner(ctx, "owner.update", before, found); err != nil {
			return err
		}
	}
	into.Owner = *found
	plan, err := find(ctx, r.plans, string(found.PlanID), r.service.Plans.Find)
	if plan != nil {
		into.Plan = *plan
	}
	return err
}

// lockOwners locks the owners of new keys in one order, as batches that locked
// them in their own could wait for each other. Batches share owners, unless they
// change them, which implicit ones are.
func (r *references) lockOwners(ctx context.Context, list []NewKey) error {
	var refs []string
	for i := range list {
		if list[i].Owner != "" {
			refs = append(refs, list[i].Owner)
		}
	}
	slices.Sort(refs)
	refs = slices.Compact(refs)
	shared, err := r.service.Owners.Share(ctx, refs)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if owner, ok := shared[ref]; ok {
			r.owners[ref] = &owner
		} else if _, err := find(ctx, r.owners, ref, r.service.Owners.Lock); err != nil {
			return err
		}
	}
	return nil
}

// find gives what ref names, or nil where there is none.
func find[T any](ctx context.Context, known map[string]*T, ref string,
	load func(context.Context, string) (*T, error),
) (*T, error) {
	if found, ok := known[ref]; ok {
		return found, nil
	}
	found, err := load(ctx, ref)
	if errors.Is(err, apierror.CodeNotFound) {
		found, err = nil, nil
	}
	if err == nil {
		known[ref] = found
	}
	return found, err
}
