package repositories

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// AlertCauses finds what alert rules look for, and its history.
type AlertCauses struct{ db *DB }

// NewAlertCauses makes the repository.
func NewAlertCauses(db *DB) AlertCauses { return AlertCauses{db} }

const causeNoun = "cause"

// longestDay is no shorter than a day of any zone, with its clock changes, and
// than two where a zone skipped a date.
const longestDay = 50 * time.Hour

// Quotas gives the quotas of which at least so many hundredths of a percent are
// used, in periods that may be under way at an instant: whether they are depends
// on the owner. With a rule, only quotas of that name; with a key, only its own.
func (r AlertCauses) Quotas(ctx context.Context, hundredths int64, rule string, key *models.KeyID, at time.Time) ([]models.QuotaUse, error) {
	return r.quotas(ctx, hundredths, rule, key, func(period models.PeriodKind) (time.Time, time.Time) {
		if period == models.PeriodDay {
			return at.Add(-longestDay), at
		}
		return at.Add(-longestPeriod), at
	}, 0)
}

// QuotasDuring gives those of periods that may overlap [from, to], at most so many.
func (r AlertCauses) QuotasDuring(ctx context.Context, hundredths int64, rule string, key *models.KeyID, from, to time.Time, limit int) ([]models.QuotaUse, error) {
	return r.quotas(ctx, hundredths, rule, key, func(period models.PeriodKind) (time.Time, time.Time) {
		if period == models.PeriodDay {
			return from.Add(-longestDay), to
		}
		return from.Add(-longestPeriod), to
	}, limit)
}

func (r AlertCauses) quotas(ctx context.Context, hundredths int64, rule string, key *models.KeyID,
	starts func(models.PeriodKind) (time.Time, time.Time), limit int,
) (found []models.QuotaUse, err error) {
	for _, period := range []models.PeriodKind{models.PeriodDay, models.PeriodMonth} {
		from, to := starts(period)
		var rows []models.QuotaUse
		err := r.db.do(ctx, causeNoun, func(g *gorm.DB) error {
			// Products of large counts have no room in 64 bits. What this takes in
			// addition by its rounding is left out below.
			g = g.Table("quota_totals").Select("subject, rule, period, start, units - reset_units AS used, quota_limit").
				Where("period = ? AND start > ? AND start <= ? AND quota_limit > 0", period, from, to).
				Where("CAST(units - reset_units AS DOUBLE PRECISION) * 10000.0 >= CAST(quota_limit AS DOUBLE PRECISION) * CAST(? AS DOUBLE PRECISION)", float64(hundredths)*(1-1e-9))
			if rule != "" {
				g = g.Where("rule = ?", rule)
			}
			if key != nil {
				g = g.Where("subject = ?", string(models.ScopeKey)+":"+string(*key))
			}
			if limit > 0 {
				g = g.Limit(limit)
			}
			return g.Order("subject, rule, start").Scan(&rows).Error
		})
		if err != nil {
			return nil, err
		}
		found = append(found, rows...)
	}
	return slices.DeleteFunc(found, func(q models.QuotaUse) bool { return !q.Reaches(hundredths) }), nil
}

// counted says how a windowed rule names whom it counts together, and the
// conditions of its filter.
func counted(per models.AlertPer, f models.AlertFilter) (name, condition string, args []any) {
	name = "api_key_id"
	if per == models.AlertPerOwner {
		name = "owner_id"
	}
	if f.OwnerID != nil {
		condition, args = condition+" AND owner_id = ?", append(args, *f.OwnerID)
	}
	if f.KeyID != nil {
		condition, args = condition+" AND api_key_id = ?", append(args, *f.KeyID)
	}
	if f.PlanID != nil {
		condition, args = condition+" AND owner_id IN (SELECT id FROM owners WHERE plan_id = ?)", append(args, *f.PlanID)
	}
	return name, condition, args
}

// whose selects the name of what is grouped, and an owner of it: a key may have
// had several.
func whose(name string) string {
	return fmt.Sprintf("CAST(%s AS text) AS name, MIN(CAST(owner_id AS text)) AS owner_id", name)
}

// Violations gives those of whom at least so many checks were refused in the
// minutes from from to to, the last one included.
func (r AlertCauses) Violations(ctx context.Context, per models.AlertPer, f models.AlertFilter, least int64, from, to time.Time) ([]models.AlertSum, error) {
	name, condition, args := counted(per, f)
	return r.sums(ctx, "SELECT "+whose(name)+", CAST(SUM(denials) AS BIGINT) AS count FROM rate_limit_violations"+
		" WHERE minute >= ? AND minute <= ?"+condition+" GROUP BY "+name+" HAVING SUM(denials) >= ? ORDER BY name",
		slices.Concat([]any{from, to}, args, []any{least})...)
}

// ViolationsByMinute gives the refusals of each, by the minute, at most limit rows.
func (r AlertCauses) ViolationsByMinute(ctx context.Context, per models.AlertPer, f models.AlertFilter, from, to time.Time, limit int) ([]models.AlertSum, error) {
	name, condition, args := counted(per, f)
	return r.sums(ctx, "SELECT "+whose(name)+", minute AS at, CAST(SUM(denials) AS BIGINT) AS count FROM rate_limit_violations"+
		" WHERE minute >= ? AND minute <= ?"+condition+" GROUP BY "+name+", minute ORDER BY minute, name LIMIT ?",
		slices.Concat([]any{from, to}, args, []any{limit})...)
}

// failing selects those that have failures in the buckets from ? to ?: the others
// need not be added up. Its condition is that of an index.
func failing(name, condition string) string {
	return name + " IN (SELECT " + name + " FROM usage_rollups WHERE bucket >= ? AND bucket <= ?" +
		" AND (status_4xx > 0 OR status_5xx > 0)" + condition + ")"
}

func failures(clientErrors bool) string {
	if clientErrors {
		return "SUM(status_5xx + status_4xx)"
	}
	return "SUM(status_5xx)"
}

// Errors gives those of whose reports, at least so many, at least so many
// hundredths of a percent were failures, in the buckets from from to to, the last
// one included.
func (r AlertCauses) Errors(ctx context.Context, p *models.AlertParams, f models.AlertFilter, from, to time.Time) ([]models.AlertSum, error) {
	name, condition, args := counted(p.Per, f)
	errors := failures(p.ClientErrors)
	return r.sums(ctx, "SELECT "+whose(name)+", CAST(SUM(reports) AS BIGINT) AS count, CAST("+errors+" AS BIGINT) AS errors FROM usage_rollups"+
		" WHERE bucket >= ? AND bucket <= ? AND "+failing(name, condition)+condition+" GROUP BY "+name+
		" HAVING SUM(reports) >= ? AND "+errors+" * 10000 >= SUM(reports) * ? ORDER BY name",
		slices.Concat([]any{from, to, from, to}, args, args, []any{p.MinReports, p.Hundredths()})...)
}

// ErrorsByBucket gives the reports of each that had failures, by the bucket, at
// most limit rows.
func (r AlertCauses) ErrorsByBucket(ctx context.Context, p *models.AlertParams, f models.AlertFilter, from, to time.Time, limit int) ([]models.AlertSum, error) {
	name, condition, args := counted(p.Per, f)
	return r.sums(ctx, "SELECT "+whose(name)+", bucket AS at, CAST(SUM(reports) AS BIGINT) AS count, CAST("+failures(p.ClientErrors)+
		" AS BIGINT) AS errors FROM usage_rollups WHERE bucket >= ? AND bucket <= ? AND "+failing(name, condition)+condition+
		" GROUP BY "+name+", bucket HAVING SUM(reports) > 0 ORDER BY bucket, name LIMIT ?",
		slices.Concat([]any{from, to, from, to}, args, args, []any{limit})...)
}

func (r AlertCauses) sums(ctx context.Context, query string, args ...any) (rows []models.AlertSum, err error) {
	err = r.db.do(ctx, causeNoun, func(g *gorm.DB) error { return g.Raw(query, args...).Scan(&rows).Error })
	return rows, err
}
