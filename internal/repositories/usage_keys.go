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
	used := make(map[models.KeyID]models.KeyUsage, len(keys))
	for part := range slices.Chunk(keys, insertRows) {
		var rows []struct {
			APIKeyID models.KeyID
			models.KeyUsage
		}
		err := r.db.do(ctx, "usage", func(g *gorm.DB) error {
			return g.Model(&models.UsageTotal{}).
				Select("api_key_id, SUM(requests) AS requests, SUM(allowed) AS allowed, SUM(units) AS units").
				Where("api_key_id "+r.db.among, among(r.db, part)).
				Where("level = ? AND meter = ?", models.PeriodMonth, models.MeterRequests).
				Group("api_key_id").Scan(&rows).Error
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
