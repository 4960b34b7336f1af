package violations_test

import (
	"database/sql"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // reads PostgreSQL beside the repositories
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite" // and SQLite

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/repositories/repotest"
	"github.com/viva/rate-limiter/internal/services/keys"
	"github.com/viva/rate-limiter/internal/services/violations"
	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

var noon = time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)

// world is the service over a real database, and a clock that stands still
// until a test moves it.
type world struct {
	*violations.Service
	t       *testing.T
	db      *repositories.DB
	sql     *sql.DB
	keys    *keys.Service
	owners  repositories.Owners
	ingest  repositories.Ingest
	store   repositories.Violations
	changes *repotest.Changes

	mu   sync.Mutex
	when time.Time
}

// eachEngine runs a test on both engines.
func eachEngine(t *testing.T, options violations.Options, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "viva.db")
		test(t, newWorld(t, options, func(o repositories.Options) (*repositories.DB, error) {
			return repositories.OpenSQLite(t.Context(), path, o)
		}, "sqlite", path))
	})
	t.Run("postgres", func(t *testing.T) {
		url := testenv.Postgres(t)
		test(t, newWorld(t, options, func(o repositories.Options) (*repositories.DB, error) {
			return repositories.OpenPostgres(t.Context(), url, o)
		}, "pgx", url))
	})
}

func newWorld(t *testing.T, options violations.Options, open func(o repositories.Options) (*repositories.DB, error), driver, source string) *world {
	t.Helper()
	w := &world{t: t, when: noon}
	w.db = repotest.Migrated(t, w.now, open)
	var err error
	w.sql, err = sql.Open(driver, source)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.sql.Close()) })
	w.owners, w.ingest, w.store = repositories.NewOwners(w.db), repositories.NewIngest(w.db), repositories.NewViolations(w.db)
	w.changes = repotest.NewChanges(w.db, w.now)
	store, keyspaces := repositories.NewKeys(w.db), repositories.NewKeyspaces(w.db)
	w.keys = keys.New(keys.Deps{
		Store: store, Lists: store, Secrets: store, Keyspaces: keyspaces, KeyspaceStore: keyspaces, Owners: w.owners,
		Plans: repositories.NewPlans(w.db), Usage: repositories.NewActivity(w.db), Limits: ratelimit.NewMemory(), Changes: w.changes,
		DefaultPlan: "free", DefaultPrefix: "viva", Now: w.now,
	})
	w.Service = w.with(options)
	return w
}

// with gives the service with other options.
func (w *world) with(options violations.Options) *violations.Service {
	return violations.New(violations.Deps{
		Store: w.store, Episodes: repositories.NewEpisodes(w.db), Quotas: repositories.NewQuotas(w.db), Keys: repositories.NewKeys(w.db),
		Suspender: w.keys, Owners: w.owners, Jobs: repositories.NewJobs(w.db), Notices: repositories.NewNotices(w.db),
		Transactions: w.changes, Options: options, Now: w.now,
	})
}

func forgive(w *world, subject string) error {
	return repositories.NewQuotas(w.db).Forgive(w.t.Context(), subject, w.now())
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.when
}

// at moves the clock to a time after noon.
func (w *world) at(after time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.when = noon.Add(after)
}

// key makes a key of an owner, which is made where there is none.
func (w *world) key(owner string) models.APIKey {
	w.t.Helper()
	if _, err := w.owners.Find(w.t.Context(), owner); err != nil {
		w.owner(owner, "UTC", 1)
	}
	created, err := w.keys.Create(w.t.Context(), keys.NewKey{Name: "Checkout", Owner: owner})
	require.NoError(w.t, err)
	return created.Key
}

func (w *world) owner(ref, zone string, anchor int) models.Owner {
	w.t.Helper()
	plan, err := repositories.NewPlans(w.db).Find(w.t.Context(), "free")
	require.NoError(w.t, err)
	owner := models.Owner{
		ID: models.NewID[models.OwnerID](), ExternalID: &ref, PlanID: plan.ID, PlanSince: noon, TimeZone: zone, AnchorDay: anchor,
		Version: 1, CreatedAt: noon, UpdatedAt: noon,
	}
	require.NoError(w.t, w.owners.Create(w.t.Context(), &owner))
	return owner
}

// refuse adds refusals of a key in the minute of a time after noon.
func (w *world) refuse(key models.APIKey, after time.Duration, n int64, change ...func(v *models.RateLimitViolation)) {
	w.t.Helper()
	v := violation(key, noon.Add(after), n)
	for _, c := range change {
		c(&v)
	}
	v.Identify()
	require.NoError(w.t, w.ingest.Add(w.t.Context(), &models.UsageBatch{
		Violations: []models.RateLimitViolation{v}, Exceeded: []models.KeyID{key.ID},
	}))
}

func violation(key models.APIKey, at time.Time, n int64) models.RateLimitViolation {
	return models.RateLimitViolation{
		OwnerID: key.OwnerID, APIKeyID: key.ID, Rule: "per-minute", Code: "rate_limited", Endpoint: "/v1/x", Limit: 100, Count: n,
		FirstAt: at, LastAt: at, RequestID: "r",
	}
}

func from(ips ...string) func(v *models.RateLimitViolation) {
	return func(v *models.RateLimitViolation) { v.IPs = ips }
}

// many runs a handler by eight at once, and then once more.
func (w *world) many(handler func() error) {
	w.t.Helper()
	var group errgroup.Group
	for range 8 {
		group.Go(handler)
	}
	require.NoError(w.t, group.Wait())
	require.NoError(w.t, handler())
}

// analyze looks for abuse by a key, as many do at once.
func (w *world) analyze(key models.APIKey) {
	w.t.Helper()
	w.many(func() error { _, err := w.Analyze(w.t.Context(), string(key.ID)); return err })
}

// number gives the one number that a query asks for.
func (w *world) number(query string) (n int64) {
	w.t.Helper()
	require.NoError(w.t, w.sql.QueryRowContext(w.t.Context(), query).Scan(&n), query)
	return n
}

// told gives the DedupKeys of what was told, in the order it was.
func (w *world) told() []models.Notice {
	w.t.Helper()
	var list []models.Notice
	rows, err := w.sql.QueryContext(w.t.Context(), "SELECT dedup_key, event FROM notices ORDER BY created_at, id")
	require.NoError(w.t, err)
	defer rows.Close()
	for rows.Next() {
		var n models.Notice
		var event []byte
		require.NoError(w.t, rows.Scan(&n.DedupKey, &event))
		require.NoError(w.t, decode(event, &n.Event))
		list = append(list, n)
	}
	require.NoError(w.t, rows.Err())
	return list
}

// status gives what a key is now.
func (w *world) status(key models.APIKey) models.KeyStatus {
	w.t.Helper()
	view, err := w.keys.Find(w.t.Context(), key.ID)
	require.NoError(w.t, err)
	return view.Key.Status(w.now())
}
