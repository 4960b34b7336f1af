package repositories

import (
	"cmp"
	"context"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

var logsBulk = bulk[models.UsageLog]{
	table: "usage_logs", noun: "usage log",
	columns: []bulkColumn[models.UsageLog]{
		instantOf("at", func(l *models.UsageLog) time.Time { return l.At }),
		textOf("request_id", func(l *models.UsageLog) string { return l.RequestID }),
		numberOf("kind", func(l *models.UsageLog) int64 { return int64(l.Kind) }),
		idOf("owner_id", func(l *models.UsageLog) string { return string(l.OwnerID) }),
		idOf("api_key_id", func(l *models.UsageLog) string { return string(l.APIKeyID) }),
		idOf("segment_id", func(l *models.UsageLog) string { return string(l.SegmentID) }),
		textOf("code", func(l *models.UsageLog) string { return l.Code }),
		flagOf("allowed", func(l *models.UsageLog) bool { return l.Allowed }),
		flagOf("degraded", func(l *models.UsageLog) bool { return l.Degraded }),
		flagOf("replayed", func(l *models.UsageLog) bool { return l.Replayed }),
		flagOf("settle", func(l *models.UsageLog) bool { return l.Settle }),
		textOf("method", func(l *models.UsageLog) string { return l.Method }),
		textOf("endpoint", func(l *models.UsageLog) string { return l.Endpoint }),
		textOf("meter", func(l *models.UsageLog) string { return l.Meter }),
		numberOf("units", func(l *models.UsageLog) int64 { return l.Units }),
		numberOf("cost", func(l *models.UsageLog) int64 { return l.Cost }),
		textOf("ip", func(l *models.UsageLog) string { return l.IP }),
		textOf("user_agent", func(l *models.UsageLog) string { return l.UserAgent }),
		numberOf("status", func(l *models.UsageLog) int64 { return int64(l.Status) }),
		numberOf("latency_ms", func(l *models.UsageLog) int64 { return l.LatencyMS }),
		numberOf("bytes_in", func(l *models.UsageLog) int64 { return l.BytesIn }),
		numberOf("bytes_out", func(l *models.UsageLog) int64 { return l.BytesOut }),
		jsonOf("limits", func(l *models.UsageLog) []models.RecordedLimit { return l.Limits }),
		columnOf("sample_rate", "double precision[]", "", func(l *models.UsageLog) float64 { return l.SampleRate }),
	},
}

// AddLogs stores raw rows. None is refused for being there already.
func (r Ingest) AddLogs(ctx context.Context, rows []models.UsageLog) error {
	return logsBulk.write(ctx, r.db, rows)
}

var violationsBulk = bulk[models.RateLimitViolation]{
	table: "rate_limit_violations", noun: "violation",
	columns: []bulkColumn[models.RateLimitViolation]{
		instantOf("minute", func(v *models.RateLimitViolation) time.Time { return v.Minute }),
		idOf("id", func(v *models.RateLimitViolation) string { return string(v.ID) }),
		idOf("owner_id", func(v *models.RateLimitViolation) string { return string(v.OwnerID) }),
		idOf("api_key_id", func(v *models.RateLimitViolation) string { return string(v.APIKeyID) }),
		textOf("rule", func(v *models.RateLimitViolation) string { return v.Rule }),
		textOf("code", func(v *models.RateLimitViolation) string { return v.Code }),
		textOf("endpoint", func(v *models.RateLimitViolation) string { return v.Endpoint }),
		numberOf("rule_limit", func(v *models.RateLimitViolation) int64 { return v.Limit }),
		numberOf("denials", func(v *models.RateLimitViolation) int64 { return v.Count }),
		instantOf("first_at", func(v *models.RateLimitViolation) time.Time { return v.FirstAt }),
		instantOf("last_at", func(v *models.RateLimitViolation) time.Time { return v.LastAt }),
		textOf("request_id", func(v *models.RateLimitViolation) string { return v.RequestID }),
		jsonOf("ips", func(v *models.RateLimitViolation) []string { return v.IPs }),
		jsonOf("agents", func(v *models.RateLimitViolation) []string { return v.Agents }),
	},
	// Every right side sees the row as it was, so the order of these is all one.
	conflict: added("rate_limit_violations", "minute, id", "denials") + `,
		request_id = CASE WHEN excluded.first_at < rate_limit_violations.first_at
			THEN excluded.request_id ELSE rate_limit_violations.request_id END,
		first_at = CASE WHEN excluded.first_at < rate_limit_violations.first_at
			THEN excluded.first_at ELSE rate_limit_violations.first_at END,
		last_at = CASE WHEN excluded.last_at > rate_limit_violations.last_at
			THEN excluded.last_at ELSE rate_limit_violations.last_at END,
		ips = COALESCE(rate_limit_violations.ips, excluded.ips),
		agents = COALESCE(rate_limit_violations.agents, excluded.agents)`,
	compare: func(a, b *models.RateLimitViolation) int {
		return cmp.Or(a.Minute.Compare(b.Minute), cmp.Compare(a.ID, b.ID))
	},
	merge: mergeViolation,
}

// mergeViolation does in memory what the conflict clause does in the database.
func mergeViolation(into, v *models.RateLimitViolation) {
	into.Count += v.Count
	if v.FirstAt.Before(into.FirstAt) {
		into.FirstAt, into.RequestID = v.FirstAt, v.RequestID
	}
	if v.LastAt.After(into.LastAt) {
		into.LastAt = v.LastAt
	}
	if len(into.IPs) == 0 {
		into.IPs = v.IPs
	}
	if len(into.Agents) == 0 {
		into.Agents = v.Agents
	}
}

// AddViolations adds refusals to the violations that they belong to. Addresses
// and agents are those of whoever brought any first.
func (r Ingest) AddViolations(ctx context.Context, rows []models.RateLimitViolation) error {
	return violationsBulk.write(ctx, r.db, rows)
}
