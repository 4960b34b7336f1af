package cache

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// reader reads one key, one token and the keyspaces.
type reader struct {
	mu        sync.Mutex
	key       models.APIKey
	token     models.AccessToken
	keyspaces []models.Keyspace
	reads     int
}

func (r *reader) Snapshot(_ context.Context, hash apikey.Hash) (*models.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	if hash != key {
		return nil, apierror.NotFound("key")
	}
	s := &models.Snapshot{
		Key: r.key, Secret: models.Secret{KeyID: r.key.ID, Hash: hash}, Keyspace: r.keyspaces[0],
		Owner: models.Owner{ID: "owner", TimeZone: "Europe/Berlin", AnchorDay: 1, Version: 1}, Plan: models.Plan{ID: "plan", Version: 1},
		PlanVersion: 1, PlanRules: []models.Rule{{Name: "per-minute", Limit: 60, Window: time.Minute, Scope: models.ScopeKey}},
	}
	return s, s.Compile()
}

func (r *reader) Directory(context.Context) (*models.Directory, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	return models.NewDirectory(r.keyspaces), nil
}

func (r *reader) Token(_ context.Context, hash apikey.Hash) (*models.AccessToken, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	if hash != r.token.Hash {
		return nil, apierror.NotFound("token")
	}
	token := r.token
	return &token, nil
}

func newReader() *reader {
	return &reader{
		key:       models.APIKey{ID: "key", Name: "Checkout", Version: 1, Metadata: map[string]string{"region": "eu"}},
		token:     models.AccessToken{ID: "token", Hash: hashOf(7), Version: 1},
		keyspaces: []models.Keyspace{{ID: "keyspace", Name: "default", Prefix: "viva", Version: 1}},
	}
}

func changed(subject models.Subject, version int64) []models.Invalidation {
	return []models.Invalidation{{Subject: subject, Version: version}}
}

func TestKeys(t *testing.T) {
	feed := newDatabase().feed()
	reader := newReader()
	keys := NewKeys(feed, reader, options)
	defer func() { require.NoError(t, keys.Close()) }()
	now := time.Now()

	first, err := keys.Snapshot(t.Context(), key, now)
	require.NoError(t, err)
	again, err := keys.Snapshot(t.Context(), key, now)
	require.NoError(t, err)
	require.Same(t, first, again)
	require.Equal(t, models.KeyActive, first.Status(now))
	_, err = keys.Snapshot(t.Context(), hashOf(2), now)
	require.ErrorIs(t, err, apierror.CodeNotFound)

	for version, subject := range []models.Subject{"key:key", "owner:owner", "plan:plan", "keyspace:keyspace"} {
		before := reader.reads
		require.NoError(t, feed.Publish(t.Context(), changed(subject, int64(version+2))))
		_, err = keys.Snapshot(t.Context(), key, now)
		require.NoError(t, err)
		require.Equal(t, before+1, reader.reads, subject)
	}
}

func TestDirectoryIsReadAgainWheneverAKeyspaceChanges(t *testing.T) {
	feed := newDatabase().feed()
	reader := newReader()
	keys := NewKeys(feed, reader, options)
	defer func() { require.NoError(t, keys.Close()) }()
	now := time.Now()
	const foreign = "a-key-that-was-made-elsewhere"
	for range 3 {
		directory, err := keys.Directory(t.Context(), now)
		require.NoError(t, err)
		again, err := keys.Directory(t.Context(), now)
		require.NoError(t, err)
		require.Same(t, directory, again)
		require.Equal(t, reader.keyspaces[0].Imported, directory.Plausible(foreign))

		reader.keyspaces[0].Imported = !reader.keyspaces[0].Imported
		require.NoError(t, feed.Publish(t.Context(), changed(models.DirectorySubject, 1)))
	}
	require.Equal(t, 3, reader.reads)
}

func TestTokens(t *testing.T) {
	feed := newDatabase().feed()
	reader := newReader()
	tokens := NewTokens(feed, reader, options)
	defer func() { require.NoError(t, tokens.Close()) }()
	now := time.Now()
	for range 2 {
		_, err := tokens.Token(t.Context(), hashOf(8), now)
		require.ErrorIs(t, err, apierror.CodeNotFound)
		token, err := tokens.Token(t.Context(), hashOf(7), now)
		require.NoError(t, err)
		require.True(t, token.Valid(now))
	}
	require.Equal(t, 2, reader.reads)

	reader.token.RevokedAt, reader.token.Version = &now, 2
	require.NoError(t, feed.Publish(t.Context(), changed("token:token", 2)))
	token, err := tokens.Token(t.Context(), hashOf(7), now)
	require.NoError(t, err)
	require.False(t, token.Valid(now))
}

func TestSnapshotIsTheSameThroughRedis(t *testing.T) {
	client := openURL(t, testenv.Redis(t))
	read := func(reader *reader) *models.Snapshot {
		o := newDatabase().options()
		o.Redis, o.Namespace, o.Timeout = client, t.Name(), time.Second
		feed := NewFeed(o)
		feed.pollAndSync(t.Context())
		feed.heard.Store(int64(feed.clock()))
		keys := NewKeys(feed, reader, options)
		snapshot, err := keys.Snapshot(t.Context(), key, time.Now())
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			data, _, err := feed.remote.fetch(t.Context(), key)
			return err == nil && data != nil
		}, time.Second, time.Millisecond)
		require.NoError(t, keys.Close())
		return snapshot
	}
	first, second := newReader(), newReader()
	fromDatabase, fromRedis := read(first), read(second)
	require.Equal(t, 1, first.reads)
	require.Zero(t, second.reads)
	require.NotEqual(t, fromDatabase.Secret.Hash, fromRedis.Secret.Hash, "hashes stay in the database")
	fromDatabase.Secret.Hash = fromRedis.Secret.Hash
	require.Equal(t, fromDatabase, fromRedis)
	require.NotSame(t, fromDatabase, fromRedis)
}
