package cache

import (
	"context"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// Keys finds what checks need to know of keys: snapshots by the hash of a
// secret, and the directory of keyspaces. It is safe for concurrent use.
type Keys struct {
	snapshots *versioned[*models.Snapshot]
	directory *versioned[*models.Directory]
}

// KeyReader reads the primary database. A database out of reach is
// apierror.CodeStoreUnavailable.
type KeyReader interface {
	// Snapshot returns the compiled snapshot of a secret; apierror.CodeNotFound
	// where there is none.
	Snapshot(ctx context.Context, hash apikey.Hash) (*models.Snapshot, error)
	Directory(ctx context.Context) (*models.Directory, error)
}

// NewKeys makes the cache of keys: snapshots in memory and, where the feed has
// it, in Redis.
func NewKeys(feed *Feed, reader KeyReader, options Options) *Keys {
	single := options
	single.MaxEntries, single.NegativeMaxEntries = 1, 1
	return &Keys{
		snapshots: newVersioned(feed, options, kind[*models.Snapshot]{
			load:   reader.Snapshot,
			anchor: models.HashSubject,
			made:   (*models.Snapshot).Dependencies,
			encode: (*models.Snapshot).Encode,
			decode: models.DecodeSnapshot,
		}),
		directory: newVersioned(feed, single, kind[*models.Directory]{
			load: func(ctx context.Context, _ apikey.Hash) (*models.Directory, error) {
				return reader.Directory(ctx)
			},
			anchor: func(apikey.Hash) models.Subject { return models.DirectorySubject },
		}),
	}
}

// Snapshot returns what is known of a secret as of now, a clock reading no
// older than the call. Errors are apierror.CodeNotFound for an unknown secret,
// CodeStoreUnavailable where it cannot be known, and that of ctx.
func (k *Keys) Snapshot(ctx context.Context, hash apikey.Hash, now time.Time) (*models.Snapshot, error) {
	return k.snapshots.get(ctx, hash, now)
}

// Directory returns the directory of keyspaces as of now.
func (k *Keys) Directory(ctx context.Context, now time.Time) (*models.Directory, error) {
	return k.directory.get(ctx, apikey.Hash{}, now)
}

// Close ends the reads under way and awaits them.
func (k *Keys) Close() error {
	k.snapshots.stop()
	k.directory.stop()
	return nil
}
