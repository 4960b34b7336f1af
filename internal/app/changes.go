package app

import (
	"context"

	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/logging"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/audit"
)

// changes makes a change durable in one transaction with its audit row and the
// invalidations that tell every node, and speaks of it once it is committed.
type changes struct {
	db            *repositories.DB
	audit         *audit.Service
	invalidations repositories.Invalidations
	// publish tells the nodes faster than they would find out by themselves;
	// nil where this process has no cache.
	publish func(ctx context.Context, stale []models.Invalidation) error
	log     *zap.Logger
}

// InTx runs fn in a transaction, or in the one that ctx carries.
func (c *changes) InTx(ctx context.Context, fn func(ctx context.Context) error) error {
	return c.db.InTx(ctx, fn)
}

// Record writes the audit rows and the invalidations of changes.
func (c *changes) Record(ctx context.Context, list ...models.Change) error {
	if err := c.audit.Record(ctx, list...); err != nil {
		return err
	}
	var dependencies []models.Dependency
	for i := range list {
		dependencies = append(dependencies, list[i].Stale...)
	}
	if len(dependencies) == 0 {
		return nil
	}
	stale := models.Invalidations(dependencies)
	if err := c.invalidations.Append(ctx, stale); err != nil {
		return err
	}
	if c.publish == nil {
		return nil
	}
	c.db.AfterCommit(ctx, func() {
		// The change stands whatever becomes of this: nodes also read the table.
		if err := c.publish(context.WithoutCancel(ctx), stale); err != nil {
			c.log.Warn("invalidation not published; nodes will poll it", zap.Error(err), logging.In(ctx))
		}
	})
	return nil
}
