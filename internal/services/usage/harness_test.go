package usage_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // reads PostgreSQL beside the repositories
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // and SQLite

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/repositories/repotest"
	"github.com/viva/rate-limiter/internal/services/usage"
	"github.com/viva/rate-limiter/internal/testenv"
)

var noon = time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)

// shelf is a journal in memory.
type shelf struct {
	mu      sync.Mutex
	streams []usage.Stream
	entries map[models.StreamID][]usage.Entry
	done    map[models.StreamID]int64
	broken  models.StreamID // cannot be read
}

func newShelf() *shelf {
	return &shelf{entries: map[models.StreamID][]usage.Entry{}, done: map[models.StreamID]int64{}}
}

// stream begins a stream.
func (s *shelf) stream(own bool) models.StreamID {
	id := models.NewID[models.StreamID]()
	s.streams = append(s.streams, usage.Stream{ID: id, Own: own})
	s.done[id] = -1 // nobody has spoken of it
	return id
}

// put appends records to a stream, journalled when they were decided.
func (s *shelf) put(id models.StreamID, records ...models.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range records {
		s.entries[id] = append(s.entries[id], usage.Entry{
			Seq: int64(len(s.entries[id])) + 1, At: records[i].At, Payload: records[i].Append(nil),
		})
	}
}

// forget takes away what was brought in; the numbers of records go on.
func (s *shelf) forget(id models.StreamID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := s.entries[id]
	for i := range entries[:min(max(0, int(s.done[id])), len(entries))] {
		entries[i].Payload = nil
	}
}

func (s *shelf) Streams() []usage.Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []usage.Stream
	for _, one := range s.streams {
		if one.Last = int64(len(s.entries[one.ID])); one.Own || one.Last > s.done[one.ID] {
			list = append(list, one)
		}
	}
	return list
}

func (s *shelf) Read(stream models.StreamID, after int64, most int) ([]usage.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stream == s.broken {
		return nil, syscall.EIO
	}
	var list []usage.Entry
	for _, e := range s.entries[stream] {
		if e.Seq > after && len(list) < most {
			list = append(list, e)
		}
	}
	return list, nil
}

func (s *shelf) Done(stream models.StreamID, seq int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[stream] = seq
}

func (s *shelf) doneUpTo(stream models.StreamID) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, s.done[stream])
}

// world is an ingester over a real database, and a clock that stands still
// until a test moves it.
type world struct {
	t        *testing.T
	db       *repositories.DB
	engine   string
	sql      *sql.DB
	journal  *shelf
	ingest   repositories.Ingest
	streams  repositories.Streams
	reported []string
	now      time.Time
}

// eachEngine runs a test on both engines.
func eachEngine(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "viva.db")
		w := &world{t: t, now: noon, engine: "sqlite"}
		w.open(func(o repositories.Options) (*repositories.DB, error) {
			return repositories.OpenSQLite(t.Context(), path, o)
		}, "sqlite", path)
		test(t, w)
	})
	t.Run("postgres", func(t *testing.T) {
		url := testenv.Postgres(t)
		w := &world{t: t, now: noon, engine: "postgres"}
		w.open(func(o repositories.Options) (*repositories.DB, error) {
			return repositories.OpenPostgres(t.Context(), url, o)
		}, "pgx", url)
		test(t, w)
	})
}

func (w *world) open(open func(o repositories.Options) (*repositories.DB, error), driver, source string) {
	w.t.Helper()
	w.db = repotest.Migrated(w.t, w.clock, open)
	var err error
	w.sql, err = sql.Open(driver, source)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, w.sql.Close()) })
	w.journal, w.ingest, w.streams = newShelf(), repositories.NewIngest(w.db), repositories.NewStreams(w.db)
}

func (w *world) clock() time.Time { return w.now }

// ingester makes an ingester as a new process has it; change alters its options.
func (w *world) ingester(store usage.Store, change func(o *usage.IngesterOptions)) *usage.Ingester {
	o := usage.IngesterOptions{
		Node: "test", RawRowsPerSecond: 1_000_000, EndpointsPerKey: 200, Now: w.clock,
		Report: func(message string, err error) {
			if err != nil {
				message += ": " + err.Error()
			}
			w.reported = append(w.reported, message)
		},
	}
	if change != nil {
		change(&o)
	}
	if store == nil {
		store = w.ingest
	}
	return usage.NewIngester(w.journal, w.streams, store, usage.NewActivity(repositories.NewActivity(w.db)), o)
}

// drain brings in all there is, as a new process.
func (w *world) drain() {
	w.t.Helper()
	require.NoError(w.t, w.ingester(nil, nil).Drain(w.t.Context()))
}

// number gives the one number that a query asks for.
func (w *world) number(query string) (n int64) {
	w.t.Helper()
	require.NoError(w.t, w.sql.QueryRowContext(w.t.Context(), query).Scan(&n), query)
	return n
}

// bucket is the SQL of the bucket that usage_logs.at is in.
func (w *world) bucket() string {
	if w.engine == "sqlite" {
		return "at / 900000000 * 900000000"
	}
	return "date_bin('15 minutes', at, '2000-01-01 00:00:00+00')"
}

// addsUp checks that rollups are the sums of the raw rows, cell by cell, and
// that what is kept beside them agrees.
func (w *world) addsUp() {
	w.t.Helper()
	raw := `SELECT ` + w.bucket() + `, segment_id, api_key_id, endpoint, method, meter,
		SUM(CASE WHEN kind = 1 THEN 1 ELSE 0 END), SUM(CASE WHEN kind = 1 AND code = 'ok' THEN 1 ELSE 0 END),
		SUM(CASE WHEN code = 'rate_limited' THEN 1 ELSE 0 END), SUM(units), SUM(CASE WHEN kind = 3 THEN 1 ELSE 0 END)
		FROM usage_logs WHERE NOT replayed GROUP BY 1, 2, 3, 4, 5, 6`
	rolled := `SELECT bucket, segment_id, api_key_id, endpoint, method, meter, requests, allowed, denied_limit, units, reports FROM usage_rollups`
	require.Positive(w.t, w.number("SELECT COUNT(*) FROM usage_rollups"))
	require.Zero(w.t, w.number("SELECT COUNT(*) FROM ("+raw+" EXCEPT "+rolled+") AS a"), "raw rows that no rollup has")
	require.Zero(w.t, w.number("SELECT COUNT(*) FROM ("+rolled+" EXCEPT "+raw+") AS a"), "rollups that no raw row has")
	require.Zero(w.t, w.number("SELECT COUNT(*) FROM usage_rollups WHERE segment_id NOT IN (SELECT id FROM usage_segments)"))
	require.NoError(w.t, repositories.NewUsageUpkeep(w.db).Total(w.t.Context(), w.now.AddDate(1, 0, 0)))
	for _, table := range []string{"usage_totals WHERE level = 'hour'", "usage_totals WHERE level = 'day'", "usage_totals WHERE level = 'month'", "usage_sums"} {
		for _, column := range []string{"requests", "allowed", "units", "billable_units", "reports", "denied_limit"} {
			require.Equal(w.t, w.number("SELECT COALESCE(SUM("+column+"), 0) FROM usage_rollups"),
				w.number("SELECT COALESCE(SUM("+column+"), 0) FROM "+table), "%s of %s", column, table)
		}
	}
}

// key is a key with usage.
type key struct {
	id      models.KeyID
	segment models.Segment
}

func newKey() key {
	return key{models.NewID[models.KeyID](), models.Segment{
		OwnerID: models.NewID[models.OwnerID](), PlanID: models.NewID[models.PlanID](), PlanVersion: 1, Since: noon.Add(-time.Hour),
	}}
}

// check is the record of an allowed check of one unit.
func (k key) check(id string, at time.Time, change ...func(r *models.Record)) models.Record {
	r := models.Record{
		Kind: models.RecordCheck, RequestID: id, At: at, KeyID: k.id, Segment: k.segment, Live: true, Code: "ok", Allowed: true,
		Cost: 1, Units: 1, Meter: models.MeterRequests, Method: "GET", Endpoint: "/v1/x",
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func denied(rule string) func(r *models.Record) {
	return func(r *models.Record) {
		r.Code, r.Allowed, r.Units = "rate_limited", false, 0
		r.Limits = []models.RecordedLimit{{Rule: rule, Scope: models.ScopeOwner, Limit: 5, Denied: true, Tightest: true}}
	}
}

// faulty is a store whose transactions fail at a test's will.
type faulty struct {
	repositories.Ingest
	before func(b *models.UsageBatch) error // what Add fails with
	after  func() error                     // what a commit seems to fail with
}

var errRefused = errors.New("refused")

func (f *faulty) Add(ctx context.Context, b *models.UsageBatch) error {
	if f.before != nil {
		if err := f.before(b); err != nil {
			return err
		}
	}
	return f.Ingest.Add(ctx, b)
}

func (f *faulty) InTx(ctx context.Context, fn func(ctx context.Context) error) error {
	if err := f.Ingest.InTx(ctx, fn); err != nil {
		return err
	}
	if f.after != nil {
		return f.after()
	}
	return nil
}

func (f *faulty) Refused(err error) bool { return errors.Is(err, errRefused) || f.Ingest.Refused(err) }
