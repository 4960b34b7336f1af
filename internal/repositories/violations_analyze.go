package repositories

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

const violationNoun = "violation"

// Due gives violations of a key since an instant whose refusals were not all
// analyzed, oldest first, at most so many.
func (r Violations) Due(ctx context.Context, key models.KeyID, since time.Time, most int) (rows []models.RateLimitViolation, err error) {
	err = r.db.do(ctx, violationNoun, func(g *gorm.DB) error {
		return g.Where("api_key_id = ? AND minute >= ? AND analyzed < denials", key, since).
			Order("minute, id").Limit(most).Find(&rows).Error
	})
	return rows, err
}

// Minutes gives those of [from, to) in which the rule refused the key, in order.
func (r Violations) Minutes(ctx context.Context, key models.KeyID, rule string, from, to time.Time) (minutes []time.Time, err error) {
	// There may be a row of each of hundreds of endpoints in a minute. PostgreSQL
	// does not skip through an index by itself; SQLite would forget what a
	// minute is, were it not a column.
	query, args := "SELECT DISTINCT minute FROM rate_limit_violations WHERE api_key_id = ? AND rule = ? AND minute >= ? AND minute < ? ORDER BY minute",
		[]any{key, rule, from, to}
	if r.db.engine == Postgres {
		query = `WITH RECURSIVE m (minute) AS (
			SELECT (SELECT min(minute) FROM rate_limit_violations WHERE api_key_id = ? AND rule = ? AND minute >= ? AND minute < ?)
			UNION ALL
			SELECT (SELECT min(v.minute) FROM rate_limit_violations v WHERE v.api_key_id = ? AND v.rule = ? AND v.minute > m.minute AND v.minute < ?)
			FROM m WHERE m.minute IS NOT NULL
		) SELECT minute FROM m WHERE minute IS NOT NULL ORDER BY minute`
		args = append(args, key, rule, to)
	}
	var rows []struct{ Minute time.Time }
	err = r.db.do(ctx, violationNoun, func(g *gorm.DB) error { return g.Raw(query, args...).Scan(&rows).Error })
	for _, row := range rows {
		minutes = append(minutes, row.Minute)
	}
	return minutes, err
}

// Repeats gives how often violations of [from, to] were repeated, of each rule and
// minute one that was analyzed: only what names these and the repeats are set.
func (r Violations) Repeats(ctx context.Context, key models.KeyID, from, to time.Time) (rows []models.RateLimitViolation, err error) {
	err = r.db.do(ctx, violationNoun, func(g *gorm.DB) error {
		return g.Select("rule", "minute", "MAX(repeats) AS repeats").Where("api_key_id = ? AND minute >= ? AND minute <= ? AND analyzed > 0", key, from, to).
			Group("rule, minute").Find(&rows).Error
	})
	return rows, err
}

// Analyzed stores what was made of violations: repeats, severity, and of how
// many refusals. What was made of more of them stays. The rows are in the order
// of minute and id, in which they are locked by all who change many.
func (r Violations) Analyzed(ctx context.Context, rows []models.RateLimitViolation) error {
	const statement = "UPDATE rate_limit_violations SET repeats = $1, severity = $2, analyzed = $3" +
		" WHERE minute = $4 AND id = $5 AND analyzed < $3"
	return r.db.InTx(ctx, func(ctx context.Context) error {
		return r.db.do(ctx, violationNoun, func(g *gorm.DB) error {
			for i := range rows {
				v := &rows[i]
				if err := execute(g, statement, int64(v.Repeats), string(v.Severity), v.Analyzed, v.Minute, string(v.ID)); err != nil {
					return err
				}
			}
			return nil
		})
	})
}
