package app

import (
	"context"
	"errors"
	"time"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/repositories"
)

// usageUpkeep makes room for usage to come, adds up what has ended and takes away
// what has been kept long enough. Each of its methods is a job: done twice, or by
// two processes at once, it is done.
type usageUpkeep struct {
	tables    repositories.UsageUpkeep
	privacy   repositories.Privacy
	ticks     repositories.JobTicks
	notices   repositories.Notices
	audit     repositories.Audit
	cfg       config.Usage
	auditKeep time.Duration
}

func newUsageUpkeep(cfg *config.Config, db *repositories.DB) usageUpkeep {
	return usageUpkeep{
		tables: repositories.NewUsageUpkeep(db), privacy: repositories.NewPrivacy(db), ticks: repositories.NewJobTicks(db),
		notices: repositories.NewNotices(db), audit: repositories.NewAudit(db), cfg: cfg.Usage, auditKeep: cfg.Access.AuditKeep,
	}
}

const (
	// partitionsAhead are the days for which there are partitions before they
	// begin: a week without upkeep does no harm.
	partitionsAhead = 7
	// eventIDsKeep is longer than an event may be late, and than a journal waits.
	eventIDsKeep = 14 * 24 * time.Hour
	// ticksKeep is how long it is remembered who asked for the jobs of a time:
	// longer than any clock is slow.
	ticksKeep = 24 * time.Hour
	// noticesKeep is how long it is remembered what was told.
	noticesKeep = 30 * 24 * time.Hour
	// eraseAgainFor is for how long erasures are repeated, each hour: what was on
	// its way into the database meanwhile has arrived by then.
	eraseAgainFor = 2 * time.Hour
	// tallyAfter lets what was used in a quarter of an hour arrive before it is
	// added up for good.
	tallyAfter = 30 * time.Second
	// upkeepTimeout ends a task: what it has done stays done, and the next goes on.
	upkeepTimeout = 30 * time.Minute
)

func (u usageUpkeep) partitions(ctx context.Context, now time.Time) error {
	return u.tables.MakePartitions(ctx, now, partitionsAhead)
}

func (u usageUpkeep) retention(ctx context.Context, now time.Time) error {
	return errors.Join(
		u.tables.DropLogs(ctx, now.Add(-u.cfg.LogsKeep)), u.tables.DropViolations(ctx, now.Add(-u.cfg.ViolationsKeep)),
		u.tables.DropRollups(ctx, now.Add(-u.cfg.RollupsKeep)), u.tables.DropEventIDs(ctx, now.Add(-eventIDsKeep)),
		u.notices.Prune(ctx, now.Add(-noticesKeep)), u.ticks.Prune(ctx, ticksKeep))
}

func (u usageUpkeep) auditRetention(ctx context.Context, now time.Time) error {
	return u.audit.Prune(ctx, now.Add(-u.auditKeep))
}

func (u usageUpkeep) compact(ctx context.Context, now time.Time) error {
	_, err := u.tables.Compact(ctx, now.Add(-u.cfg.CompactAfter))
	return err
}

func (u usageUpkeep) tallies(ctx context.Context, now time.Time) error {
	now = now.Add(-tallyAfter)
	if err := u.tables.Total(ctx, now); err != nil {
		return err
	}
	return u.tables.Tally(ctx, now, repositories.TallyKeep{
		Rollups: u.cfg.RollupsKeep, Endpoints: u.cfg.CompactAfter, Hours: u.cfg.TalliesKeep,
	})
}

func (u usageUpkeep) eraseAgain(ctx context.Context, now time.Time) error {
	return u.privacy.EraseAgain(ctx, now.Add(-eraseAgainFor))
}
