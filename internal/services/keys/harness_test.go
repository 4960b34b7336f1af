package keys_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/repositories/repotest"
	"github.com/viva/rate-limiter/internal/services/keys"
	"github.com/viva/rate-limiter/pkg/apierror/errtest"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// world is the service over a real database, with a clock that stands still
// until a test moves it.
type world struct {
	*keys.Service
	db            *repositories.DB
	owners        repositories.Owners
	plans         repositories.Plans
	audits        repositories.Audit
	invalidations repositories.Invalidations
	changes       *repotest.Changes
	limits        *limits
	now           time.Time
}

func newWorld(t testing.TB, peppers ...models.Pepper) *world {
	t.Helper()
	return newWorldOn(t, func(o repositories.Options) (*repositories.DB, error) {
		return repositories.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "viva.db"), o)
	}, peppers...)
}

func newWorldOn(t testing.TB, open func(o repositories.Options) (*repositories.DB, error), peppers ...models.Pepper) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 3, 29, 12, 0, 0, 123_456_000, time.UTC)}
	clock := func() time.Time { return w.now }
	db := repotest.Migrated(t, clock, open)

	w.db, w.owners, w.plans = db, repositories.NewOwners(db), repositories.NewPlans(db)
	w.audits, w.invalidations = repositories.NewAudit(db), repositories.NewInvalidations(db)
	w.changes = repotest.NewChanges(db, clock)
	w.limits = &limits{Store: ratelimit.NewMemory(ratelimit.WithClock(clock))}
	store, keyspaces := repositories.NewKeys(db), repositories.NewKeyspaces(db)
	w.Service = keys.New(keys.Deps{
		Store: store, Lists: store, Secrets: store, Keyspaces: keyspaces, KeyspaceStore: keyspaces,
		Owners: w.owners, Plans: w.plans, Usage: repositories.NewActivity(db), Limits: w.limits, Changes: w.changes, Peppers: peppers,
		DefaultPlan: "free", DefaultPrefix: "viva", Now: clock,
	})
	return w
}

// limits is a real limit store that can be put out of reach.
type limits struct {
	ratelimit.Store
	err error
}

func (l *limits) Reset(ctx context.Context, group string, rules []ratelimit.Rule) error {
	if l.err != nil {
		return l.err
	}
	return l.Store.Reset(ctx, group, rules)
}

// trail gives what was recorded since the last look: the audit entries and the
// subjects made stale.
func (w *world) trail(t testing.TB) (entries []models.AuditEntry, stale []models.Dependency) {
	t.Helper()
	entries, err := w.audits.List(t.Context(), models.AuditFilter{}, models.Page{Sort: "at", Limit: 5_000})
	require.NoError(t, err)
	rows, err := w.invalidations.Since(t.Context(), 0, 0)
	require.NoError(t, err)
	for _, row := range rows {
		stale = append(stale, row.Stale()...)
	}
	return entries, stale
}

// during gives what fn recorded.
func (w *world) during(t testing.TB, fn func()) (entries []models.AuditEntry, stale []models.Dependency) {
	t.Helper()
	oldEntries, oldStale := w.trail(t)
	known := map[models.AuditID]bool{}
	for _, e := range oldEntries {
		known[e.ID] = true
	}
	fn()
	all, stale := w.trail(t)
	for _, e := range all {
		if !known[e.ID] {
			entries = append(entries, e)
		}
	}
	return entries, stale[len(oldStale):]
}

func actions(entries []models.AuditEntry) []string {
	list := []string{}
	for _, e := range entries {
		list = append(list, e.Action)
	}
	return list
}

func (w *world) create(t testing.TB, n keys.NewKey) keys.Created {
	t.Helper()
	if n.Name == "" {
		n.Name = "Checkout"
	}
	created, err := w.Create(t.Context(), n)
	require.NoError(t, err)
	return created
}

func (w *world) find(t testing.TB, id models.KeyID) keys.View {
	t.Helper()
	view, err := w.Find(t.Context(), id)
	require.NoError(t, err)
	return view
}

func (w *world) plan(t testing.TB, name string) *models.Plan {
	t.Helper()
	plan, err := w.plans.Find(t.Context(), name)
	require.NoError(t, err)
	return plan
}

// owner makes an owner on the plan, with an external id.
func (w *world) owner(t testing.TB, externalID, plan string) *models.Owner {
	t.Helper()
	owner := &models.Owner{
		ID: models.NewID[models.OwnerID](), ExternalID: &externalID, PlanID: w.plan(t, plan).ID,
		Version: 1, CreatedAt: w.now, UpdatedAt: w.now,
	}
	owner.Normalize()
	require.NoError(t, w.owners.Create(t.Context(), owner))
	return owner
}

func (w *world) archive(t testing.TB, owner *models.Owner) {
	t.Helper()
	owner.ArchivedAt = &w.now
	require.NoError(t, w.owners.Update(t.Context(), owner))
}

// count tells how many keys and owners there are.
func (w *world) count(t testing.TB) (keyCount, ownerCount int) {
	t.Helper()
	views, err := w.List(t.Context(), keys.Filter{}, models.Page{Limit: 5_000})
	require.NoError(t, err)
	owners, err := w.owners.List(t.Context(), models.OwnerFilter{IncludeArchived: true}, models.Page{Limit: 5_000})
	require.NoError(t, err)
	return len(views), len(owners)
}

// Assertions that every service needs.
var failed, badFields = errtest.Failed, errtest.BadFields

func subject[ID ~string](kind string, id ID, version int64) models.Dependency {
	return models.Dependency{Subject: models.SubjectOf(kind, id), Version: version}
}

func imported(secret string) *keys.Import { return &keys.Import{Hash: apikey.Sum(secret)} }

func ptr[T any](v T) *T { return &v }
