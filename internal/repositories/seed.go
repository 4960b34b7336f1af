package repositories

import (
	"context"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// seed plants the default keyspace and plans in a database that has neither
// keyspaces nor plans. What is there is left alone.
func (db *DB) seed(ctx context.Context) error {
	err := db.InTx(ctx, func(ctx context.Context) error {
		keyspaces, err := exists[models.Keyspace](ctx, db, "keyspace", all)
		if err != nil {
			return err
		}
		plans, err := exists[models.Plan](ctx, db, "plan", all)
		if err != nil {
			return err
		}
		if !keyspaces {
			if err := db.seedKeyspace(ctx); err != nil {
				return err
			}
		}
		if plans {
			return nil
		}
		return db.seedPlans(ctx)
	})
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	return nil
}

func (db *DB) seedKeyspace(ctx context.Context) error {
	now := db.now()
	return NewKeyspaces(db).Create(ctx, &models.Keyspace{
		ID: models.NewID[models.KeyspaceID](), Name: models.DefaultKeyspace, Prefix: db.options.DefaultPrefix,
		Version: 1, CreatedAt: now, UpdatedAt: now,
	})
}

func (db *DB) seedPlans(ctx context.Context) error {
	perMinute := func(limit int64) models.Rule {
		return models.Rule{Name: "per-minute", Limit: limit, Window: time.Minute}
	}
	monthly := func(limit int64, overage models.Overage) models.Rule {
		return models.Rule{Name: "monthly", Limit: limit, Period: models.PeriodMonth, Overage: overage}
	}
	seeds := []struct {
		name, description string
		rules             []models.Rule
	}{
		{"free", "To try things out", []models.Rule{perMinute(60), monthly(10_000, models.OverageBlock)}},
		{"pro", "For production", []models.Rule{perMinute(1_000), monthly(1_000_000, models.OverageAllow)}},
		{"enterprise", "Without a quota", []models.Rule{perMinute(10_000)}},
	}
	now := db.now()
	for _, s := range seeds {
		models.NormalizeRules(s.rules, models.ScopeOwner)
		plan := models.Plan{
			ID: models.NewID[models.PlanID](), Name: s.name, Description: s.description,
			Current: 1, Version: 1, CreatedAt: now, UpdatedAt: now,
		}
		version := models.PlanVersion{
			ID: models.NewID[models.PlanVersionID](), PlanID: plan.ID, Number: 1, Rules: s.rules, CreatedAt: now,
		}
		if err := NewPlans(db).Create(ctx, &plan, &version); err != nil {
			return err
		}
	}
	return nil
}
