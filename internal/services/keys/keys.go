// Package keys makes, changes and ends API keys, their secrets, and the
// keyspaces they live in.
//
// Floor F2. It may import models and the packages of floor F0.
package keys

import (
	"context"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// Store keeps keys.
type Store interface {
	Create(ctx context.Context, keys []models.APIKey, secrets []models.Secret) error
	Find(ctx context.Context, id models.KeyID) (*models.APIKey, error)
	Lock(ctx context.Context, id models.KeyID) (*models.APIKey, error)
	Update(ctx context.Context, key *models.APIKey) error
	Delete(ctx context.Context, id models.KeyID) error
}

// Lists finds keys by what they are.
type Lists interface {
	List(ctx context.Context, filter models.KeyFilter, page models.Page, now time.Time) ([]models.APIKey, error)
	FindBySecret(ctx context.Context, hashes []apikey.Hash) (*models.APIKey, error)
}

// Secrets keeps the secrets of keys.
type Secrets interface {
	SecretsOf(ctx context.Context, keys []models.KeyID) (map[models.KeyID][]models.Secret, error)
	AddSecret(ctx context.Context, secret *models.Secret) error
	// ExpireSecrets lets no secret of the key outlive at.
	ExpireSecrets(ctx context.Context, key models.KeyID, at time.Time) error
	// DropSecrets erases those that had expired by then.
	DropSecrets(ctx context.Context, key models.KeyID, expired time.Time) error
}

// Keyspaces keeps keyspaces. A ref is an id or a name.
type Keyspaces interface {
	Find(ctx context.Context, ref string) (*models.Keyspace, error)
	FindMany(ctx context.Context, ids []models.KeyspaceID) (map[models.KeyspaceID]models.Keyspace, error)
	Lock(ctx context.Context, ref string) (*models.Keyspace, error)
	Update(ctx context.Context, keyspace *models.Keyspace) error
}

// KeyspaceStore makes, lists and erases keyspaces.
type KeyspaceStore interface {
	Create(ctx context.Context, keyspace *models.Keyspace) error
	List(ctx context.Context, page models.Page) ([]models.Keyspace, error)
	Delete(ctx context.Context, id models.KeyspaceID) error
}

// Owners keeps the accounts that keys belong to. A ref is an id or an external
// id.
type Owners interface {
	CreateMany(ctx context.Context, owners []models.Owner) error
	Find(ctx context.Context, ref string) (*models.Owner, error)
	Lock(ctx context.Context, ref string) (*models.Owner, error)
	// Share is Lock of many, which others may hold at the same time; refs of none and
	// of implicit owners are left out.
	Share(ctx context.Context, refs []string) (map[string]models.Owner, error)
	FindMany(ctx context.Context, ids []models.OwnerID) (map[models.OwnerID]models.Owner, error)
	Update(ctx context.Context, owner *models.Owner) error
}

// Plans finds plans. A ref is an id or a name.
type Plans interface {
	Find(ctx context.Context, ref string) (*models.Plan, error)
	FindMany(ctx context.Context, ids []models.PlanID) (map[models.PlanID]models.Plan, error)
	FindVersion(ctx context.Context, plan models.PlanID, number int) (*models.PlanVersion, error)
}

// Usage tells what keys were used for. Those that never were are left out.
type Usage interface {
	KeyUsage(ctx context.Context, keys []models.KeyID) (map[models.KeyID]models.KeyUsage, error)
}

// Limits forgets what was counted.
type Limits interface {
	Reset(ctx context.Context, group string, rules []ratelimit.Rule) error
}

// Changes makes changes durable in one transaction with their audit rows and
// what they make stale.
type Changes interface {
	InTx(ctx context.Context, fn func(ctx context.Context) error) error
	Record(ctx context.Context, changes ...models.Change) error
}

// Deps is what the service is made of; all of it is needed.
type Deps struct {
	Store         Store
	Lists         Lists
	Secrets       Secrets
	Keyspaces     Keyspaces
	KeyspaceStore KeyspaceStore
	Owners        Owners
	Plans         Plans
	Usage         Usage
	Limits        Limits
	Changes       Changes
	Peppers       models.Peppers
	DefaultPlan   string
	DefaultPrefix string
	Now           func() time.Time
}

// Service makes and changes keys. It is safe for concurrent use.
type Service struct{ Deps }

// New makes the service.
func New(deps Deps) *Service { return &Service{deps} }

// View is a key with what it belongs to, and its secrets without the secret.
type View struct {
	Key      models.APIKey
	Keyspace models.Keyspace
	Owner    models.Owner
	Plan     models.Plan
	Secrets  []models.Secret
	Used     models.KeyUsage
}

// state is what the record of changes keeps of a key.
func (v View) state() any {
	return struct {
		models.APIKey
		Secrets []models.Secret `json:"secrets,omitempty"`
	}{v.Key, v.Secrets}
}

// Created is a view with the secret that was just made: it is known this once.
// It is zero where a key was imported.
type Created struct {
	View
	Secret apikey.Secret
}

// Find gives a key.
func (s *Service) Find(ctx context.Context, id models.KeyID) (View, error) {
	key, err := s.Store.Find(ctx, id)
	if err != nil {
		return View{}, err
	}
	return s.view(ctx, *key)
}

// Lookup gives the key that a presented secret opens, whatever its status.
func (s *Service) Lookup(ctx context.Context, presented string) (View, error) {
	key, err := s.Lists.FindBySecret(ctx, s.Peppers.Candidates(apikey.Sum(presented)))
	if err != nil {
		return View{}, err
	}
	return s.view(ctx, *key)
}

// ResetLimits forgets what was counted against the key alone; what its owner's
// keys share stays.
func (s *Service) ResetLimits(ctx context.Context, id models.KeyID) error {
	view, err := s.Find(ctx, id)
	if err != nil {
		return err
	}
	rules, err := s.keyLimits(ctx, view)
	if err != nil {
		return fmt.Errorf("reset limits of key %s: %w", id, err)
	}
	return s.Changes.InTx(ctx, func(ctx context.Context) error {
		err := s.Changes.Record(ctx, models.Change{Action: "key.reset_limits", ObjectKind: "key", ObjectID: string(id)})
		if err != nil || len(rules) == 0 {
			return err
		}
		return s.Limits.Reset(ctx, string(view.Owner.ID), rules)
	})
}

// keyLimits gives the limits in force that count the key alone.
func (s *Service) keyLimits(ctx context.Context, view View) ([]ratelimit.Rule, error) {
	number := view.Plan.Current
	if view.Owner.PlanVersion != nil {
		number = *view.Owner.PlanVersion
	}
	version, err := s.Plans.FindVersion(ctx, view.Plan.ID, number)
	if err != nil {
		return nil, err
	}
	snapshot := models.Snapshot{
		Key: view.Key, Keyspace: view.Keyspace, Owner: view.Owner, Plan: view.Plan,
		PlanVersion: number, PlanRules: version.Rules,
	}
	if err := snapshot.Compile(); err != nil {
		return nil, err
	}
	var limits []ratelimit.Rule
	compiled := snapshot.Rules()
	for i := range compiled {
		if compiled[i].Scope == models.ScopeKey {
			limits = append(limits, compiled[i].LimitAt(s.Now()))
		}
	}
	return limits, nil
}

func (s *Service) view(ctx context.Context, key models.APIKey) (View, error) {
	views, err := s.views(ctx, []models.APIKey{key})
	if err != nil {
		return View{}, err
	}
	return views[0], nil
}

// views joins keys with what they belong to, in one query a table.
func (s *Service) views(ctx context.Context, list []models.APIKey) ([]View, error) {
	ids := make([]models.KeyID, len(list))
	keyspaceIDs := make([]models.KeyspaceID, len(list))
	ownerIDs := make([]models.OwnerID, len(list))
	for i := range list {
		ids[i], keyspaceIDs[i], ownerIDs[i] = list[i].ID, list[i].KeyspaceID, list[i].OwnerID
	}
	secrets, err := s.Secrets.SecretsOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	keyspaces, err := s.Keyspaces.FindMany(ctx, keyspaceIDs)
	if err != nil {
		return nil, err
	}
	owners, err := s.Owners.FindMany(ctx, ownerIDs)
	if err != nil {
		return nil, err
	}
	planIDs := make([]models.PlanID, 0, len(owners))
	for _, owner := range owners {
		planIDs = append(planIDs, owner.PlanID)
	}
	plans, err := s.Plans.FindMany(ctx, planIDs)
	if err != nil {
		return nil, err
	}
	used, err := s.Usage.KeyUsage(ctx, ids)
	if err != nil {
		return nil, err
	}
	views := make([]View, len(list))
	for i, key := range list {
		owner := owners[key.OwnerID]
		views[i] = View{
			Key: key, Keyspace: keyspaces[key.KeyspaceID], Owner: owner,
			Plan: plans[owner.PlanID], Secrets: secrets[key.ID], Used: used[key.ID],
		}
	}
	return views, nil
}
