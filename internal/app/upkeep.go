package app

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/repositories"
)

const (
	upkeepEvery = 10 * time.Minute
	// invalidationsKeep is longer than any cache remembers an older version.
	invalidationsKeep = 24 * time.Hour
)

// upkeep erases what has served its time. Every process may do it at once:
// erasing twice is erasing once.
type upkeep struct {
	invalidations repositories.Invalidations
	idempotency   repositories.Idempotency
	log           *zap.Logger
}

// run works now and then until ctx ends.
func (u upkeep) run(ctx context.Context) error {
	for tick := time.NewTicker(upkeepEvery); ; {
		if err := u.once(ctx); err != nil && ctx.Err() == nil {
			u.log.Warn("upkeep failed; it will be tried again", zap.Error(err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return nil
		}
	}
}

func (u upkeep) once(ctx context.Context) error {
	return errors.Join(u.invalidations.Prune(ctx, invalidationsKeep), u.idempotency.Prune(ctx, clock()))
}
