package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// MaxBulk is how many keys one call may create.
const MaxBulk = 1000

// NewKey describes a key to make. Without an owner it gets one of its own, on
// the plan given or the default one.
type NewKey struct {
	Keyspace    string // id or name; "" is the default keyspace
	Owner       string // id or external id
	Plan        string // id or name
	Name        string
	Environment apikey.Environment // "" is live
	ExpiresAt   *time.Time
	AllowedIPs  []string
	Permissions []string
	Methods     []string
	Endpoints   []string
	Rules       []models.Rule
	Tags        []string
	Metadata    map[string]string
	Import      *Import
}

// Import brings a key that was made elsewhere, by the hash of its secret.
type Import struct {
	Hash apikey.Hash // SHA-256 of the secret
	Mask string      // how to show it; "" shows that it was imported
}

// Create makes a key.
func (s *Service) Create(ctx context.Context, n NewKey) (Created, error) {
	created, err := s.create(ctx, []NewKey{n}, func(v *apierror.Validator, _ int) *apierror.Validator { return v })
	if err != nil {
		return Created{}, err
	}
	return created[0], nil
}

// CreateMany makes up to MaxBulk keys, all of them or none.
func (s *Service) CreateMany(ctx context.Context, list []NewKey) ([]Created, error) {
	if len(list) == 0 || len(list) > MaxBulk {
		return nil, apierror.Invalid(apierror.Field{
			In: apierror.Body, Name: "keys", Detail: fmt.Sprintf("must hold 1 to %d keys", MaxBulk),
		})
	}
	return s.create(ctx, list, func(v *apierror.Validator, i int) *apierror.Validator { return v.In("keys", i) })
}

func (s *Service) create(ctx context.Context, list []NewKey, at func(*apierror.Validator, int) *apierror.Validator) (created []Created, err error) {
	err = s.Changes.InTx(ctx, func(ctx context.Context) error {
		b := batch{service: s, now: s.Now(), refs: newReferences(s), hashes: map[apikey.Hash]bool{}}
		if err := b.refs.lockOwners(ctx, list); err != nil {
			return err
		}
		if b.stored, err = s.anyStored(ctx, list); err != nil {
			return err
		}
		var v apierror.Validator
		for i := range list {
			if err := b.add(ctx, at(&v, i), &list[i]); err != nil {
				return err
			}
		}
		if err := v.Err(); err != nil {
			return err
		}
		created, err = b.store(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("create %d keys: %w", len(list), err)
	}
	return created, nil
}

// batch gathers keys to create, and creates them together.
type batch struct {
	service  *Service
	now      time.Time
	refs     *references
	created  []Created
	implicit []models.Owner
	imports  []*Import // of each created key; nil where it was generated
	hashes   map[apikey.Hash]bool
	stored   bool // some of the imports are of keys that exist
	opened   []models.KeyspaceID
}

// add validates a new key and makes it ready to store. Bad fields go to v; an
// error is one of a store.
func (b *batch) add(ctx context.Context, v *apierror.Validator, n *NewKey) error {
	if n.Environment == "" {
		n.Environment = apikey.Live
	}
	if n.Keyspace == "" {
		n.Keyspace = models.DefaultKeyspace
	}
	c := Created{View: View{Key: models.APIKey{
		ID: models.NewID[models.KeyID](), Name: n.Name, Environment: n.Environment, ExpiresAt: n.ExpiresAt,
		AllowedIPs: n.AllowedIPs, Permissions: n.Permissions, Methods: n.Methods, Endpoints: n.Endpoints,
		Rules: n.Rules, Tags: n.Tags, Metadata: n.Metadata, Version: 1, CreatedAt: b.now, UpdatedAt: b.now,
	}}}
	c.Key.Normalize()
	c.Key.Validate(v)
	v.Check(n.ExpiresAt == nil || n.ExpiresAt.After(b.now), "expires_at", "must be in the future")
	v.Check(n.Environment == apikey.Live || n.Environment == apikey.Test, "environment", `must be "live" or "test"`)
	if err := b.refs.keyspace(ctx, v, n.Keyspace, &c.Keyspace); err != nil {
		return err
	}
	if err := b.owner(ctx, v, n, &c.View); err != nil {
		return err
	}
	c.Key.KeyspaceID, c.Key.OwnerID = c.Keyspace.ID, c.Owner.ID
	if err := b.secret(ctx, v, n, &c); err != nil {
		return err
	}
	b.created, b.imports = append(b.created, c), append(b.imports, n.Import)
	return nil
}

// owner finds the owner a new key names, or makes one of its own.
func (b *batch) owner(ctx context.Context, v *apierror.Validator, n *NewKey, view *View) error {
	if n.Owner != "" {
		if err := b.refs.owner(ctx, v, n.Owner, view); err != nil {
			return err
		}
		agree := n.Plan == "" || n.Plan == view.Plan.Name || n.Plan == string(view.Plan.ID)
		v.Check(agree || view.Owner.ID == "", "plan",
			"must be absent or the owner's plan where owner is given; PATCH owners/{id} changes an owner's plan")
		return nil
	}
	plan := n.Plan
	if plan == "" {
		plan = b.service.DefaultPlan
	}
	if err := b.refs.plan(ctx, v, plan, &view.Plan); err != nil {
		return err
	}
	view.Owner = models.Owner{
		ID: models.NewID[models.OwnerID](), Name: n.Name, PlanID: view.Plan.ID, Implicit: true,
		PlanSince: b.now, Version: 1, CreatedAt: b.now, UpdatedAt: b.now,
	}
	view.Owner.Normalize()
	b.implicit = append(b.implicit, view.Owner)
	return nil
}

// secret makes the key's secret, or takes the one imported.
func (b *batch) secret(ctx context.Context, v *apierror.Validator, n *NewKey, c *Created) error {
	if n.Import != nil {
		return b.take(ctx, v, n.Import, c)
	}
	if v.Err() != nil {
		return nil //nolint:nilerr // v reports it: the keyspace or the environment may be among the bad fields
	}
	secret, err := apikey.Generate(c.Keyspace.Prefix, c.Key.Environment)
	if err != nil {
		return err
	}
	c.Secret = secret
	c.Secrets = []models.Secret{b.service.secret(c.Key.ID, apikey.Sum(secret.Reveal()), apikey.Mask(secret.Reveal()), b.now)}
	return nil
}

// take gives the key a secret that was made elsewhere. The database alone would
// not notice a secret that was stored under another pepper.
func (b *batch) take(ctx context.Context, v *apierror.Validator, n *Import, c *Created) error {
	models.ValidateText(v, "import.mask", n.Mask, models.MaxTag)
	mask := n.Mask
	if mask == "" {
		mask = "imported"
	}
	v.Check(!apikey.Valid(mask) && apikey.Sum(mask) != n.Hash, "import.mask", "must not be the key itself")
	v.Check(!b.hashes[n.Hash], "import.hash", "must not be there twice")
	b.hashes[n.Hash] = true
	if b.stored {
		stored, err := b.service.isStored(ctx, b.service.Peppers.Candidates(n.Hash))
		if err != nil {
			return err
		}
		v.Check(!stored, "import.hash", "must be of no key that exists")
	}
	c.Secrets = []models.Secret{b.service.secret(c.Key.ID, n.Hash, mask, b.now)}
	c.Secrets[0].Imported = true
	if !c.Keyspace.Imported {
		b.opened = append(b.opened, c.Keyspace.ID)
	}
	return nil
}

func (b *batch) store(ctx context.Context) ([]Created, error) {
	s := b.service
	if err := s.Owners.CreateMany(ctx, b.implicit); err != nil {
		return nil, err
	}
	keys := make([]models.APIKey, len(b.created))
	secrets := make([]models.Secret, 0, len(b.created))
	for i := range b.created {
		keys[i] = b.created[i].Key
		secrets = append(secrets, b.created[i].Secrets...)
	}
	// First, as keys hold their keyspace, and two batches that hold one could not
	// both change it.
	if err := s.openToImports(ctx, b.opened); err != nil {
		return nil, err
	}
	if err := s.Store.Create(ctx, keys, secrets); err != nil {
		return nil, err
	}
	return b.created, s.Changes.Record(ctx, b.changes()...)
}

// anyStored tells in one query whether the secret of any import is stored.
func (s *Service) anyStored(ctx context.Context, list []NewKey) (bool, error) {
	var hashes []apikey.Hash
	for i := range list {
		if list[i].Import != nil {
			hashes = append(hashes, s.Peppers.Candidates(list[i].Import.Hash)...)
		}
	}
	if len(hashes) == 0 {
		return false, nil
	}
	return s.isStored(ctx, hashes)
}

func (s *Service) isStored(ctx context.Context, hashes []apikey.Hash) (bool, error) {
	_, err := s.Lists.FindBySecret(ctx, hashes)
	if errors.Is(err, apierror.CodeNotFound) {
		return false, nil
	}
	return err == nil, err
}

// secret describes a secret by its plain hash.
func (s *Service) secret(key models.KeyID, plain apikey.Hash, mask string, now time.Time) models.Secret {
	hash, pepper := s.Peppers.Seal(plain)
	return models.Secret{
		ID: models.NewID[models.SecretID](), KeyID: key, Hash: hash, PepperID: pepper, Mask: mask, CreatedAt: now,
	}
}
