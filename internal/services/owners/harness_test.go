package owners_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/audit"
	"github.com/viva/rate-limiter/internal/services/owners"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// world is the service over a real database, with a clock that stands still.
type world struct {
	*owners.Service
	changes *changes
	keys    repositories.Keys
	plans   repositories.Plans
	spaces  repositories.Keyspaces
	now     time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	db, err := repositories.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "viva.db"), repositories.Options{Clock: clock})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	require.NoError(t, db.Migrate(t.Context()))
	w.keys, w.plans, w.spaces = repositories.NewKeys(db), repositories.NewPlans(db), repositories.NewKeyspaces(db)
	w.changes = &changes{db: db, audit: audit.New(repositories.NewAudit(db), clock)}
	store := repositories.NewOwners(db)
	w.Service = owners.New(store, store, w.plans, w.changes, "free", clock)
	return w
}

// changes records in the database, or fails to, and tells what it was told of.
type changes struct {
	db    *repositories.DB
	audit *audit.Service
	fail  bool
	made  []models.Change
}

var errRecord = errors.New("not recorded")

func (c *changes) InTx(ctx context.Context, fn func(ctx context.Context) error) error {
	return c.db.InTx(ctx, fn)
}

func (c *changes) Record(ctx context.Context, list ...models.Change) error {
	if c.fail {
		return errRecord
	}
	c.made = append(c.made, list...)
	return c.audit.Record(ctx, list...)
}

// during gives the changes that fn made.
func (w *world) during(fn func()) []models.Change {
	w.changes.made = nil
	fn()
	return w.changes.made
}

func (w *world) create(t testing.TB, n owners.NewOwner) owners.View {
	t.Helper()
	view, err := w.Create(t.Context(), n)
	require.NoError(t, err)
	return view
}

func (w *world) find(t testing.TB, ref string) owners.View {
	t.Helper()
	view, err := w.Find(t.Context(), ref)
	require.NoError(t, err)
	return view
}

func (w *world) plan(t testing.TB, name string) *models.Plan {
	t.Helper()
	plan, err := w.plans.Find(t.Context(), name)
	require.NoError(t, err)
	return plan
}

// publish adds an empty version to a plan.
func (w *world) publish(t testing.TB, plan *models.Plan, number int) {
	t.Helper()
	require.NoError(t, w.plans.AddVersion(t.Context(), &models.PlanVersion{
		ID: models.NewID[models.PlanVersionID](), PlanID: plan.ID, Number: number, CreatedAt: w.now,
	}))
}

func (w *world) key(t testing.TB, owner models.OwnerID) models.KeyID {
	t.Helper()
	keyspace, err := w.spaces.Find(t.Context(), models.DefaultKeyspace)
	require.NoError(t, err)
	key := models.APIKey{
		ID: models.NewID[models.KeyID](), KeyspaceID: keyspace.ID, OwnerID: owner, Name: "k", Environment: apikey.Live,
		Version: 1, CreatedAt: w.now, UpdatedAt: w.now,
	}
	require.NoError(t, w.keys.Create(t.Context(), []models.APIKey{key}, nil))
	return key.ID
}

func failed(t testing.TB, err error, code apierror.Code) *apierror.Error {
	t.Helper()
	require.ErrorIs(t, err, code)
	known, ok := apierror.As(err)
	require.True(t, ok)
	return known
}

func badFields(t testing.TB, err error) []string {
	t.Helper()
	var names []string
	for _, f := range failed(t, err, apierror.CodeValidationFailed).Fields {
		names = append(names, f.Name)
	}
	return names
}

func state(t testing.TB, v any) map[string]any {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	var members map[string]any
	require.NoError(t, json.Unmarshal(data, &members))
	return members
}

func ptr[T any](v T) *T { return &v }
