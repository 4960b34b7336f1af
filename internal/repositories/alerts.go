package repositories

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// Alerts keeps alerts, those that are over among them.
type Alerts struct{ db *DB }

// NewAlerts makes the repository.
func NewAlerts(db *DB) Alerts { return Alerts{db} }

const alertNoun = "alert"

// alertRows bounds the rows of one INSERT, by their number of columns.
const alertRows = 500

// Find gives an alert.
func (r Alerts) Find(ctx context.Context, id models.AlertID) (*models.Alert, error) {
	return find[models.Alert](ctx, r.db, alertNoun, byID(id))
}

// Lock gives an alert and keeps it from changing until the transaction ends.
func (r Alerts) Lock(ctx context.Context, id models.AlertID) (*models.Alert, error) {
	return find[models.Alert](ctx, r.db, alertNoun, locked(byID(id)))
}

// Live gives the alerts of a rule that are to be compared with what is there, in
// the order of their fingerprints. Whoever has locked the rule keeps them from
// changing: locking each would write to thousands of rows at every check.
func (r Alerts) Live(ctx context.Context, rule models.AlertRuleID) (rows []models.Alert, err error) {
	err = r.db.do(ctx, alertNoun, func(g *gorm.DB) error {
		return g.Where("rule_id = ? AND live", rule).Order("fingerprint").Find(&rows).Error
	})
	return rows, err
}

// List gives a page of the alerts that match, sorted by one of [AlertSorts].
func (r Alerts) List(ctx context.Context, f models.AlertListFilter, page models.Page) ([]models.Alert, error) {
	return list[models.Alert](ctx, r.db, alertNoun, page, AlertSorts, func(g *gorm.DB) *gorm.DB {
		if f.State != "" {
			g = g.Where("state = ?", f.State)
		} else {
			g = g.Where("state <> ?", models.AlertPending)
		}
		if f.RuleID != "" {
			g = g.Where("rule_id = ?", f.RuleID)
		}
		if f.OwnerID != "" {
			g = g.Where("owner_id = ?", f.OwnerID)
		}
		if f.KeyID != "" {
			g = g.Where("key_id = ?", f.KeyID)
		}
		if f.Severity != "" {
			g = g.Where("severity = ?", f.Severity)
		}
		if !f.Since.IsZero() {
			g = g.Where("created_at >= ?", f.Since)
		}
		return g
	})
}

// Create stores new alerts. Of a fingerprint there must be none that is live.
func (r Alerts) Create(ctx context.Context, alerts []models.Alert) error {
	if len(alerts) == 0 {
		return nil
	}
	return r.db.InTx(ctx, func(ctx context.Context) error {
		return r.db.do(ctx, alertNoun, func(g *gorm.DB) error { return g.CreateInBatches(alerts, alertRows).Error })
	})
}

// Update stores a changed alert and moves it to the next version.
func (r Alerts) Update(ctx context.Context, a *models.Alert) error {
	return update(ctx, r.db, alertNoun, a, a.ID, &a.Version, &a.UpdatedAt)
}

// Forget erases alerts that never fired.
func (r Alerts) Forget(ctx context.Context, ids []models.AlertID) error {
	if len(ids) == 0 {
		return nil
	}
	return r.db.do(ctx, alertNoun, func(g *gorm.DB) error {
		return g.Where("id "+r.db.among, among(r.db, ids)).Where("state = ?", models.AlertPending).Delete(&models.Alert{}).Error
	})
}

// Prune erases alerts that were resolved before an instant. Each batch is a
// transaction of its own.
func (r Alerts) Prune(ctx context.Context, before time.Time) error {
	return r.db.repeat(ctx, alertNoun, func(g *gorm.DB) (int64, error) {
		result := g.Exec("DELETE FROM alerts WHERE id IN (SELECT id FROM alerts WHERE resolved_at IS NOT NULL AND resolved_at < ? AND NOT live LIMIT ?)",
			before, insertRows)
		return result.RowsAffected, result.Error
	})
}
