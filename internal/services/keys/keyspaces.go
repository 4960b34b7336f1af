package keys

import (
	"context"
	"fmt"
	"slices"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// NewKeyspace describes a keyspace to make.
type NewKeyspace struct {
	Name        string
	Prefix      string // "" is the default prefix
	Description string
	Metadata    map[string]string
}

// CreateKeyspace makes a keyspace.
func (s *Service) CreateKeyspace(ctx context.Context, n NewKeyspace) (*models.Keyspace, error) {
	if n.Prefix == "" {
		n.Prefix = s.DefaultPrefix
	}
	now := s.Now()
	keyspace := &models.Keyspace{
		ID: models.NewID[models.KeyspaceID](), Name: n.Name, Prefix: n.Prefix, Description: n.Description,
		Metadata: n.Metadata, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	if err := validateKeyspace(keyspace); err != nil {
		return nil, err
	}
	err := s.Changes.InTx(ctx, func(ctx context.Context) error {
		if err := s.KeyspaceStore.Create(ctx, keyspace); err != nil {
			return err
		}
		return s.Changes.Record(ctx, models.Change{
			Action: "keyspace.create", ObjectKind: "keyspace", ObjectID: string(keyspace.ID), After: keyspace,
			Stale: s.directory(),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("create keyspace: %w", err)
	}
	return keyspace, nil
}

// FindKeyspace gives a keyspace by id or name.
func (s *Service) FindKeyspace(ctx context.Context, ref string) (*models.Keyspace, error) {
	return s.Keyspaces.Find(ctx, ref)
}

// ListKeyspaces gives a page of the keyspaces.
func (s *Service) ListKeyspaces(ctx context.Context, page models.Page) ([]models.Keyspace, error) {
	return s.KeyspaceStore.List(ctx, page)
}

// KeyspacePatch changes a keyspace; nil fields stay.
type KeyspacePatch struct {
	Name        *string
	Description *string
	Metadata    *map[string]string
}

// UpdateKeyspace changes a keyspace that is still at the version the caller
// saw, or at any where version is 0.
func (s *Service) UpdateKeyspace(ctx context.Context, ref string, version int64, p KeyspacePatch) (*models.Keyspace, error) {
	var keyspace *models.Keyspace
	err := s.Changes.InTx(ctx, func(ctx context.Context) (err error) {
		if keyspace, err = s.Keyspaces.Lock(ctx, ref); err != nil {
			return err
		}
		if err := models.CheckVersion(version, keyspace.Version); err != nil {
			return err
		}
		before := *keyspace
		models.Assign(&keyspace.Name, p.Name)
		models.Assign(&keyspace.Description, p.Description)
		models.Assign(&keyspace.Metadata, p.Metadata)
		if err := validateKeyspace(keyspace); err != nil {
			return err
		}
		if before.Name == models.DefaultKeyspace && keyspace.Name != before.Name {
			return apierror.New(apierror.CodeConflict, "The default keyspace keeps its name: keys that name none live in it")
		}
		return s.updateKeyspace(ctx, "keyspace.update", before, keyspace)
	})
	if err != nil {
		return nil, fmt.Errorf("update keyspace: %w", err)
	}
	return keyspace, nil
}

// DeleteKeyspace erases a keyspace without keys; apierror.CodeConflict
// otherwise.
func (s *Service) DeleteKeyspace(ctx context.Context, ref string) error {
	err := s.Changes.InTx(ctx, func(ctx context.Context) error {
		keyspace, err := s.Keyspaces.Lock(ctx, ref)
		if err != nil {
			return err
		}
		if keyspace.Name == models.DefaultKeyspace {
			return apierror.New(apierror.CodeConflict, "The default keyspace stays: keys that name none live in it")
		}
		if err := s.KeyspaceStore.Delete(ctx, keyspace.ID); err != nil {
			return err
		}
		return s.Changes.Record(ctx, models.Change{
			Action: "keyspace.delete", ObjectKind: "keyspace", ObjectID: string(keyspace.ID), Before: keyspace,
			Stale: s.directory(),
		})
	})
	if err != nil {
		return fmt.Errorf("delete keyspace: %w", err)
	}
	return nil
}

// openToImports marks keyspaces that take their first imported key.
func (s *Service) openToImports(ctx context.Context, ids []models.KeyspaceID) error {
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		keyspace, err := s.Keyspaces.Lock(ctx, string(id))
		if err != nil {
			return err
		}
		if keyspace.Imported {
			continue
		}
		before := *keyspace
		keyspace.Imported = true
		if err := s.updateKeyspace(ctx, "keyspace.open_to_imports", before, keyspace); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) updateKeyspace(ctx context.Context, action string, before models.Keyspace, keyspace *models.Keyspace) error {
	if err := s.Keyspaces.Update(ctx, keyspace); err != nil {
		return err
	}
	stale := models.Dependency{Subject: models.SubjectOf("keyspace", keyspace.ID), Version: keyspace.Version}
	return s.Changes.Record(ctx, models.Change{
		Action: action, ObjectKind: "keyspace", ObjectID: string(keyspace.ID), Before: before, After: *keyspace,
		Stale: append(s.directory(), stale),
	})
}

// directory makes the directory of keyspaces stale, whatever its version.
func (s *Service) directory() []models.Dependency {
	return []models.Dependency{{Subject: models.DirectorySubject, Version: 1}}
}

func validateKeyspace(k *models.Keyspace) error {
	var v apierror.Validator
	models.ValidateRef(&v, "name", k.Name)
	models.ValidateText(&v, "description", k.Description, models.MaxDescription)
	v.Check(apikey.CheckPrefix(k.Prefix) == nil, "prefix",
		"must be 1 to 16 characters: words of a-z and 0-9 joined by _, beginning with a letter, none of them live or test")
	models.ValidateMetadata(&v, k.Metadata)
	return v.Err()
}
