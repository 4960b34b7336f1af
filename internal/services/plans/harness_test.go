package plans_test

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
	"github.com/viva/rate-limiter/internal/services/plans"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// world is the service over a real database, with a clock that stands still.
type world struct {
	*plans.Service
	owners  repositories.Owners
	changes *changes
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
	w.owners = repositories.NewOwners(db)
	w.changes = &changes{db: db, audit: audit.New(repositories.NewAudit(db), clock)}
	store := repositories.NewPlans(db)
	w.Service = plans.New(store, store, w.changes, clock)
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
