package owners_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/repositories/repotest"
	"github.com/viva/rate-limiter/internal/services/owners"
	"github.com/viva/rate-limiter/pkg/apierror/errtest"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// world is the service over a real database, with a clock that stands still.
type world struct {
	*owners.Service
	changes *repotest.Changes
	keys    repositories.Keys
	plans   repositories.Plans
	spaces  repositories.Keyspaces
	now     time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	db := repotest.OpenSQLite(t, clock)
	w.keys, w.plans, w.spaces = repositories.NewKeys(db), repositories.NewPlans(db), repositories.NewKeyspaces(db)
	w.changes = repotest.NewChanges(db, clock)
	store := repositories.NewOwners(db)
	w.Service = owners.New(store, store, w.plans, w.changes, "free", clock)
	return w
}

// during gives the changes that fn made.
func (w *world) during(fn func()) []models.Change { return w.changes.During(fn) }

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

// Assertions that every service needs.
var failed, badFields = errtest.Failed, errtest.BadFields

func state(t testing.TB, v any) map[string]any {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	var members map[string]any
	require.NoError(t, json.Unmarshal(data, &members))
	return members
}

func ptr[T any](v T) *T { return &v }
