package plans_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/repositories/repotest"
	"github.com/viva/rate-limiter/internal/services/plans"
	"github.com/viva/rate-limiter/pkg/apierror/errtest"
)

// world is the service over a real database, with a clock that stands still.
type world struct {
	*plans.Service
	owners  repositories.Owners
	changes *repotest.Changes
	now     time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	db := repotest.OpenSQLite(t, clock)
	w.owners = repositories.NewOwners(db)
	w.changes = repotest.NewChanges(db, clock)
	store := repositories.NewPlans(db)
	w.Service = plans.New(store, store, w.changes, clock)
	return w
}

// during gives the changes that fn made.
func (w *world) during(fn func()) []models.Change { return w.changes.During(fn) }

func (w *world) create(t testing.TB, name string, rules ...models.Rule) plans.View {
	t.Helper()
	view, err := w.Create(t.Context(), plans.NewPlan{Name: name, Rules: rules})
	require.NoError(t, err)
	return view
}

func (w *world) find(t testing.TB, ref string) plans.View {
	t.Helper()
	view, err := w.Find(t.Context(), ref)
	require.NoError(t, err)
	return view
}

func (w *world) owner(t testing.TB, plan models.PlanID, pin *int) {
	t.Helper()
	owner := models.Owner{
		ID: models.NewID[models.OwnerID](), PlanID: plan, PlanVersion: pin, Version: 1, CreatedAt: w.now, UpdatedAt: w.now,
	}
	owner.Normalize()
	require.NoError(t, w.owners.Create(t.Context(), &owner))
}

func perMinute(limit int64) models.Rule {
	return models.Rule{Name: "per-minute", Limit: limit, Window: time.Minute}
}

// Assertions that every service needs.
var failed, badFields = errtest.Failed, errtest.BadFields

// version gives the state of a plan's version as the record of changes has it.
func version(t testing.TB, state any) map[string]any {
	t.Helper()
	data, err := json.Marshal(state)
	require.NoError(t, err)
	var members struct {
		Plan    map[string]any `json:"plan"`
		Version map[string]any `json:"version"`
	}
	require.NoError(t, json.Unmarshal(data, &members))
	require.NotEmpty(t, members.Plan["name"])
	return members.Version
}

func ptr[T any](v T) *T { return &v }
