package access_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/repositories/repotest"
	"github.com/viva/rate-limiter/internal/services/access"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// world is the service over a real database, without a cache, with a clock that
// stands still until a test moves it.
type world struct {
	*access.Service
	source  *source
	changes *repotest.Changes
	now     time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	db := repotest.OpenSQLite(t, clock)
	tokens := repositories.NewTokens(db)
	w.source = &source{tokens: tokens}
	w.changes = repotest.NewChanges(db, clock)
	w.Service = access.New(tokens, w.source, w.changes, clock)
	return w
}

// source asks the database each time, or is out of reach.
type source struct {
	tokens repositories.Tokens
	err    error
	asked  int
}

func (s *source) Token(ctx context.Context, hash apikey.Hash, _ time.Time) (*models.AccessToken, error) {
	s.asked++
	if s.err != nil {
		return nil, s.err
	}
	return s.tokens.FindByHash(ctx, hash)
}

// during gives the changes that fn made.
func (w *world) during(fn func()) []models.Change { return w.changes.During(fn) }

func (w *world) create(t testing.TB, n access.NewToken) (*models.AccessToken, string) {
	t.Helper()
	token, secret, err := w.Create(t.Context(), n)
	require.NoError(t, err)
	return token, secret.Reveal()
}

func (w *world) list(t testing.TB) []models.AccessToken {
	t.Helper()
	list, err := w.List(t.Context(), models.Page{})
	require.NoError(t, err)
	return list
}

func badFields(t testing.TB, err error) []string {
	t.Helper()
	require.ErrorIs(t, err, apierror.CodeValidationFailed)
	known, ok := apierror.As(err)
	require.True(t, ok)
	var names []string
	for _, f := range known.Fields {
		names = append(names, f.Name)
	}
	return names
}

func ptr[T any](v T) *T { return &v }

func TestATokenOpensTheAPI(t *testing.T) {
	w := newWorld(t)
	var token *models.AccessToken
	var secret string
	made := w.during(func() {
		token, secret = w.create(t, access.NewToken{
			Name: "ci", Scopes: []models.TokenScope{models.ScopeChecksWrite, "keys:*"}, ExpiresAt: ptr(w.now.Add(time.Hour + 999)),
		})
	})
	require.True(t, apikey.ValidToken(secret))
	require.Equal(t, apikey.Mask(secret), token.Mask)
	found, err := w.Authenticate(t.Context(), secret, w.now)
	require.NoError(t, err)
	require.Equal(t, token, found, "what is answered is what is stored")
	require.True(t, found.Holds(models.ScopeKeysRead))
	require.False(t, found.Holds(models.ScopeAdmin))

	require.Len(t, made, 1)
	require.Equal(t, "token.create", made[0].Action)
	require.Nil(t, made[0].Before)
	require.Equal(t, []models.Dependency{{Subject: models.HashSubject(apikey.Sum(secret)), Version: 1}}, made[0].Stale)
}

func TestTokensByRole(t *testing.T) {
	w := newWorld(t)
	for role, scopes := range models.Roles {
		token, _ := w.create(t, access.NewToken{Name: role, Role: role})
		require.Equal(t, scopes, token.Scopes)
	}
}

func TestEveryRefusalIsTheSame(t *testing.T) {
	w := newWorld(t)
	expiring, expired := w.create(t, access.NewToken{Name: "a", Role: "viewer", ExpiresAt: ptr(w.now.Add(time.Hour))})
	revoking, revoked := w.create(t, access.NewToken{Name: "b", Role: "viewer"})
	_, err := w.Revoke(t.Context(), revoking.ID)
	require.NoError(t, err)
	key, err := apikey.Generate("viva", apikey.Live)
	require.NoError(t, err)
	w.now = *expiring.ExpiresAt
	var refusals []error
	for name, presented := range map[string]string{
		"expired": expired, "revoked": revoked, "unknown": apikey.GenerateToken().Reveal(),
		"empty": "", "mistyped": expired + "x", "an API key": key.Reveal(),
	} {
		token, err := w.Authenticate(t.Context(), presented, w.now)
		require.Nil(t, token)
		require.ErrorIs(t, err, apierror.CodeUnauthorized, name)
		refusals = append(refusals, err)
	}
	for _, refusal := range refusals {
		require.Equal(t, refusals[0], refusal)
	}
	require.Equal(t, 3, w.source.asked, "garbage is refused without looking")

	w.source.err = apierror.New(apierror.CodeStoreUnavailable, "The database is out of reach")
	_, err = w.Authenticate(t.Context(), expired, w.now)
	require.ErrorIs(t, err, w.source.err, "not knowing is no refusal")
}

func TestBadTokens(t *testing.T) {
	w := newWorld(t)
	read := []models.TokenScope{models.ScopeKeysRead}
	tests := []struct {
		name  string
		token access.NewToken
		bad   []string
	}{
		{"nothing", access.NewToken{}, []string{"name", "scopes"}},
		{"no scope", access.NewToken{Name: "a"}, []string{"scopes"}},
		{"unknown scope", access.NewToken{Name: "a", Scopes: []models.TokenScope{models.ScopeKeysRead, "keys:eat"}}, []string{"scopes[1]"}},
		{"every scope", access.NewToken{Name: "a", Scopes: []models.TokenScope{"*"}}, []string{"scopes[0]"}},
		{"more scopes than there are", access.NewToken{Name: "a", Scopes: append(slices.Clone(models.TokenScopes), models.ScopeAdmin)}, []string{"scopes"}},
		{"unknown role", access.NewToken{Name: "a", Role: "owner"}, []string{"role"}},
		{"role and scopes", access.NewToken{Name: "a", Role: "viewer", Scopes: read}, []string{"role"}},
		{"expired", access.NewToken{Name: "a", Scopes: read, ExpiresAt: &w.now}, []string{"expires_at"}},
		{"expires too late", access.NewToken{Name: "a", Scopes: read, ExpiresAt: ptr(time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC))}, []string{"expires_at"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			made := w.during(func() {
				_, secret, err := w.Create(t.Context(), test.token)
				require.Equal(t, test.bad, badFields(t, err))
				require.Empty(t, secret.Reveal())
			})
			require.Empty(t, made)
		})
	}
	require.Empty(t, w.list(t))
}

func TestRevokingTwiceChangesNothing(t *testing.T) {
	w := newWorld(t)
	token, _ := w.create(t, access.NewToken{Name: "a", Role: "viewer"})
	w.now = w.now.Add(time.Minute)
	made := w.during(func() {
		revoked, err := w.Revoke(t.Context(), token.ID)
		require.NoError(t, err)
		require.Equal(t, &w.now, revoked.RevokedAt)
		require.Equal(t, []models.AccessToken{*revoked}, w.list(t))
	})
	require.Len(t, made, 1)
	require.Equal(t, "token.revoke", made[0].Action)
	require.Nil(t, made[0].Before.(models.AccessToken).RevokedAt)
	require.Equal(t, []models.Dependency{{Subject: models.SubjectOf("token", token.ID), Version: 2}}, made[0].Stale)
	before := w.list(t)
	w.now = w.now.Add(time.Minute)
	require.Empty(t, w.during(func() {
		_, err := w.Revoke(t.Context(), token.ID)
		require.NoError(t, err)
	}))
	require.Equal(t, before, w.list(t))
	_, err := w.Revoke(t.Context(), models.NewID[models.TokenID]())
	require.ErrorIs(t, err, apierror.CodeNotFound)
}

func TestBootstrapMakesTheFirstTokenOnce(t *testing.T) {
	w := newWorld(t)
	var kept []string
	full := errors.New("the disk is full")
	keep := func(secret string) error {
		kept = append(kept, secret)
		return full
	}
	require.ErrorIs(t, w.Bootstrap(t.Context(), keep), full)
	require.Empty(t, w.list(t), "a token that nobody could keep is not made")

	kept, full = nil, nil
	made := w.during(func() { require.NoError(t, w.Bootstrap(t.Context(), keep)) })
	require.Len(t, made, 1)
	require.Len(t, kept, 1)
	token, err := w.Authenticate(t.Context(), kept[0], w.now)
	require.NoError(t, err)
	require.True(t, token.Holds(models.ScopeAdmin))
	require.NoError(t, w.Bootstrap(t.Context(), keep))
	_, err = w.Revoke(t.Context(), token.ID)
	require.NoError(t, err)
	require.NoError(t, w.Bootstrap(t.Context(), keep))
	require.Len(t, kept, 1, "not even when it was revoked")
}

func TestAdoptATokenMadeElsewhere(t *testing.T) {
	w := newWorld(t)
	require.Error(t, w.Adopt(t.Context(), "hunter2"))
	require.Empty(t, w.list(t))
	secret := apikey.GenerateToken().Reveal()
	require.NoError(t, w.Adopt(t.Context(), secret))
	token, err := w.Authenticate(t.Context(), secret, w.now)
	require.NoError(t, err)
	require.True(t, token.Holds(models.ScopeAdmin))
	require.Empty(t, w.during(func() { require.NoError(t, w.Adopt(t.Context(), secret)) }), "every start adopts it again")
	_, err = w.Revoke(t.Context(), token.ID)
	require.NoError(t, err)
	require.NoError(t, w.Adopt(t.Context(), secret))
	_, err = w.Authenticate(t.Context(), secret, w.now)
	require.ErrorIs(t, err, apierror.CodeUnauthorized, "adopting does not bring it back")
	require.Len(t, w.list(t), 1)
}

func TestNothingIsChangedThatIsNotRecorded(t *testing.T) {
	w := newWorld(t)
	token, _ := w.create(t, access.NewToken{Name: "a", Role: "viewer"})
	before := w.list(t)
	w.changes.Fail = true
	_, secret, err := w.Create(t.Context(), access.NewToken{Name: "b", Role: "viewer"})
	require.ErrorIs(t, err, repotest.ErrRecord)
	require.Empty(t, secret.Reveal())
	_, err = w.Revoke(t.Context(), token.ID)
	require.ErrorIs(t, err, repotest.ErrRecord)
	require.ErrorIs(t, w.Adopt(t.Context(), apikey.GenerateToken().Reveal()), repotest.ErrRecord)
	require.Equal(t, before, w.list(t))
}

func TestAuditRowsHoldNoToken(t *testing.T) {
	w := newWorld(t)
	token, secret := w.create(t, access.NewToken{Name: "a", Role: "admin"})
	_, err := w.Revoke(t.Context(), token.ID)
	require.NoError(t, err)
	entries, err := w.changes.Audit.List(t.Context(), models.AuditFilter{ObjectKind: "token"}, models.Page{})
	require.NoError(t, err)
	require.Len(t, entries, 2)
	hash := apikey.Sum(secret)
	for _, e := range entries {
		row, err := json.Marshal(e)
		require.NoError(t, err)
		require.Contains(t, string(row), token.Mask)
		require.NotContains(t, string(row), secret)
		require.NotContains(t, string(row), hash.String())
	}
}
