package privacy_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // reads PostgreSQL beside the repositories
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // and SQLite

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/repositories/repotest"
	"github.com/viva/rate-limiter/internal/services/privacy"
	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

var noon = time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)

// world is the service over a real database.
type world struct {
	t       *testing.T
	db      *repositories.DB
	sql     *sql.DB
	engine  string
	service *privacy.Service
	data    repositories.Privacy
	changes *repotest.Changes
	now     time.Time
}

func eachEngine(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "viva.db")
		test(newWorld(t, "sqlite", path, func(o repositories.Options) (*repositories.DB, error) {
			return repositories.OpenSQLite(t.Context(), path, o)
		}))
	})
	t.Run("postgres", func(t *testing.T) {
		url := testenv.Postgres(t)
		test(newWorld(t, "pgx", url, func(o repositories.Options) (*repositories.DB, error) {
			return repositories.OpenPostgres(t.Context(), url, o)
		}))
	})
}

func newWorld(t *testing.T, driver, source string, open func(o repositories.Options) (*repositories.DB, error)) *world {
	t.Helper()
	w := &world{t: t, engine: driver, now: noon}
	clock := func() time.Time { return w.now }
	w.db = repotest.Migrated(t, clock, open)
	var err error
	w.sql, err = sql.Open(driver, source)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.sql.Close()) })
	w.data, w.changes = repositories.NewPrivacy(w.db), repotest.NewChanges(w.db, clock)
	w.service = privacy.New(privacy.Deps{
		Keys: repositories.NewKeys(w.db), Owners: repositories.NewOwners(w.db), Data: w.data, Changes: w.changes, Now: clock,
	})
	return w
}

// traces are what a test plants of a person, marked so that it is found again.
type traces struct{ mark, ip string }

func (p traces) text(what string) string { return what + "-" + p.mark }

// owner makes an owner with a trace in everything that is personal, and in the
// record of its creation.
func (w *world) owner(p traces, implicit bool) models.Owner {
	w.t.Helper()
	plan, err := repositories.NewPlans(w.db).Find(w.t.Context(), "free")
	require.NoError(w.t, err)
	external := "ext" + strings.ReplaceAll(p.mark, "mark", "")
	o := models.Owner{
		ID: models.NewID[models.OwnerID](), ExternalID: &external, Name: p.text("name"), Email: p.text("email"), PlanID: plan.ID, PlanSince: noon,
		Implicit: implicit, Metadata: map[string]string{"who": p.text("metadata")},
		TimeZone: "UTC", AnchorDay: 1, Version: 1, CreatedAt: noon, UpdatedAt: noon,
	}
	require.NoError(w.t, repositories.NewOwners(w.db).Create(w.t.Context(), &o))
	w.recorded(p, models.Change{Action: "owner.create", ObjectKind: "owner", ObjectID: string(o.ID), After: o})
	return o
}

func (w *world) key(p traces, owner models.OwnerID) models.APIKey {
	w.t.Helper()
	keyspace, err := repositories.NewKeyspaces(w.db).Find(w.t.Context(), models.DefaultKeyspace)
	require.NoError(w.t, err)
	k := models.APIKey{
		ID: models.NewID[models.KeyID](), KeyspaceID: keyspace.ID, OwnerID: owner, Name: "a key", Environment: apikey.Live,
		SuspendedAt: &noon, SuspendReason: p.text("reason"), Metadata: map[string]string{"who": p.text("metadata")},
		Version: 1, CreatedAt: noon, UpdatedAt: noon,
	}
	secret := models.Secret{ID: models.NewID[models.SecretID](), KeyID: k.ID, Hash: apikey.Sum(p.mark), Mask: "viva_live_…wXyZ", CreatedAt: noon}
	require.NoError(w.t, repositories.NewKeys(w.db).Create(w.t.Context(), []models.APIKey{k}, []models.Secret{secret}))
	w.recorded(p, models.Change{Action: "key.update", ObjectKind: "key", ObjectID: string(k.ID), Before: k, After: k},
		models.Change{Action: "key.reset_limits", ObjectKind: "key", ObjectID: string(k.ID)})
	return k
}

func (w *world) recorded(p traces, changes ...models.Change) {
	w.t.Helper()
	ctx := models.WithActor(w.t.Context(), models.Actor{Kind: "token", ID: "t", Name: "admin", IP: p.ip})
	require.NoError(w.t, w.changes.Record(ctx, changes...))
}

// used stores usage of a key: so many checks, of which every third is alike in
// time with others, and what they add up to.
func (w *world) used(p traces, k models.APIKey, checks int) {
	w.t.Helper()
	segment := models.Segment{OwnerID: k.OwnerID, PlanID: models.NewID[models.PlanID](), PlanVersion: 1, Since: noon}
	segment.Identify()
	b := &models.UsageBatch{Segments: []models.Segment{segment}}
	counts := models.UsageCounts{Requests: 1, Allowed: 1, Units: 3, BillableUnits: 3}
	for i := range checks {
		at := noon.Add(-time.Duration(i/3) * time.Minute)
		cell := models.UsageCell{
			Bucket: models.BucketOf(at), SegmentID: segment.ID, APIKeyID: k.ID, Endpoint: fmt.Sprintf("/%d", i), Method: "GET", Meter: models.MeterRequests,
		}
		b.Logs = append(b.Logs, models.UsageLog{
			At: at, RequestID: fmt.Sprintf("r%d", i), Kind: models.RecordCheck, OwnerID: k.OwnerID, APIKeyID: k.ID, SegmentID: segment.ID,
			Code: "ok", Allowed: true, Units: 3, Cost: 3, IP: p.ip, UserAgent: p.text("agent"), SampleRate: 1,
		})
		b.Rollups = append(b.Rollups, models.UsageRollup{UsageCell: cell, OwnerID: k.OwnerID, UsageCounts: counts})
		b.Latencies = append(b.Latencies, models.UsageLatency{UsageCell: cell, OwnerID: k.OwnerID, Latency: 3, Count: 1})
		v := models.RateLimitViolation{
			OwnerID: k.OwnerID, APIKeyID: k.ID, Rule: "r", Code: "rate_limited", Endpoint: cell.Endpoint, Limit: 1, Count: 1,
			FirstAt: at, LastAt: at, RequestID: "r", IPs: []string{p.ip}, Agents: []string{p.text("agent")},
		}
		v.Identify()
		b.Violations = append(b.Violations, v)
	}
	b.Quotas = []models.QuotaTotal{
		{QuotaKey: models.QuotaKey{Subject: "key:" + string(k.ID), Rule: "q", Period: models.PeriodDay, Start: noon}, Units: 1},
		{QuotaKey: models.QuotaKey{Subject: "owner:" + string(k.OwnerID), Rule: "q", Period: models.PeriodDay, Start: noon}, Units: 1},
	}
	refused := w.record(p, k, noon)
	b.Rejects = []models.IngestReject{{StreamID: models.NewID[models.StreamID](), Seq: 1, Reason: "no", Payload: refused.Append(nil), RejectedAt: noon}}
	require.NoError(w.t, repositories.NewIngest(w.db).Add(w.t.Context(), b))
	require.NoError(w.t, repositories.NewUsageUpkeep(w.db).Total(w.t.Context(), noon.Add(models.Bucket)))
}

func (w *world) record(p traces, k models.APIKey, at time.Time) models.Record {
	return models.Record{
		Kind: models.RecordCheck, RequestID: "r", At: at, KeyID: k.ID, Segment: models.Segment{OwnerID: k.OwnerID, PlanID: models.NewID[models.PlanID](), PlanVersion: 1, Since: noon},
		Code: "ok", Allowed: true, Meter: models.MeterRequests, IP: netip.MustParseAddr(p.ip), UserAgent: p.text("agent"),
	}
}

// dump is every row of every table as text, by table.
func (w *world) dump() map[string][]string {
	w.t.Helper()
	query := `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`
	if w.engine == "pgx" {
		query = `SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace`
	}
	all := map[string][]string{}
	for _, name := range w.column(query) {
		all[name] = w.rows(`SELECT * FROM ` + name)
	}
	return all
}

func (w *world) rows(query string) (list []string) {
	w.t.Helper()
	rows, err := w.sql.QueryContext(w.t.Context(), query)
	require.NoError(w.t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(w.t, err)
	for rows.Next() {
		cells, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		require.NoError(w.t, rows.Scan(into...))
		for i := range cells {
			if b, ok := cells[i].([]byte); ok {
				cells[i] = string(b)
			}
		}
		list = append(list, fmt.Sprint(cells...))
	}
	require.NoError(w.t, rows.Err())
	return list
}

func (w *world) column(query string) (list []string) {
	w.t.Helper()
	rows, err := w.sql.QueryContext(w.t.Context(), query)
	require.NoError(w.t, err)
	defer rows.Close()
	for rows.Next() {
		var text string
		require.NoError(w.t, rows.Scan(&text))
		list = append(list, text)
	}
	require.NoError(w.t, rows.Err())
	return list
}

// found names the tables that hold one of the texts.
func (w *world) found(texts ...string) (tables map[string]int) {
	tables = map[string]int{}
	for name, rows := range w.dump() {
		for _, row := range rows {
			for _, text := range texts {
				if strings.Contains(row, text) {
					tables[name]++
				}
			}
		}
	}
	return tables
}

// lines collects an export, by kind, each line as JSON.
func lines(t *testing.T, export func(line privacy.Line) error) map[string][]string {
	t.Helper()
	kinds := map[string][]string{}
	require.NoError(t, export(func(kind string, object any) error {
		data, err := json.Marshal(object)
		kinds[kind] = append(kinds[kind], string(data))
		return err
	}))
	return kinds
}

func TestAnExportListsEverythingOnceOverPages(t *testing.T) {
	eachEngine(t, func(w *world) {
		mine, other := traces{"mark1", "198.51.100.1"}, traces{"mark2", "198.51.100.2"}
		owner := w.owner(mine, false)
		key, second := w.key(mine, owner.ID), w.key(traces{"mark3", "198.51.100.3"}, owner.ID)
		stranger := w.key(other, w.owner(other, false).ID)
		const checks = 2100 // of which three at a time are alike
		w.used(mine, key, checks)
		w.used(other, stranger, 7)
		w.used(mine, second, 5)

		got := lines(w.t, func(line privacy.Line) error { return w.service.ExportKey(w.t.Context(), key.ID, line) })
		counts := func(kinds map[string][]string) map[string]int {
			n := map[string]int{}
			for kind, list := range kinds {
				seen := map[string]bool{}
				for _, text := range list {
					require.False(w.t, seen[text], "%s twice: %s", kind, text)
					require.NotContains(w.t, text, "mark2")
					require.NotContains(w.t, text, other.ip)
					seen[text] = true
				}
				n[kind] = len(list)
			}
			return n
		}
		require.Equal(w.t, map[string]int{
			"key": 1, "usage_segments": 2, "usage_rollups": checks, "usage_latencies": checks, "usage_totals": 13 + 1 + 1, "quota_totals": 1,
			"rate_limit_violations": checks, "usage_logs": checks, "audit_logs": 2,
		}, counts(got))
		require.Contains(w.t, got["key"][0], "viva_live_…wXyZ")
		require.NotContains(w.t, got["key"][0], "hash")
		require.Contains(w.t, got["usage_logs"][0], mine.ip)

		got = lines(w.t, func(line privacy.Line) error { return w.service.ExportOwner(w.t.Context(), *owner.ExternalID, line) })
		require.Equal(w.t, map[string]int{
			"owner": 1, "key": 2, "usage_segments": 2, "usage_rollups": checks + 5, "usage_latencies": checks + 5, "usage_totals": 15 + 4,
			"quota_totals": 3, "rate_limit_violations": checks + 5, "usage_logs": checks + 5, "audit_logs": 1 + 2 + 2,
		}, counts(got))
		require.Contains(w.t, got["owner"][0], "email-mark1")
	})
}

func TestAnErasureLeavesSumsAndNoTrace(t *testing.T) {
	for _, of := range []string{"key", "owner"} {
		t.Run(of, func(t *testing.T) {
			eachEngine(t, func(w *world) {
				mine, other := traces{"mark1", "198.51.100.1"}, traces{"mark2", "198.51.100.2"}
				owner := w.owner(mine, of == "key")
				key, stranger := w.key(mine, owner.ID), w.key(other, w.owner(other, false).ID)
				const checks = 1500
				w.used(mine, key, checks)
				w.used(other, stranger, 7)
				w.recorded(other, models.Change{Action: "key.update", ObjectKind: "key", ObjectID: string(stranger.ID), Before: stranger})
				before, theirs := w.dump(), w.found("mark2", other.ip)
				require.NotEmpty(w.t, w.found("mark1"))

				erase := func() models.ErasedRows {
					w.t.Helper()
					if of == "key" {
						n, err := w.service.EraseKey(w.t.Context(), key.ID)
						require.NoError(w.t, err)
						return n
					}
					n, err := w.service.EraseOwner(w.t.Context(), *owner.ExternalID)
					require.NoError(w.t, err)
					return n
				}
				require.Equal(w.t, models.ErasedRows{Logs: checks, Violations: checks, AuditLogs: 3}, erase())
				require.Empty(w.t, w.found("mark1", mine.ip))
				require.Equal(w.t, theirs, w.found("mark2", other.ip), "another's data is untouched")
				after := w.dump()
				for _, table := range []string{"usage_rollups", "usage_latencies", "usage_totals", "usage_sums", "quota_totals", "usage_segments", "secrets"} {
					require.ElementsMatch(w.t, before[table], after[table], table)
				}
				require.Len(w.t, after["usage_logs"], checks+7)
				require.Len(w.t, after["rate_limit_violations"], checks+7)
				found, err := repositories.NewOwners(w.db).Find(w.t.Context(), *owner.ExternalID)
				require.NoError(w.t, err, "the external id stays")
				require.Equal(w.t, "erased", found.Name)

				require.Zero(w.t, erase(), "the second time there is nothing")
				again := w.dump()
				for table := range after {
					if table != "audit_logs" && table != "invalidations" && table != "erasures" {
						require.ElementsMatch(w.t, after[table], again[table], table)
					}
				}
				list, err := w.changes.Audit.List(w.t.Context(), models.AuditFilter{Action: of + ".erase_personal_data"}, models.Page{})
				require.NoError(w.t, err)
				require.Len(w.t, list, 2)
			})
		})
	}
}

func TestWhatComesAfterAnErasureIsBlankedToo(t *testing.T) {
	eachEngine(t, func(w *world) {
		mine, other := traces{"mark1", "198.51.100.1"}, traces{"mark2", "198.51.100.2"}
		key, stranger := w.key(mine, w.owner(mine, false).ID), w.key(other, w.owner(other, false).ID)
		held := w.key(traces{"mark3", "198.51.100.3"}, stranger.OwnerID)
		forgotten := privacy.NewForgotten(w.data)
		blanked := func(k models.APIKey, at time.Time) bool {
			r := w.record(mine, k, at)
			done := forgotten.Blank(&r)
			require.Equal(w.t, done, !r.IP.IsValid())
			require.Equal(w.t, done, r.UserAgent == "")
			return done
		}
		require.NoError(w.t, forgotten.Refresh(w.t.Context()))
		require.False(w.t, blanked(key, noon))
		_, err := w.service.EraseKey(w.t.Context(), key.ID)
		require.NoError(w.t, err)
		require.NoError(w.t, forgotten.Refresh(w.t.Context()))
		require.True(w.t, blanked(key, noon))
		require.False(w.t, blanked(key, noon.Add(time.Microsecond)), "what happens later is not erased")
		require.False(w.t, blanked(stranger, noon))
		w.now = noon.Add(time.Hour)
		_, err = w.service.EraseOwner(w.t.Context(), string(stranger.OwnerID))
		require.NoError(w.t, err)
		require.NoError(w.t, forgotten.Refresh(w.t.Context()))
		require.True(w.t, blanked(held, noon.Add(time.Hour)), "the keys of an owner are erased with it")
		require.True(w.t, blanked(key, noon), "it goes on knowing the first")

		w.used(mine, key, 4) // by a node that had not heard of it
		require.NoError(w.t, w.data.EraseAgain(w.t.Context(), w.now.Add(-2*time.Hour)))
		require.Empty(w.t, w.found("agent-mark1"))
		require.NoError(w.t, w.data.Remember(w.t.Context(), models.Erasure{SubjectKind: "key", SubjectID: string(key.ID), ErasedAt: noon.Add(-time.Minute)}))
		w.used(mine, key, 9)
		require.NoError(w.t, w.data.EraseAgain(w.t.Context(), w.now.Add(-2*time.Hour)))
		require.Equal(w.t, 3, w.found("agent-mark1")["usage_logs"], "what happened after the erasure stays")
	})
}

func TestOfUnknownOnesThereIsNothing(t *testing.T) {
	eachEngine(t, func(w *world) {
		none := func(string, any) error { panic("a line") }
		_, err := w.service.EraseKey(w.t.Context(), models.NewID[models.KeyID]())
		require.ErrorIs(w.t, err, apierror.CodeNotFound)
		_, err = w.service.EraseOwner(w.t.Context(), "nobody")
		require.ErrorIs(w.t, err, apierror.CodeNotFound)
		require.ErrorIs(w.t, w.service.ExportKey(w.t.Context(), models.NewID[models.KeyID](), none), apierror.CodeNotFound)
		require.ErrorIs(w.t, w.service.ExportOwner(w.t.Context(), "nobody", none), apierror.CodeNotFound)
		require.Empty(w.t, w.dump()["erasures"])
	})
}

func TestAnErasureThatIsNotRecordedIsNotDone(t *testing.T) {
	eachEngine(t, func(w *world) {
		mine := traces{"mark1", "198.51.100.1"}
		key := w.key(mine, w.owner(mine, true).ID)
		w.used(mine, key, 3)
		before := w.dump()
		w.changes.FailOn = "owner.erase_personal_data"
		_, err := w.service.EraseKey(w.t.Context(), key.ID)
		require.ErrorIs(w.t, err, repotest.ErrRecord)
		require.Equal(w.t, before, w.dump())
		_, err = w.service.EraseKey(canceled(w.t), key.ID)
		require.Error(w.t, err)
	})
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
