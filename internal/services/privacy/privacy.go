// Package privacy tells everything that is stored about one key or owner, and
// empties what of it is personal.
//
// Floor F2. It may import models and the packages of floor F0.
package privacy

import (
	"context"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// KeyStore keeps the keys.
type KeyStore interface {
	Find(ctx context.Context, id models.KeyID) (*models.APIKey, error)
	Lock(ctx context.Context, id models.KeyID) (*models.APIKey, error)
	Update(ctx context.Context, k *models.APIKey) error
	SecretsOf(ctx context.Context, keys []models.KeyID) (map[models.KeyID][]models.Secret, error)
}

// OwnerStore keeps the owners. A ref is an id or an external id.
type OwnerStore interface {
	Find(ctx context.Context, ref string) (*models.Owner, error)
	Lock(ctx context.Context, ref string) (*models.Owner, error)
	Update(ctx context.Context, o *models.Owner) error
}

// Data is what is stored about keys and owners beside themselves.
type Data interface {
	// KeysOf gives keys of an owner, in the order of their ids, beginning after one.
	KeysOf(ctx context.Context, owner models.OwnerID, after models.KeyID, most int) ([]models.APIKey, error)
	// Export gives every row, by the table it is from.
	Export(ctx context.Context, s models.DataSubject, each func(kind string, row map[string]any) error) error
	// Erase empties what is personal, of what happened up to an instant or, where
	// that is zero, of everything.
	Erase(ctx context.Context, s models.DataSubject, until time.Time) (models.ErasedRows, error)
	Remember(ctx context.Context, e models.Erasure) error
}

// Changes makes changes durable, with their record, and tells every node.
type Changes interface {
	InTx(ctx context.Context, fn func(ctx context.Context) error) error
	Record(ctx context.Context, changes ...models.Change) error
}

// Deps is what the service is made of; all of it is needed.
type Deps struct {
	Keys    KeyStore
	Owners  OwnerStore
	Data    Data
	Changes Changes
	Now     func() time.Time
}

// Service exports and erases. It is safe for concurrent use.
type Service struct{ deps Deps }

// New makes the service.
func New(deps Deps) *Service { return &Service{deps} }

// Line takes one line of an export: what it is, and an object that JSON can
// hold. No secret is among them.
type Line = func(kind string, object any) error

// keysAtOnce is how many keys of an owner are read or changed together.
const keysAtOnce = 100

// keyLine is a key with the masks of its secrets.
type keyLine struct {
	models.APIKey
	Secrets []models.Secret `json:"secrets"`
}

// ExportKey gives the key and then everything that is stored about it. An error
// before the first line means that there is no such key.
func (s *Service) ExportKey(ctx context.Context, id models.KeyID, line Line) error {
	key, err := s.deps.Keys.Find(ctx, id)
	if err != nil {
		return err
	}
	if err := s.keyLines(ctx, []models.APIKey{*key}, line); err != nil {
		return err
	}
	return s.export(ctx, models.DataOfKey(key.ID), line)
}

// ExportOwner gives the owner, the keys it holds, and then everything that is
// stored about them.
func (s *Service) ExportOwner(ctx context.Context, ref string, line Line) error {
	owner, err := s.deps.Owners.Find(ctx, ref)
	if err != nil {
		return err
	}
	if err := line(models.SubjectOwner, owner); err != nil {
		return err
	}
	if err := s.eachKey(ctx, owner.ID, func(keys []models.APIKey) error { return s.keyLines(ctx, keys, line) }); err != nil {
		return err
	}
	return s.export(ctx, models.DataOfOwner(owner.ID), line)
}

func (s *Service) export(ctx context.Context, subject models.DataSubject, line Line) error {
	return s.deps.Data.Export(ctx, subject, func(kind string, row map[string]any) error { return line(kind, row) })
}

func (s *Service) keyLines(ctx context.Context, keys []models.APIKey, line Line) error {
	ids := make([]models.KeyID, len(keys))
	for i := range keys {
		ids[i] = keys[i].ID
	}
	secrets, err := s.deps.Keys.SecretsOf(ctx, ids)
	if err != nil {
		return err
	}
	for i := range keys {
		if err := line(models.SubjectKey, keyLine{keys[i], secrets[keys[i].ID]}); err != nil {
			return err
		}
	}
	return nil
}

// eachKey goes through the keys that an owner holds.
func (s *Service) eachKey(ctx context.Context, owner models.OwnerID, fn func(keys []models.APIKey) error) error {
	var after models.KeyID
	for {
		keys, err := s.deps.Data.KeysOf(ctx, owner, after, keysAtOnce)
		if err != nil || len(keys) == 0 {
			return err
		}
		if err := fn(keys); err != nil {
			return fmt.Errorf("keys of owner %s: %w", owner, err)
		}
		after = keys[len(keys)-1].ID
	}
}
