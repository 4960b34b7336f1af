package cache

import (
	"context"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// Tokens finds access tokens by their hash, in the memory of this process. It
// is safe for concurrent use.
type Tokens struct {
	tokens *versioned[*models.AccessToken]
}

// TokenReader reads the primary database. A database out of reach is
// apierror.CodeStoreUnavailable.
type TokenReader interface {
	// Token returns the token of a hash, be it valid or not;
	// apierror.CodeNotFound where there is none.
	Token(ctx context.Context, hash apikey.Hash) (*models.AccessToken, error)
}

// NewTokens makes the cache of access tokens.
func NewTokens(feed *Feed, reader TokenReader, options Options) *Tokens {
	return &Tokens{newVersioned(feed, options, kind[*models.AccessToken]{
		load:   reader.Token,
		anchor: models.HashSubject,
		made:   (*models.AccessToken).Dependencies,
	})}
}

// Token returns what is known of a token as of now, which the caller must not
// change. Errors are those of Keys.Snapshot.
func (t *Tokens) Token(ctx context.Context, hash apikey.Hash, now time.Time) (*models.AccessToken, error) {
	return t.tokens.get(ctx, hash, now)
}

// Close ends the reads under way and awaits them.
func (t *Tokens) Close() error {
	t.tokens.stop()
	return nil
}
