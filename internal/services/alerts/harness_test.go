package alerts_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/repositories/repotest"
	"github.com/viva/rate-limiter/internal/services/alerts"
	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/apikey"
)

var noon = time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)

// world is the service over a real database, without the rules it comes with, and
// with a clock that stands still until a test moves it.
type world struct {
	*alerts.Service
	t       testing.TB
	db      *repositories.DB
	changes *repotest.Changes
	ingest  repositories.Ingest
	owners  repositories.Owners
	keys    repositories.Keys
	now     atomic.Pointer[time.Time]
}

// eachEngine runs a test on both engines.
func eachEngine(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, newWorld(t)) })
	t.Run("postgres", func(t *testing.T) {
		url := testenv.Postgres(t)
		test(t, worldOver(t, func(o repositories.Options) (*repositories.DB, error) {
			return repositories.OpenPostgres(t.Context(), url, o)
		}))
	})
}

func newWorld(t testing.TB) *world {
	path := filepath.Join(t.TempDir(), "viva.db")
	return worldOver(t, func(o repositories.Options) (*repositories.DB, error) {
		return repositories.OpenSQLite(t.Context(), path, o)
	})
}

func worldOver(t testing.TB, open func(repositories.Options) (*repositories.DB, error)) *world {
	t.Helper()
	w := &world{t: t}
	w.set(noon)
	w.db = repotest.Migrated(t, w.clock, open)
	w.changes = repotest.NewChanges(w.db, w.clock)
	w.ingest, w.owners, w.keys = repositories.NewIngest(w.db), repositories.NewOwners(w.db), repositories.NewKeys(w.db)
	rules := repositories.NewAlertRules(w.db)
	w.Service = alerts.New(alerts.Deps{
		Rules: rules, Alerts: repositories.NewAlerts(w.db), Windows: repositories.NewMaintenanceWindows(w.db),
		Causes: repositories.NewAlertCauses(w.db), Notices: repositories.NewNotices(w.db), Streams: repositories.NewStreams(w.db),
		Owners: w.owners, Keys: w.keys, Plans: repositories.NewPlans(w.db), Changes: w.changes, Now: w.clock,
	})
	planted, err := rules.List(t.Context(), models.Page{})
	require.NoError(t, err)
	for _, rule := range planted {
		require.NoError(t, rules.Delete(t.Context(), rule.ID))
	}
	return w
}

func (w *world) clock() time.Time { return *w.now.Load() }

func (w *world) set(now time.Time) { w.now.Store(&now) }

func (w *world) advance(d time.Duration) { w.set(w.clock().Add(d)) }

// owner makes an owner in a zone, whose months begin on the day.
func (w *world) owner(external, zone string, anchor int) *models.Owner {
	w.t.Helper()
	plan, err := repositories.NewPlans(w.db).Find(w.t.Context(), "free")
	require.NoError(w.t, err)
	o := &models.Owner{
		ID: models.NewID[models.OwnerID](), ExternalID: &external, PlanID: plan.ID, TimeZone: zone, AnchorDay: anchor,
		Version: 1, CreatedAt: noon, UpdatedAt: noon, PlanSince: noon,
	}
	require.NoError(w.t, w.owners.Create(w.t.Context(), o))
	return o
}

func (w *world) key(owner *models.Owner) *models.APIKey {
	w.t.Helper()
	spaces, err := repositories.NewKeyspaces(w.db).All(w.t.Context())
	require.NoError(w.t, err)
	key := models.APIKey{
		ID: models.NewID[models.KeyID](), KeyspaceID: spaces[0].ID, OwnerID: owner.ID, Name: "k", Environment: apikey.Live,
		Version: 1, CreatedAt: noon, UpdatedAt: noon,
	}
	require.NoError(w.t, w.keys.Create(w.t.Context(), []models.APIKey{key}, nil))
	return &key
}

func (w *world) rule(n alerts.NewRule) *models.AlertRule {
	w.t.Helper()
	n.Enabled = true
	rule, err := w.CreateRule(w.t.Context(), n)
	require.NoError(w.t, err)
	return rule
}

func (w *world) quotaRule(percent float64) {
	w.t.Helper()
	w.rule(alerts.NewRule{Name: "quota", Kind: models.AlertQuota, Params: models.AlertParams{Percent: percent}})
}

func (w *world) refusalRule(change ...func(n *alerts.NewRule)) *models.AlertRule {
	w.t.Helper()
	n := alerts.NewRule{
		Name: "refusals", Kind: models.AlertViolations,
		Params: models.AlertParams{Count: 10, Window: models.Span(5 * time.Minute)},
	}
	for _, c := range change {
		c(&n)
	}
	return w.rule(n)
}

// spend spends from a quota of the owner in the month of March, as its zone has it.
func (w *world) spend(o *models.Owner, units, limit int64) {
	w.t.Helper()
	zone, err := models.LoadZone(o.TimeZone)
	require.NoError(w.t, err)
	start := models.CalendarAt(models.PeriodMonth, zone, o.AnchorDay, w.clock()).Current.Start
	require.NoError(w.t, w.ingest.AddQuotas(w.t.Context(), []models.QuotaTotal{{
		QuotaKey: models.QuotaKey{Subject: "owner:" + string(o.ID), Rule: "monthly", Period: models.PeriodMonth, Start: start},
		Units:    units, Limit: limit,
	}}))
}

// refuse refuses checks of the key now.
func (w *world) refuse(key *models.APIKey, n int64) {
	w.t.Helper()
	v := models.RateLimitViolation{
		OwnerID: key.OwnerID, APIKeyID: key.ID, Rule: "per-minute", Code: "rate_limited", Limit: 1, Count: n, FirstAt: w.clock(), LastAt: w.clock(),
	}
	v.Identify()
	require.NoError(w.t, w.ingest.AddViolations(w.t.Context(), []models.RateLimitViolation{v}))
}

func (w *world) check() {
	w.t.Helper()
	again, err := w.Check(w.t.Context(), "")
	require.NoError(w.t, err)
	require.Zero(w.t, again)
}

// told gives the events written since the last call, in order.
func (w *world) told() []models.Event {
	w.t.Helper()
	var events []models.Event
	notices := repositories.NewNotices(w.db)
	require.NoError(w.t, w.db.InTx(w.t.Context(), func(ctx context.Context) error {
		list, err := notices.LockUnplanned(ctx, 100_000)
		if err != nil {
			return err
		}
		events = nil
		var ids []models.NoticeID
		for _, n := range list {
			events, ids = append(events, n.Event), append(ids, n.ID)
		}
		return notices.Planned(ctx, ids, w.clock())
	}))
	return events
}

// types gives the types of the events written since the last call.
func (w *world) types() []models.EventType {
	w.t.Helper()
	var types []models.EventType
	for _, e := range w.told() {
		types = append(types, e.Type)
	}
	return types
}

func (w *world) list(f alerts.Filter) []models.Alert {
	w.t.Helper()
	list, err := w.List(w.t.Context(), f, models.Page{Limit: models.MaxPageLimit})
	require.NoError(w.t, err)
	return list
}

// only gives the one alert that there is.
func (w *world) only() *models.Alert {
	w.t.Helper()
	list := w.list(alerts.Filter{})
	require.Len(w.t, list, 1)
	return &list[0]
}
