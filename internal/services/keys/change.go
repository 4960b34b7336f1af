package keys

import (
	"context"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// MaxGrace is how long a rotated secret may go on being valid.
const MaxGrace = 30 * 24 * time.Hour

// MaxSecrets is how many secrets of a key may be valid at once.
const MaxSecrets = 10

// Patch changes a key; nil fields stay. ExpiresAt is cleared by a pointer to
// nil. Owner moves the key; Plan changes the plan of an owner that is implicit.
type Patch struct {
	Name        *string
	Owner       *string // id or external id
	Plan        *string // id or name
	ExpiresAt   **time.Time
	AllowedIPs  *[]string
	Permissions *[]string
	Methods     *[]string
	Endpoints   *[]string
	Rules       *[]models.Rule
	Tags        *[]string
	Metadata    *map[string]string
}

// Update changes a key that is still at the version the caller saw, or at any
// where version is 0.
func (s *Service) Update(ctx context.Context, id models.KeyID, version int64, p Patch) (View, error) {
	return s.change(ctx, id, version, "key.update", func(ctx context.Context, view *View) (changed bool, err error) {
		k := &view.Key
		models.Assign(&k.Name, p.Name)
		if p.ExpiresAt != nil && !sameInstant(*p.ExpiresAt, k.ExpiresAt) {
			k.ExpiryNotedAt = nil // another end is told of again
		}
		models.Assign(&k.ExpiresAt, p.ExpiresAt)
		models.Assign(&k.AllowedIPs, p.AllowedIPs)
		models.Assign(&k.Permissions, p.Permissions)
		models.Assign(&k.Methods, p.Methods)
		models.Assign(&k.Endpoints, p.Endpoints)
		models.Assign(&k.Rules, p.Rules)
		models.Assign(&k.Tags, p.Tags)
		models.Assign(&k.Metadata, p.Metadata)
		k.Normalize()
		var v apierror.Validator
		k.Validate(&v)
		if err := s.reassign(ctx, &v, view, p); err != nil {
			return false, err
		}
		return true, v.Err()
	})
}

func sameInstant(a, b *time.Time) bool {
	return a == b || a != nil && b != nil && a.Equal(*b)
}

// reassign moves the key to another owner, or its implicit owner to another
// plan.
func (s *Service) reassign(ctx context.Context, v *apierror.Validator, view *View, p Patch) error {
	refs := newReferences(s)
	if p.Owner != nil && *p.Owner != string(view.Owner.ID) && *p.Owner != view.Owner.Ref() {
		if err := refs.owner(ctx, v, *p.Owner, view); err != nil || v.Err() != nil {
			return err
		}
		left := view.Key.OwnerID
		view.Key.OwnerID = view.Owner.ID
		if err := s.abandon(ctx, left); err != nil {
			return err
		}
	}
	if p.Plan == nil || *p.Plan == view.Plan.Name || *p.Plan == string(view.Plan.ID) {
		return nil
	}
	owner, err := s.Owners.Lock(ctx, string(view.Owner.ID))
	if err != nil {
		return err
	}
	v.Check(owner.Implicit, "plan", "must be changed on the owner of the key: PATCH owners/{id}")
	if err := refs.plan(ctx, v, *p.Plan, &view.Plan); err != nil || v.Err() != nil {
		return err
	}
	before := *owner
	owner.PlanID, owner.PlanVersion, owner.PlanSince = view.Plan.ID, nil, s.Now()
	if err := s.updateOwner(ctx, "owner.update", before, owner); err != nil {
		return err
	}
	view.Owner = *owner
	return nil
}

// abandon archives an implicit owner whose key leaves it.
func (s *Service) abandon(ctx context.Context, id models.OwnerID) error {
	owner, err := s.Owners.Lock(ctx, string(id))
	if err != nil || !owner.Implicit || owner.Archived() {
		return err
	}
	before, now := *owner, s.Now()
	owner.ArchivedAt = &now
	return s.updateOwner(ctx, "owner.archive", before, owner)
}

// updateOwner stores a changed owner.
func (s *Service) updateOwner(ctx context.Context, action string, before models.Owner, owner *models.Owner) error {
	if err := s.Owners.Update(ctx, owner); err != nil {
		return err
	}
	return s.Changes.Record(ctx, models.Change{
		Action: action, ObjectKind: "owner", ObjectID: string(owner.ID), Before: before, After: *owner,
		Stale: []models.Dependency{{Subject: models.SubjectOf("owner", owner.ID), Version: owner.Version}},
	})
}

// Revoke refuses the key for ever, on every node within a second. Revoking
// twice changes nothing.
func (s *Service) Revoke(ctx context.Context, id models.KeyID) (View, error) {
	return s.change(ctx, id, 0, "key.revoke", func(_ context.Context, view *View) (changed bool, err error) {
		changed = view.Key.RevokedAt == nil
		view.Key.Revoke(s.Now())
		return changed, nil
	})
}

// Suspend refuses the key until the given instant, or until it is activated
// where until is nil.
func (s *Service) Suspend(ctx context.Context, id models.KeyID, until *time.Time, reason string) (View, error) {
	return s.change(ctx, id, 0, "key.suspend", func(_ context.Context, view *View) (changed bool, err error) {
		return true, view.Key.Suspend(s.Now(), until, reason)
	})
}

// SuspendActive is Suspend for a key that is active, and changes none that is
// not: it tells whether it did. A suspension there is already is not prolonged.
func (s *Service) SuspendActive(ctx context.Context, id models.KeyID, until time.Time, reason string) (suspended bool, err error) {
	_, err = s.change(ctx, id, 0, "key.suspend", func(_ context.Context, view *View) (changed bool, err error) {
		now := s.Now()
		if suspended = view.Key.Status(now) == models.KeyActive; !suspended {
			return false, nil
		}
		return true, view.Key.Suspend(now, &until, reason)
	})
	return suspended && err == nil, err
}

// Activate ends a suspension; where there is none it changes nothing.
func (s *Service) Activate(ctx context.Context, id models.KeyID) (View, error) {
	return s.change(ctx, id, 0, "key.activate", func(_ context.Context, view *View) (changed bool, err error) {
		changed = view.Key.SuspendedAt != nil
		return changed, view.Key.Activate()
	})
}

// Rotate gives the key a new secret and lets the others live for grace, from 0
// to MaxGrace.
func (s *Service) Rotate(ctx context.Context, id models.KeyID, grace time.Duration) (created Created, err error) {
	if grace < 0 || grace > MaxGrace {
		return Created{}, apierror.Invalid(apierror.Field{
			In: apierror.Body, Name: "grace", Detail: fmt.Sprintf("must be a duration from 0s to %s", MaxGrace),
		})
	}
	created.View, err = s.change(ctx, id, 0, "key.rotate", func(ctx context.Context, view *View) (changed bool, err error) {
		if view.Key.RevokedAt != nil {
			return false, apierror.New(apierror.CodeConflict, "A revoked key cannot be rotated: create a new one")
		}
		now := s.Now()
		living := 0
		for _, secret := range view.Secrets {
			if secret.Valid(now) {
				living++
			}
		}
		if grace > 0 && living >= MaxSecrets {
			return false, apierror.Newf(apierror.CodeConflict,
				"The key has %d secrets in their time of grace: rotate with grace 0s to end it", living)
		}
		if err := s.Secrets.DropSecrets(ctx, id, now); err != nil {
			return false, err
		}
		if err := s.Secrets.ExpireSecrets(ctx, id, now.Add(grace)); err != nil {
			return false, err
		}
		if created.Secret, err = apikey.Generate(view.Keyspace.Prefix, view.Key.Environment); err != nil {
			return false, err
		}
		plain := created.Secret.Reveal()
		secret := s.secret(id, apikey.Sum(plain), apikey.Mask(plain), now)
		if err := s.Secrets.AddSecret(ctx, &secret); err != nil {
			return false, err
		}
		secrets, err := s.Secrets.SecretsOf(ctx, []models.KeyID{id})
		view.Secrets = secrets[id]
		return true, err
	})
	if err != nil {
		return Created{}, err
	}
	return created, nil
}

// Erase removes the key and its secrets for ever; an owner of its own is
// archived.
func (s *Service) Erase(ctx context.Context, id models.KeyID) error {
	err := s.Changes.InTx(ctx, func(ctx context.Context) error {
		key, err := s.Store.Lock(ctx, id)
		if err != nil {
			return err
		}
		view, err := s.view(ctx, *key)
		if err != nil {
			return err
		}
		if err := s.Store.Delete(ctx, id); err != nil {
			return err
		}
		if err := s.abandon(ctx, key.OwnerID); err != nil {
			return err
		}
		return s.Changes.Record(ctx, models.Change{
			Action: "key.erase", ObjectKind: "key", ObjectID: string(id), Before: view.state(),
			Stale: []models.Dependency{{Subject: models.SubjectOf("key", id), Version: key.Version + 1}},
		})
	})
	if err != nil {
		return fmt.Errorf("key.erase: %w", err)
	}
	return nil
}

// change applies fn to a locked key and stores it, if fn changed it.
func (s *Service) change(ctx context.Context, id models.KeyID, version int64, action string,
	fn func(ctx context.Context, view *View) (changed bool, err error),
) (view View, err error) {
	err = s.Changes.InTx(ctx, func(ctx context.Context) error {
		key, err := s.Store.Lock(ctx, id)
		if err != nil {
			return err
		}
		if err := models.CheckVersion(version, key.Version); err != nil {
			return err
		}
		if view, err = s.view(ctx, *key); err != nil {
			return err
		}
		before := view
		if changed, err := fn(ctx, &view); err != nil || !changed {
			return err
		}
		if err := s.Store.Update(ctx, &view.Key); err != nil {
			return err
		}
		return s.Changes.Record(ctx, models.Change{
			Action: action, ObjectKind: "key", ObjectID: string(id), Before: before.state(), After: view.state(),
			Stale: []models.Dependency{{Subject: models.SubjectOf("key", id), Version: view.Key.Version}},
		})
	})
	if err != nil {
		return View{}, fmt.Errorf("%s: %w", action, err)
	}
	return view, nil
}
