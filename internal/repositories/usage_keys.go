package repositories

import (
	"context"
	"slices"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// KeyUsage gives what each of the keys was used for in all. Those that never
// were used are left out.
func (r Activity) KeyUsage(ctx context.Context, keys []models.KeyID) (map[models.KeyID]models.KeyUsage, error) {
	last, err := r.Of(ctx, keys)
	if err != nil {
		return nil, err
	}
	mark, err := totaledNow(ctx, r.db, "")
	if err != nil {
		return nil, err
	}
	used := make(map[models.KeyID]models.KeyUsage, len(keys))
	for part := range slices.Chunk(keys, insertRows) {
		var rows []struct {
			APIKeyID models.KeyID
			models.KeyUsage
		}
		err := r.db.do(ctx, "usage", func(g *gorm.DB) error {
			of := " WHERE api_key_id " + r.db.among + " AND meter = '" + models.MeterRequests + "'"
			return g.Raw("SELECT api_key_id, CAST(SUM(requests) AS BIGINT) AS requests, CAST(SUM(allowed) AS BIGINT) AS allowed,"+
				" CAST(SUM(units) AS BIGINT) AS units FROM ("+
				"SELECT api_key_id, requests, allowed, units FROM usage_totals"+of+" AND level = '"+string(models.PeriodMonth)+"'"+
				" UNION ALL SELECT api_key_id, requests, allowed, units FROM usage_rollups"+of+" AND bucket >= ? AND "+untotaled+
				") u GROUP BY api_key_id", among(r.db, part), among(r.db, part), mark.until()).Scan(&rows).Error
		})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			used[row.APIKeyID] = row.KeyUsage
		}
	}
	for key, at := range last {
		u := used[key]
		u.LastUsedAt = &at
		used[key] = u
	}
	return used, nil
}
