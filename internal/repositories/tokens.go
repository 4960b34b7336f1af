package repositories

import (
	"context"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// Tokens keeps the access tokens of the management API.
type Tokens struct{ db *DB }

// NewTokens makes the repository.
func NewTokens(db *DB) Tokens { return Tokens{db} }

// Create stores a new token, whose hash must not be taken.
func (r Tokens) Create(ctx context.Context, token *models.AccessToken) error {
	return create(ctx, r.db, "token", token)
}

// Find gives a token.
func (r Tokens) Find(ctx context.Context, id models.TokenID) (*models.AccessToken, error) {
	return find[models.AccessToken](ctx, r.db, "token", byID(id))
}

// FindByHash gives the token with this hash, valid or not.
func (r Tokens) FindByHash(ctx context.Context, hash apikey.Hash) (*models.AccessToken, error) {
	return find[models.AccessToken](ctx, r.db, "token", func(g *gorm.DB) *gorm.DB { return g.Where("hash = ?", hash) })
}

// Lock gives a token and keeps it from changing until the transaction ends.
func (r Tokens) Lock(ctx context.Context, id models.TokenID) (*models.AccessToken, error) {
	return find[models.AccessToken](ctx, r.db, "token", locked(byID(id)))
}

// List gives a page of the tokens, sorted by one of [TokenSorts].
func (r Tokens) List(ctx context.Context, page models.Page) ([]models.AccessToken, error) {
	return list[models.AccessToken](ctx, r.db, "token", page, TokenSorts, all)
}

// Update stores a changed token and moves it to the next version.
func (r Tokens) Update(ctx context.Context, t *models.AccessToken) error {
	return update(ctx, r.db, "token", t, t.ID, &t.Version, &t.UpdatedAt)
}

// Any tells whether there is a token, valid or not.
func (r Tokens) Any(ctx context.Context) (bool, error) {
	return exists[models.AccessToken](ctx, r.db, "token", all)
}
