package repositories

import (
	"cmp"
	"context"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// countColumns are the columns of models.UsageCounts.
var countColumns = []struct {
	column string
	of     func(*models.UsageCounts) *int64
}{
	{"requests", func(c *models.UsageCounts) *int64 { return &c.Requests }},
	{"allowed", func(c *models.UsageCounts) *int64 { return &c.Allowed }},
	{"denied_limit", func(c *models.UsageCounts) *int64 { return &c.DeniedLimit }},
	{"denied_quota", func(c *models.UsageCounts) *int64 { return &c.DeniedQuota }},
	{"denied_cost", func(c *models.UsageCounts) *int64 { return &c.DeniedCost }},
	{"denied_key", func(c *models.UsageCounts) *int64 { return &c.DeniedKey }},
	{"denied_access", func(c *models.UsageCounts) *int64 { return &c.DeniedAccess }},
	{"units", func(c *models.UsageCounts) *int64 { return &c.Units }},
	{"billable_units", func(c *models.UsageCounts) *int64 { return &c.BillableUnits }},
	{"reports", func(c *models.UsageCounts) *int64 { return &c.Reports }},
	{"status_2xx", func(c *models.UsageCounts) *int64 { return &c.Status2xx }},
	{"status_3xx", func(c *models.UsageCounts) *int64 { return &c.Status3xx }},
	{"status_4xx", func(c *models.UsageCounts) *int64 { return &c.Status4xx }},
	{"status_5xx", func(c *models.UsageCounts) *int64 { return &c.Status5xx }},
	{"bytes_in", func(c *models.UsageCounts) *int64 { return &c.BytesIn }},
	{"bytes_out", func(c *models.UsageCounts) *int64 { return &c.BytesOut }},
}

func countNames() []string {
	names := make([]string, len(countColumns))
	for i := range countColumns {
		names[i] = countColumns[i].column
	}
	return names
}

func withCounts[T any](of func(*T) *models.UsageCounts, columns ...bulkColumn[T]) []bulkColumn[T] {
	for _, count := range countColumns {
		columns = append(columns, numberOf(count.column, func(row *T) int64 { return *count.of(of(row)) }))
	}
	return columns
}

// The primary keys; of the tables that have cells, as far as it is the cell.
const (
	cellKey  = "api_key_id, bucket, segment_id, endpoint, method, meter"
	totalKey = "api_key_id, level, start, owner_id, meter"
	quotaKey = "subject, rule, period, start"
)

func cellColumns[T any](of func(*T) *models.UsageCell, columns ...bulkColumn[T]) []bulkColumn[T] {
	return append([]bulkColumn[T]{
		idOf("api_key_id", func(row *T) string { return string(of(row).APIKeyID) }),
		instantOf("bucket", func(row *T) time.Time { return of(row).Bucket }),
		idOf("segment_id", func(row *T) string { return string(of(row).SegmentID) }),
		textOf("endpoint", func(row *T) string { return of(row).Endpoint }),
		textOf("method", func(row *T) string { return of(row).Method }),
		textOf("meter", func(row *T) string { return of(row).Meter }),
	}, columns...)
}

func compareCells(a, b *models.UsageCell) int {
	return cmp.Or(cmp.Compare(a.APIKeyID, b.APIKeyID), a.Bucket.Compare(b.Bucket), cmp.Compare(a.SegmentID, b.SegmentID),
		cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Method, b.Method), cmp.Compare(a.Meter, b.Meter))
}

var rollupsBulk = bulk[models.UsageRollup]{
	table: "usage_rollups", noun: "usage",
	columns: cellColumns(func(r *models.UsageRollup) *models.UsageCell { return &r.UsageCell },
		withCounts(func(r *models.UsageRollup) *models.UsageCounts { return &r.UsageCounts },
			idOf("owner_id", func(r *models.UsageRollup) string { return string(r.OwnerID) }))...),
	conflict: added("usage_rollups", cellKey, countNames()...),
	compare:  func(a, b *models.UsageRollup) int { return compareCells(&a.UsageCell, &b.UsageCell) },
	merge:    func(into, r *models.UsageRollup) { into.Add(&r.UsageCounts) },
}

// AddRollups adds to what the cells count, and to the totals that have taken them
// up. Cells that are new begin with it.
func (r Ingest) AddRollups(ctx context.Context, rows []models.UsageRollup) error {
	if len(rows) == 0 {
		return nil
	}
	return r.db.InTx(ctx, func(ctx context.Context) error {
		if err := rollupsBulk.write(ctx, r.db, rows); err != nil {
			return err
		}
		return r.addLate(ctx, rows)
	})
}

var latenciesBulk = bulk[models.UsageLatency]{
	table: "usage_latencies", noun: "usage",
	columns: cellColumns(func(l *models.UsageLatency) *models.UsageCell { return &l.UsageCell },
		idOf("owner_id", func(l *models.UsageLatency) string { return string(l.OwnerID) }),
		numberOf("latency", func(l *models.UsageLatency) int64 { return int64(l.Latency) }),
		numberOf("count", func(l *models.UsageLatency) int64 { return l.Count })),
	conflict: added("usage_latencies", cellKey+", latency", "count"),
	compare: func(a, b *models.UsageLatency) int {
		return cmp.Or(compareCells(&a.UsageCell, &b.UsageCell), cmp.Compare(a.Latency, b.Latency))
	},
	merge: func(into, l *models.UsageLatency) { into.Count += l.Count },
}

// AddLatencies adds to the counts of latencies.
func (r Ingest) AddLatencies(ctx context.Context, rows []models.UsageLatency) error {
	return latenciesBulk.write(ctx, r.db, rows)
}

var totalsBulk = bulk[models.UsageTotal]{
	table: "usage_totals", noun: "usage",
	columns: withCounts(func(t *models.UsageTotal) *models.UsageCounts { return &t.UsageCounts },
		idOf("api_key_id", func(t *models.UsageTotal) string { return string(t.APIKeyID) }),
		textOf("level", func(t *models.UsageTotal) string { return string(t.Level) }),
		instantOf("start", func(t *models.UsageTotal) time.Time { return t.Start }),
		idOf("owner_id", func(t *models.UsageTotal) string { return string(t.OwnerID) }),
		textOf("meter", func(t *models.UsageTotal) string { return t.Meter })),
	conflict: added("usage_totals", totalKey, countNames()...),
	compare: func(a, b *models.UsageTotal) int {
		return cmp.Or(cmp.Compare(a.APIKeyID, b.APIKeyID), cmp.Compare(a.Level, b.Level), a.Start.Compare(b.Start),
			cmp.Compare(a.OwnerID, b.OwnerID), cmp.Compare(a.Meter, b.Meter))
	},
	merge: func(into, t *models.UsageTotal) { into.Add(&t.UsageCounts) },
}

var sumsBulk = bulk[models.UsageSum]{
	table: "usage_sums", noun: "usage",
	columns: withCounts(func(s *models.UsageSum) *models.UsageCounts { return &s.UsageCounts },
		instantOf("bucket", func(s *models.UsageSum) time.Time { return s.Bucket }),
		textOf("meter", func(s *models.UsageSum) string { return s.Meter }),
		numberOf("changes", func(*models.UsageSum) int64 { return 1 })),
	conflict: added("usage_sums", "bucket, meter", append(countNames(), "changes")...),
	compare: func(a, b *models.UsageSum) int {
		return cmp.Or(a.Bucket.Compare(b.Bucket), cmp.Compare(a.Meter, b.Meter))
	},
	merge: func(into, s *models.UsageSum) { into.Add(&s.UsageCounts) },
}

// AddSums adds to the sums of all keys.
func (r Ingest) AddSums(ctx context.Context, rows []models.UsageSum) error {
	return sumsBulk.write(ctx, r.db, rows)
}

var quotaTotalsBulk = bulk[models.QuotaTotal]{
	table: "quota_totals", noun: "quota",
	columns: []bulkColumn[models.QuotaTotal]{
		textOf("subject", func(q *models.QuotaTotal) string { return q.Subject }),
		textOf("rule", func(q *models.QuotaTotal) string { return q.Rule }),
		textOf("period", func(q *models.QuotaTotal) string { return string(q.Period) }),
		instantOf("start", func(q *models.QuotaTotal) time.Time { return q.Start }),
		numberOf("units", func(q *models.QuotaTotal) int64 { return q.Units }),
		numberOf("reset_units", func(*models.QuotaTotal) int64 { return 0 }),
		numberOf("quota_limit", func(q *models.QuotaTotal) int64 { return q.Limit }),
	},
	conflict: added("quota_totals", quotaKey, "units") + `,
		quota_limit = CASE WHEN excluded.quota_limit > 0 THEN excluded.quota_limit ELSE quota_totals.quota_limit END`,
	compare: func(a, b *models.QuotaTotal) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Period, b.Period),
			a.Start.Compare(b.Start))
	},
	merge: func(into, q *models.QuotaTotal) {
		into.Units += q.Units
		if q.Limit > 0 {
			into.Limit = q.Limit
		}
	},
}

// AddQuotas adds units to what was spent from quotas, and keeps the limits that
// are told with them. What was forgiven stays.
func (r Ingest) AddQuotas(ctx context.Context, rows []models.QuotaTotal) error {
	return quotaTotalsBulk.write(ctx, r.db, rows)
}
