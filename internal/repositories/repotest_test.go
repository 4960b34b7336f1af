package repositories_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// engines opens an empty database of each kind.
var engines = map[string]func(testing.TB, repositories.Options) *repositories.DB{
	repositories.SQLite: func(tb testing.TB, o repositories.Options) *repositories.DB {
		db, err := repositories.OpenSQLite(tb.Context(), filepath.Join(tb.TempDir(), "viva.db"), o)
		return opened(tb, db, err)
	},
	repositories.Postgres: func(tb testing.TB, o repositories.Options) *repositories.DB {
		db, err := repositories.OpenPostgres(tb.Context(), testenv.Postgres(tb), o)
		return opened(tb, db, err)
	},
}

func opened(tb testing.TB, db *repositories.DB, err error) *repositories.DB {
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	return db
}

// suite is one engine under the contract: its repositories, and a clock that
// stands still until a test moves it.
type suite struct {
	db            *repositories.DB
	keyspaces     repositories.Keyspaces
	plans         repositories.Plans
	owners        repositories.Owners
	keys          repositories.Keys
	tokens        repositories.Tokens
	invalidations repositories.Invalidations
	idempotency   repositories.Idempotency
	audit         repositories.Audit
	clock         *clock
}

// eachEngine runs a test of the contract on both engines, migrated and seeded.
func eachEngine(t *testing.T, test func(t *testing.T, s *suite)) {
	t.Helper()
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			c := &clock{now: time.Date(2026, 3, 29, 1, 30, 0, 123456000, time.UTC)}
			db := open(t, patient(c))
			require.NoError(t, db.Migrate(t.Context()))
			test(t, newSuite(db, c))
		})
	}
}

// patient options leave it to the test to say when something takes too long.
func patient(c *clock) repositories.Options {
	return repositories.Options{Clock: c.Now, QueryTimeout: time.Minute, TxTimeout: time.Minute}
}

func newSuite(db *repositories.DB, c *clock) *suite {
	return &suite{
		db: db, clock: c,
		keyspaces:     repositories.NewKeyspaces(db),
		plans:         repositories.NewPlans(db),
		owners:        repositories.NewOwners(db),
		keys:          repositories.NewKeys(db),
		tokens:        repositories.NewTokens(db),
		invalidations: repositories.NewInvalidations(db),
		idempotency:   repositories.NewIdempotency(db),
		audit:         repositories.NewAudit(db),
	}
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

func (s *suite) keyspace(t testing.TB) *models.Keyspace {
	t.Helper()
	keyspace, err := s.keyspaces.Find(t.Context(), models.DefaultKeyspace)
	require.NoError(t, err)
	return keyspace
}

func (s *suite) plan(t testing.TB, name string) *models.Plan {
	t.Helper()
	plan, err := s.plans.Find(t.Context(), name)
	require.NoError(t, err)
	return plan
}

// newOwner describes an owner on the plan free.
func (s *suite) newOwner(t testing.TB) models.Owner {
	t.Helper()
	now := s.clock.Now()
	return models.Owner{
		ID: models.NewID[models.OwnerID](), PlanID: s.plan(t, "free").ID, TimeZone: "UTC", AnchorDay: 1,
		Version: 1, CreatedAt: now, UpdatedAt: now,
	}
}

func (s *suite) owner(t testing.TB) *models.Owner {
	t.Helper()
	owner := s.newOwner(t)
	require.NoError(t, s.owners.Create(t.Context(), &owner))
	return &owner
}

// newKey describes a key of the owner in the default keyspace.
func (s *suite) newKey(t testing.TB, owner models.OwnerID) models.APIKey {
	t.Helper()
	now := s.clock.Now()
	return models.APIKey{
		ID: models.NewID[models.KeyID](), KeyspaceID: s.keyspace(t).ID, OwnerID: owner, Name: "a key",
		Environment: apikey.Live, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
}

func (s *suite) key(t testing.TB, change ...func(*models.APIKey)) *models.APIKey {
	t.Helper()
	key := s.newKey(t, s.owner(t).ID)
	for _, c := range change {
		c(&key)
	}
	require.NoError(t, s.keys.Create(t.Context(), []models.APIKey{key}, nil))
	return &key
}

// newSecret describes a secret of the key, and tells the hash of its text.
func (s *suite) newSecret(key models.KeyID, text string) models.Secret {
	return models.Secret{
		ID: models.NewID[models.SecretID](), KeyID: key, Hash: apikey.Sum(text), Mask: apikey.Mask(text),
		CreatedAt: s.clock.Now(),
	}
}

// refused demands an error of the code that the API knows, and gives it.
func refused(t testing.TB, err error, code apierror.Code) *apierror.Error {
	t.Helper()
	require.ErrorIs(t, err, code)
	known, ok := apierror.As(err)
	require.True(t, ok)
	return known
}

// field is the one bad field that an error names.
func field(t testing.TB, err *apierror.Error) string {
	t.Helper()
	require.Len(t, err.Fields, 1)
	return err.Fields[0].Name
}

func inTx(t testing.TB, db *repositories.DB, fn func(ctx context.Context)) {
	t.Helper()
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context) error {
		fn(ctx)
		return nil
	}))
}

func ptr[T any](v T) *T { return &v }
