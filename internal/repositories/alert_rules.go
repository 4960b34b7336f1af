package repositories

import (
	"context"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// AlertRules keeps the rules of alerts. A ref is an id or a name.
type AlertRules struct{ db *DB }

// NewAlertRules makes the repository.
func NewAlertRules(db *DB) AlertRules { return AlertRules{db} }

const alertRuleNoun = "alert rule"

// Create stores a new rule; its name must not be taken.
func (r AlertRules) Create(ctx context.Context, rule *models.AlertRule) error {
	return create(ctx, r.db, alertRuleNoun, rule)
}

// Find gives a rule.
func (r AlertRules) Find(ctx context.Context, ref string) (*models.AlertRule, error) {
	return find[models.AlertRule](ctx, r.db, alertRuleNoun, byRef("name", ref))
}

// FindMany gives the rules with these ids.
func (r AlertRules) FindMany(ctx context.Context, ids []models.AlertRuleID) (map[models.AlertRuleID]models.AlertRule, error) {
	return findMany(ctx, r.db, alertRuleNoun, ids, func(rule *models.AlertRule) models.AlertRuleID { return rule.ID })
}

// Lock gives a rule and keeps it from changing, and its alerts from being
// compared with what is there, until the transaction ends.
func (r AlertRules) Lock(ctx context.Context, ref string) (*models.AlertRule, error) {
	return find[models.AlertRule](ctx, r.db, alertRuleNoun, locked(byRef("name", ref)))
}

// List gives a page of the rules, sorted by one of [AlertRuleSorts].
func (r AlertRules) List(ctx context.Context, page models.Page) ([]models.AlertRule, error) {
	return list[models.AlertRule](ctx, r.db, alertRuleNoun, page, AlertRuleSorts, all)
}

// Enabled gives the ids of the rules that are enabled, in order.
func (r AlertRules) Enabled(ctx context.Context) (ids []models.AlertRuleID, err error) {
	err = r.db.do(ctx, alertRuleNoun, func(g *gorm.DB) error {
		return g.Model(&models.AlertRule{}).Where("enabled").Order("id").Pluck("id", &ids).Error
	})
	return ids, err
}

// Update stores a changed rule and moves it to the next version.
func (r AlertRules) Update(ctx context.Context, rule *models.AlertRule) error {
	return update(ctx, r.db, alertRuleNoun, rule, rule.ID, &rule.Version, &rule.UpdatedAt)
}

// SetProgress stores how far the rule is looked for and a burst of it told. That
// is no change of the rule: its version stays.
func (r AlertRules) SetProgress(ctx context.Context, rule *models.AlertRule) error {
	return r.db.do(ctx, alertRuleNoun, func(g *gorm.DB) error {
		return g.Model(&models.AlertRule{}).Where("id = ?", rule.ID).
			UpdateColumns(map[string]any{"rest": rule.Rest, "bursts": rule.Bursts, "checked_at": rule.CheckedAt}).Error
	})
}

// Delete erases a rule.
func (r AlertRules) Delete(ctx context.Context, id models.AlertRuleID) error {
	return erase[models.AlertRule](ctx, r.db, alertRuleNoun, id)
}
