//go:build journeys

package tests

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // the driver sqlite
)

// Books are what a database holds of usage, read beside the processes that write it, and with none of their code.
type books struct {
	t        *testing.T
	db       *sql.DB
	postgres bool
}

// openBooks opens the database of these settings. Where a proxy stands before it, database names it without.
func openBooks(t *testing.T, s settings, database string) *books {
	t.Helper()
	driver, source := "pgx", database
	if database == "" {
		driver, source = "sqlite", "file:"+filepath.Join(s["VIVA_DATA_DIR"], "viva.db")+"?mode=ro&_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, source)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	return &books{t: t, db: db, postgres: database != ""}
}

// micros is the expression of an instant in microseconds.
func (b *books) micros(column string) string {
	if b.postgres {
		return "(extract(epoch FROM " + column + ") * 1000000)::bigint"
	}
	return column + " + 0"
}

// id is the expression of an id as text.
func (b *books) id(column string) string { return "CAST(" + column + " AS text)" }

// number asks for one number, from the goroutine of the test or while the database comes and goes.
func (b *books) number(query string) (n int64, err error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	if err := b.db.QueryRowContext(ctx, query).Scan(&n); err != nil {
		return 0, fmt.Errorf("%s: %w", query, err)
	}
	return n, nil
}

// is requires a number.
func (b *books) is(want int64, query string) {
	b.t.Helper()
	got, err := b.number(query)
	require.NoError(b.t, err)
	require.Equal(b.t, want, got, query)
}

// becomes waits for a number.
func (b *books) becomes(want int64, query string) {
	b.t.Helper()
	eventually(b.t, patience, func() error {
		got, err := b.number(query)
		if err == nil && got != want {
			err = fmt.Errorf("%s: %d, not %d", query, got, want)
		}
		return err
	})
}

// read scans every row of a query by a function that gives where to.
func read[T any](b *books, query string, into func(*T) []any) (all []T) {
	b.t.Helper()
	rows, err := b.db.QueryContext(b.t.Context(), query)
	require.NoError(b.t, err, query)
	defer rows.Close()
	for rows.Next() {
		var one T
		require.NoError(b.t, rows.Scan(into(&one)...), query)
		all = append(all, one)
	}
	require.NoError(b.t, rows.Err(), query)
	return all
}

// The kinds of rows.
const (
	kindCheck      = 1
	kindReport     = 3
	kindAdjustment = 4
)

// A row is one check, report or adjustment that was kept.
type row struct {
	at                             int64
	requestID, owner, key, segment string
	kind                           int
	code                           string
	allowed, replayed              bool
	method, endpoint, meter        string
	units, cost, bytesIn, bytesOut int64
	status                         int
	sampleRate                     float64
}

func (b *books) rows() []row {
	b.t.Helper()
	query := fmt.Sprintf(`SELECT %s, request_id, %s, %s, %s, kind, code, allowed, replayed, method, endpoint, meter,
		units, cost, bytes_in, bytes_out, status, sample_rate FROM usage_logs`,
		b.micros("at"), b.id("owner_id"), b.id("api_key_id"), b.id("segment_id"))
	return read(b, query, func(r *row) []any {
		return []any{
			&r.at, &r.requestID, &r.owner, &r.key, &r.segment, &r.kind, &r.code, &r.allowed, &r.replayed, &r.method, &r.endpoint,
			&r.meter, &r.units, &r.cost, &r.bytesIn, &r.bytesOut, &r.status, &r.sampleRate,
		}
	})
}

// The columns that add up, in the order of counts.
var countColumns = []string{
	"requests", "allowed", "denied_limit", "denied_quota", "denied_cost", "denied_key", "denied_access", "units",
	"billable_units", "reports", "status_2xx", "status_3xx", "status_4xx", "status_5xx", "bytes_in", "bytes_out",
}

type counts [16]int64

func (c counts) plus(d counts) counts {
	for i := range c {
		c[i] += d[i]
	}
	return c
}

// columnOfCode is the column of a check with that code, by what the documentation says of it.
func columnOfCode(code string) int {
	name := map[string]string{
		"ok": "allowed", "rate_limited": "denied_limit", "quota_exceeded": "denied_quota", "cost_exceeds_limit": "denied_cost",
		"key_revoked": "denied_key", "key_suspended": "denied_key", "key_expired": "denied_key",
		"permission_denied": "denied_access", "ip_denied": "denied_access", "endpoint_denied": "denied_access",
	}[code]
	return slices.Index(countColumns, name)
}

// adds is what a row adds to its cell; live tells whether the units of its key are billed.
func (r *row) adds(live bool) (c counts) {
	column := func(name string) *int64 { return &c[slices.Index(countColumns, name)] }
	*column("units") = r.units
	if live {
		*column("billable_units") = r.units
	}
	switch r.kind {
	case kindCheck:
		*column("requests") = 1
		c[columnOfCode(r.code)] = 1
	case kindReport:
		*column("reports"), *column("bytes_in"), *column("bytes_out") = 1, r.bytesIn, r.bytesOut
		if r.status != 0 {
			*column(fmt.Sprintf("status_%dxx", max(2, r.status/100))) = 1
		}
	}
	return c
}

// A cell is what counts are kept of.
type cell struct {
	level                   string // of totals
	start                   int64
	segment, owner, key     string
	endpoint, method, meter string
}

// ledger reads a table of counts by the columns that name its cells.
func (b *books) ledger(table string, cellColumns string, into func(*cell) []any) map[cell]counts {
	b.t.Helper()
	type line struct {
		cell   cell
		counts counts
	}
	lines := read(b, "SELECT "+cellColumns+", "+strings.Join(countColumns, ", ")+" FROM "+table, func(l *line) []any {
		to := into(&l.cell)
		for i := range l.counts {
			to = append(to, &l.counts[i])
		}
		return to
	})
	all := map[cell]counts{}
	for _, l := range lines {
		require.NotContains(b.t, all, l.cell, "%s: the same cell twice", table)
		all[l.cell] = l.counts
	}
	return all
}

func (b *books) rollups() map[cell]counts {
	columns := fmt.Sprintf("%s, %s, %s, %s, endpoint, method, meter", b.micros("bucket"), b.id("segment_id"), b.id("owner_id"), b.id("api_key_id"))
	return b.ledger("usage_rollups", columns, func(c *cell) []any {
		return []any{&c.start, &c.segment, &c.owner, &c.key, &c.endpoint, &c.method, &c.meter}
	})
}

// apart gives the endpoints of each key that are counted apart.
func (b *books) apart() map[[2]string]bool {
	all := map[[2]string]bool{}
	for _, one := range read(b, "SELECT "+b.id("api_key_id")+", endpoint FROM usage_endpoints", func(p *[2]string) []any {
		return []any{&p[0], &p[1]}
	}) {
		all[one] = true
	}
	return all
}

const quarter = int64(15 * time.Minute / time.Microsecond)

// balance requires that all books agree with the rows, which have to be all there were: nothing was sampled. It gives
// the rows. Units of the keys in test are not billed.
func (b *books) balance(test map[string]bool) []row {
	b.t.Helper()
	rows, apart := b.rows(), b.apart()
	want, seen, records := map[cell]counts{}, map[string]bool{}, int64(0)
	for i := range rows {
		r := &rows[i]
		require.InDelta(b.t, 1, r.sampleRate, 0)
		records++
		if r.replayed {
			continue
		}
		if r.kind == kindCheck {
			require.GreaterOrEqual(b.t, columnOfCode(r.code), 0, r.code)
			require.False(b.t, seen[r.requestID], "request %s is counted twice", r.requestID)
			seen[r.requestID] = true
		}
		endpoint := r.endpoint
		if endpoint != "" && !apart[[2]string{r.key, endpoint}] {
			endpoint = "other"
		}
		c := cell{start: r.at - r.at%quarter, segment: r.segment, owner: r.owner, key: r.key, endpoint: endpoint, method: r.method, meter: r.meter}
		want[c] = want[c].plus(r.adds(!test[r.key]))
	}
	got := b.rollups()
	sameCells(b.t, want, got, "rollups and rows")
	b.coarser(got)
	b.is(0, "SELECT COUNT(*) FROM ingest_gaps")
	b.is(0, "SELECT COUNT(*) FROM ingest_rejects")
	b.is(0, "SELECT COALESCE(SUM(gaps), 0) FROM ingest_cursors")
	b.is(0, "SELECT COUNT(*) FROM usage_rollups WHERE NOT EXISTS (SELECT 1 FROM usage_segments s WHERE s.id = segment_id AND s.owner_id = usage_rollups.owner_id)")
	return rows
}

// drained requires that nothing is left of any stream, and that every record of a check is a row.
func (b *books) drained(rows []row) {
	b.t.Helper()
	b.is(0, "SELECT COUNT(*) FROM ingest_cursors WHERE drained_at IS NULL")
	b.is(int64(len(rows)), "SELECT COALESCE(SUM(last_seq), 0) FROM ingest_cursors")
}

// coarser requires that sums are what rollups add up to, and totals what those do that they have taken up.
func (b *books) coarser(rollups map[cell]counts) {
	b.t.Helper()
	totals, sums := map[cell]counts{}, map[cell]counts{}
	last := read(b, fmt.Sprintf("SELECT %s, %s FROM usage_totaled", b.micros("bucket"), b.id("api_key_id")), func(c *cell) []any {
		return []any{&c.start, &c.key}
	})[0]
	for c, n := range rollups {
		s := cell{start: c.start, meter: c.meter}
		sums[s] = sums[s].plus(n)
		if c.start > last.start || c.start == last.start && c.key > last.key {
			continue
		}
		at := time.UnixMicro(c.start).UTC()
		for level, start := range map[string]time.Time{
			"hour":  at.Truncate(time.Hour),
			"day":   time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC),
			"month": time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC),
		} {
			t := cell{level: level, start: start.UnixMicro(), owner: c.owner, key: c.key, meter: c.meter}
			totals[t] = totals[t].plus(n)
		}
	}
	columns := fmt.Sprintf("level, %s, %s, %s, meter", b.micros("start"), b.id("owner_id"), b.id("api_key_id"))
	sameCells(b.t, totals, b.ledger("usage_totals", columns, func(c *cell) []any {
		return []any{&c.level, &c.start, &c.owner, &c.key, &c.meter}
	}), "totals and rollups")
	sameCells(b.t, sums, b.ledger("usage_sums", b.micros("bucket")+", meter", func(c *cell) []any {
		return []any{&c.start, &c.meter}
	}), "sums and rollups")
}

// sameCells tells the cells that differ, and not all of them.
func sameCells(t *testing.T, want, got map[cell]counts, what string) {
	t.Helper()
	for c, n := range want {
		require.Equal(t, n, got[c], "%s differ at %+v; columns %s", what, c, countColumns)
	}
	for c, n := range got {
		require.Contains(t, want, c, "%s: %v stands for nothing", what, n)
	}
}

// spent gives the units of each quota, by its subject and rule.
func (b *books) spent() map[[2]string]int64 {
	type line struct {
		subject, rule string
		units         int64
	}
	all := map[[2]string]int64{}
	for _, l := range read(b, "SELECT subject, rule, units FROM quota_totals", func(l *line) []any {
		return []any{&l.subject, &l.rule, &l.units}
	}) {
		all[[2]string{l.subject, l.rule}] += l.units
	}
	return all
}
