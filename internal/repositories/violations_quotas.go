package repositories

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// Near gives quotas of which a percentage is reached that was not told of, nor
// a higher one, and whose period began in (from, to]: in the order in which
// they are locked, at most so many.
func (r Quotas) Near(ctx context.Context, period models.PeriodKind, from, to time.Time, percents []int, most int) (rows []models.QuotaTotal, err error) {
	// As models.QuotaTotal.Reached. Integers could overflow, and the query with
	// them.
	var reached []string
	args := make([]any, 0, 2*len(percents))
	for _, percent := range percents {
		reached = append(reached, "(told < ? AND CAST(units - reset_units AS DOUBLE PRECISION) * 100 >= CAST(quota_limit AS DOUBLE PRECISION) * ?)")
		args = append(args, percent, percent)
	}
	if len(reached) == 0 {
		return nil, nil
	}
	err = r.db.do(ctx, "quota", func(g *gorm.DB) error {
		return g.Where("period = ? AND start > ? AND start <= ? AND quota_limit > 0", period, from, to).
			Where("("+strings.Join(reached, " OR ")+")", args...).
			Order("subject, rule, period, start").Limit(most).Find(&rows).Error
	})
	return rows, err
}

// Tell marks that the owner of a quota is told of a percentage, in the
// transaction that does so; first says that it was not, nor of a higher one.
func (r Quotas) Tell(ctx context.Context, key models.QuotaKey, percent int) (first bool, err error) {
	err = r.db.do(ctx, "quota", func(g *gorm.DB) error {
		result := g.Model(&models.QuotaTotal{}).
			Where("subject = ? AND rule = ? AND period = ? AND start = ? AND told < ?", key.Subject, key.Rule, key.Period, key.Start, percent).
			UpdateColumn("told", percent)
		first = result.RowsAffected == 1
		return result.Error
	})
	return first && err == nil, err
}
