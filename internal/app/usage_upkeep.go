package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/repositories"
)

// usageUpkeep makes room for usage to come and takes away what has been kept
// long enough. Of all processes, one does each task of an hour.
type usageUpkeep struct {
	tables  repositories.UsageUpkeep
	privacy repositories.Privacy
	ticks   repositories.JobTicks
	cfg     config.Usage
	node    string
	log     *zap.Logger
}

func newUsageUpkeep(cfg *config.Config, db *repositories.DB, log *zap.Logger) usageUpkeep {
	return usageUpkeep{
		tables: repositories.NewUsageUpkeep(db), privacy: repositories.NewPrivacy(db), ticks: repositories.NewJobTicks(db), cfg: cfg.Usage, node: nodeName(), log: log.Named("upkeep"),
	}
}

const (
	// partitionsAhead are the days for which there are partitions before they
	// begin: a week without upkeep does no harm.
	partitionsAhead = 7
	// eventIDsKeep is longer than an event may be late, and than a journal waits.
	eventIDsKeep = 14 * 24 * time.Hour
	// ticksKeep is how long it is remembered who did the tasks of an hour.
	ticksKeep = 7 * 24 * time.Hour
	// eraseAgainFor is for how long erasures are repeated, each hour: what was on
	// its way into the database meanwhile has arrived by then.
	eraseAgainFor = 2 * time.Hour
	// upkeepLease is how long a task may take before another process takes over.
	upkeepLease = 30 * time.Minute
	// upkeepLook is how often it is looked whether a task is due.
	upkeepLook = time.Minute
)

type upkeepTask struct {
	kind string
	run  func(ctx context.Context, now time.Time) error
}

func (u usageUpkeep) tasks() []upkeepTask {
	return []upkeepTask{
		{"usage:partitions", func(ctx context.Context, now time.Time) error {
			return u.tables.MakePartitions(ctx, now, partitionsAhead)
		}},
		{"usage:retention", func(ctx context.Context, now time.Time) error {
			return errors.Join(
				u.tables.DropLogs(ctx, now.Add(-u.cfg.LogsKeep)), u.tables.DropViolations(ctx, now.Add(-u.cfg.ViolationsKeep)),
				u.tables.DropRollups(ctx, now.Add(-u.cfg.RollupsKeep)), u.tables.DropEventIDs(ctx, now.Add(-eventIDsKeep)),
				u.ticks.Prune(ctx, ticksKeep))
		}},
		{"usage:compact", func(ctx context.Context, now time.Time) error {
			_, err := u.tables.Compact(ctx, now.Add(-u.cfg.CompactAfter))
			return err
		}},
		{"privacy:erase", func(ctx context.Context, now time.Time) error {
			return u.privacy.EraseAgain(ctx, now.Add(-eraseAgainFor))
		}},
	}
}

// run does what is due until ctx ends.
func (u usageUpkeep) run(ctx context.Context) error {
	for tick := time.NewTicker(upkeepLook); ; {
		for _, task := range u.tasks() {
			if err := u.once(ctx, task, clock()); err != nil && ctx.Err() == nil {
				u.log.Warn("upkeep failed; it will be tried again", zap.String("task", task.kind), zap.Error(err))
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return nil
		}
	}
}

// once does a task of this hour unless another process does, or has done it.
func (u usageUpkeep) once(ctx context.Context, task upkeepTask, now time.Time) error {
	hour := now.Truncate(time.Hour)
	claimed, err := u.ticks.Claim(ctx, task.kind, hour, u.node, upkeepLease)
	if err != nil || !claimed {
		return err
	}
	if err := task.run(ctx, now); err != nil {
		return fmt.Errorf("%s: %w", task.kind, err)
	}
	return u.ticks.Done(ctx, task.kind, hour)
}
