package app

import (
	"context"

	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/logging"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// keyReader reads for the key cache what the database holds.
type keyReader struct {
	keys      repositories.Keys
	keyspaces repositories.Keyspaces
	peppers   models.Peppers
	log       *zap.Logger
}

// Snapshot finds a secret under any pepper it may have been stored with, and
// moves one that is stored in an older form to the one in use.
func (r keyReader) Snapshot(ctx context.Context, hash apikey.Hash) (*models.Snapshot, error) {
	snapshot, err := r.keys.Snapshot(ctx, r.peppers.Candidates(hash))
	if err != nil {
		return nil, err
	}
	if sealed, pepper := r.peppers.Seal(hash); snapshot.Secret.PepperID != pepper {
		if err := r.keys.Rehash(ctx, snapshot.Secret.ID, sealed, pepper); err != nil {
			// The older form still opens the key; the next read tries again.
			r.log.Warn("secret not moved to the pepper in use", zap.String("secret", string(snapshot.Secret.ID)), zap.Error(err), logging.In(ctx))
		}
	}
	return snapshot, nil
}

// Directory reads the directory of keyspaces.
func (r keyReader) Directory(ctx context.Context) (*models.Directory, error) {
	keyspaces, err := r.keyspaces.All(ctx)
	if err != nil {
		return nil, err
	}
	return models.NewDirectory(keyspaces), nil
}

// tokenReader reads for the token cache what the database holds.
type tokenReader struct{ tokens repositories.Tokens }

// Token finds a token by its hash.
func (r tokenReader) Token(ctx context.Context, hash apikey.Hash) (*models.AccessToken, error) {
	return r.tokens.FindByHash(ctx, hash)
}
