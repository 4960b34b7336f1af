package repositories

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// Quotas tells what was spent from quotas.
type Quotas struct{ db *DB }

// NewQuotas makes the repository.
func NewQuotas(db *DB) Quotas { return Quotas{db} }

// quotaKeys bounds the keys of one query: the plan for many is slow to make.
const quotaKeys = 50

// Totals gives, in the order of the keys, the units spent that are not
// forgiven, and 0 where nothing was.
func (r Quotas) Totals(ctx context.Context, keys []models.QuotaKey) ([]int64, error) {
	found := make(map[models.QuotaKey]int64, len(keys))
	for part := range slices.Chunk(keys, quotaKeys) {
		var rows []models.QuotaTotal
		err := r.db.do(ctx, "quota", func(g *gorm.DB) error {
			// With OR between them, the planner may take what they have in common, such
			// as the start of the month, and read that of all subjects.
			var each []string
			var args []any
			for _, k := range part {
				each = append(each, "SELECT * FROM quota_totals WHERE subject = ? AND rule = ? AND period = ? AND start = ?")
				args = append(args, k.Subject, k.Rule, k.Period, k.Start)
			}
			return g.Raw(strings.Join(each, " UNION ALL "), args...).Scan(&rows).Error
		})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			found[asStored(row.QuotaKey)] = max(0, row.Units-row.Offset)
		}
	}
	units := make([]int64, len(keys))
	for i, key := range keys {
		units[i] = found[asStored(key)]
	}
	return units, nil
}

// asStored gives the key in the form that == tells apart: as it is stored.
func asStored(k models.QuotaKey) models.QuotaKey {
	k.Start = k.Start.UTC().Truncate(time.Microsecond)
	return k
}

// longestPeriod is no shorter than any period of a quota: a month, in the zone
// of its owner.
const longestPeriod = 33 * 24 * time.Hour

// Forgive lets what a subject has spent until now count as not spent, in every
// period that has not ended at now. Units still on their way are not forgiven.
func (r Quotas) Forgive(ctx context.Context, subject string, now time.Time) error {
	return r.db.InTx(ctx, func(ctx context.Context) error {
		return r.db.do(ctx, "quota", func(g *gorm.DB) error {
			return g.Model(&models.QuotaTotal{}).Where("subject = ? AND start > ?", subject, now.Add(-longestPeriod)).
				UpdateColumn("reset_units", gorm.Expr("units")).Error
		})
	})
}

// Activity keeps when keys were last used.
type Activity struct{ db *DB }

// NewActivity makes the repository.
func NewActivity(db *DB) Activity { return Activity{db} }

var activityBulk = bulk[models.KeyActivity]{
	table: "key_activity", noun: "activity",
	columns: []bulkColumn[models.KeyActivity]{
		idOf("api_key_id", func(a *models.KeyActivity) string { return string(a.APIKeyID) }),
		instantOf("last_used_at", func(a *models.KeyActivity) time.Time { return a.LastUsedAt }),
	},
	conflict: `ON CONFLICT (api_key_id) DO UPDATE SET last_used_at = excluded.last_used_at
		WHERE key_activity.last_used_at < excluded.last_used_at`,
	compare: func(a, b *models.KeyActivity) int { return cmp.Compare(a.APIKeyID, b.APIKeyID) },
	merge: func(into, a *models.KeyActivity) {
		if a.LastUsedAt.After(into.LastUsedAt) {
			into.LastUsedAt = a.LastUsedAt
		}
	},
}

// Touch tells when keys were used. What is known to be later stays.
func (r Activity) Touch(ctx context.Context, list []models.KeyActivity) error {
	return activityBulk.write(ctx, r.db, list)
}

// Of gives when each of the keys was last used. Those that never were are left
// out.
func (r Activity) Of(ctx context.Context, keys []models.KeyID) (map[models.KeyID]time.Time, error) {
	used := make(map[models.KeyID]time.Time, len(keys))
	for part := range slices.Chunk(keys, insertRows) {
		var rows []models.KeyActivity
		err := r.db.do(ctx, "activity", func(g *gorm.DB) error {
			return g.Where("api_key_id "+r.db.among, among(r.db, part)).Find(&rows).Error
		})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			used[row.APIKeyID] = row.LastUsedAt
		}
	}
	return used, nil
}
