// Package access decides who may use the management API: access tokens, their
// scopes, and the first token of an empty installation.
//
// Floor F2. It may import models and the packages of floor F0.
package access

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// Store keeps the tokens.
type Store interface {
	Create(ctx context.Context, token *models.AccessToken) error
	Lock(ctx context.Context, id models.TokenID) (*models.AccessToken, error)
	List(ctx context.Context, page models.Page) ([]models.AccessToken, error)
	Update(ctx context.Context, token *models.AccessToken) error
	Any(ctx context.Context) (bool, error)
}

// Source finds a token by its hash without asking the database each time: it
// stands before every call. An unknown one is apierror.CodeNotFound.
type Source interface {
	Token(ctx context.Context, hash apikey.Hash, now time.Time) (*models.AccessToken, error)
}

// Changes makes a change durable in one transaction with its audit row and
// what it makes stale.
type Changes interface {
	InTx(ctx context.Context, fn func(ctx context.Context) error) error
	Record(ctx context.Context, changes ...models.Change) error
}

// Service makes, checks and revokes access tokens. It is safe for concurrent
// use.
type Service struct {
	store   Store
	source  Source
	changes Changes
	now     func() time.Time
}

// New makes the service. Commands that authenticate no one pass a nil source.
func New(store Store, source Source, changes Changes, now func() time.Time) *Service {
	return &Service{store: store, source: source, changes: changes, now: now}
}

// Authenticate finds the valid token that a caller presents. Every refusal is
// the same CodeUnauthorized: it tells nothing about which tokens exist.
func (s *Service) Authenticate(ctx context.Context, presented string, now time.Time) (*models.AccessToken, error) {
	if !apikey.ValidToken(presented) {
		return nil, refused
	}
	token, err := s.source.Token(ctx, apikey.Sum(presented), now)
	switch {
	case errors.Is(err, apierror.CodeNotFound):
		return nil, refused
	case err != nil:
		return nil, fmt.Errorf("authenticate: %w", err)
	case !token.Valid(now):
		return nil, refused
	default:
		return token, nil
	}
}

var refused = apierror.New(apierror.CodeUnauthorized,
	"A valid access token is needed, as Authorization: Bearer <token>")

// NewToken describes a token to make, by scopes or by role.
type NewToken struct {
	Name      string
	Scopes    []models.TokenScope
	Role      string
	ExpiresAt *time.Time // nil never expires
}

// Create makes a token. Its secret is returned this once.
func (s *Service) Create(ctx context.Context, n NewToken) (*models.AccessToken, apikey.Secret, error) {
	if err := s.validate(n); err != nil {
		return nil, apikey.Secret{}, err
	}
	if n.Role != "" {
		n.Scopes = models.Roles[n.Role]
	}
	secret := apikey.GenerateToken()
	token, err := s.create(ctx, n, secret.Reveal())
	if err != nil {
		return nil, apikey.Secret{}, err
	}
	return token, secret, nil
}

// Bootstrap makes the first admin token where there is none. It is made only
// if keep, which is given its secret, has put that in a safe place.
func (s *Service) Bootstrap(ctx context.Context, keep func(secret string) error) error {
	return s.changes.InTx(ctx, func(ctx context.Context) error {
		if any, err := s.store.Any(ctx); err != nil || any {
			return err
		}
		secret := apikey.GenerateToken().Reveal()
		if _, err := s.create(ctx, NewToken{Name: "bootstrap", Scopes: models.Roles["admin"]}, secret); err != nil {
			return err
		}
		return keep(secret)
	})
}

// Adopt makes an admin token of a secret made elsewhere, unless it is there
// already.
func (s *Service) Adopt(ctx context.Context, secret string) error {
	if !apikey.ValidToken(secret) {
		return fmt.Errorf("the bootstrap token is not an access token as `viva tokens generate` makes them")
	}
	_, err := s.create(ctx, NewToken{Name: "bootstrap", Scopes: models.Roles["admin"]}, secret)
	if errors.Is(err, apierror.CodeAlreadyExists) {
		return nil
	}
	return err
}

func (s *Service) create(ctx context.Context, n NewToken, secret string) (*models.AccessToken, error) {
	now := s.now()
	token := &models.AccessToken{
		ID: models.NewID[models.TokenID](), Name: n.Name, Hash: apikey.Sum(secret), Mask: apikey.Mask(secret),
		Scopes: n.Scopes, ExpiresAt: models.NormalizeInstant(n.ExpiresAt), Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	err := s.changes.InTx(ctx, func(ctx context.Context) error {
		if err := s.store.Create(ctx, token); err != nil {
			return err
		}
		return s.changes.Record(ctx, models.Change{
			Action: "token.create", ObjectKind: "token", ObjectID: string(token.ID), After: token,
			Stale: []models.Dependency{{Subject: models.HashSubject(token.Hash), Version: 1}},
		})
	})
	if err != nil {
		return nil, fmt.Errorf("create token: %w", err)
	}
	return token, nil
}

// List gives a page of the tokens, revoked ones among them.
func (s *Service) List(ctx context.Context, page models.Page) ([]models.AccessToken, error) {
	return s.store.List(ctx, page)
}

// Revoke refuses the token for ever. Revoking twice changes nothing.
func (s *Service) Revoke(ctx context.Context, id models.TokenID) (token *models.AccessToken, err error) {
	err = s.changes.InTx(ctx, func(ctx context.Context) error {
		if token, err = s.store.Lock(ctx, id); err != nil || token.RevokedAt != nil {
			return err
		}
		before, now := *token, s.now()
		token.RevokedAt = &now
		if err := s.store.Update(ctx, token); err != nil {
			return err
		}
		return s.changes.Record(ctx, models.Change{
			Action: "token.revoke", ObjectKind: "token", ObjectID: string(id), Before: before, After: token,
			Stale: token.Dependencies(),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("revoke token %s: %w", id, err)
	}
	return token, nil
}

func (s *Service) validate(n NewToken) error {
	var v apierror.Validator
	models.ValidateName(&v, "name", n.Name)
	v.Check(n.ExpiresAt == nil || n.ExpiresAt.After(s.now()), "expires_at", "must be in the future")
	models.ValidateInstant(&v, "expires_at", n.ExpiresAt)
	_, role := models.Roles[n.Role]
	switch {
	case n.Role != "" && len(n.Scopes) > 0:
		v.Check(false, "role", "must be absent where scopes are given")
	case n.Role != "":
		v.Checkf(role, "role", "must be one of: %s", strings.Join(slices.Sorted(maps.Keys(models.Roles)), ", "))
	default:
		v.Check(len(n.Scopes) > 0, "scopes", "must hold a scope, or role must be given")
		v.Checkf(len(n.Scopes) <= len(models.TokenScopes), "scopes", "must hold at most %d scopes", len(models.TokenScopes))
		for i, scope := range n.Scopes[:min(len(n.Scopes), len(models.TokenScopes))] {
			v.In("scopes", i).Check(slices.Contains(models.TokenScopes, scope), "", "must be a scope such as keys:read")
		}
	}
	return v.Err()
}
