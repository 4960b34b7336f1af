package app

import (
	"context"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/queue"
)

// handlers are what jobs call. It is made for every process that runs jobs,
// whether it also answers checks or not.
type handlers struct {
	upkeep usageUpkeep
}

// kinds is the one table of what is done for which jobs.
func (h *handlers) kinds() []queue.Kind {
	upkeep := func(name models.JobKind, timeout time.Duration, run func(ctx context.Context, now time.Time) error) queue.Kind {
		return queue.Kind{
			Name: name, Queue: queue.Low, Every: time.Hour, Timeout: timeout, MaxRetries: queue.DefaultRetries,
			Handle: queue.Whole(func(ctx context.Context) error { return run(ctx, clock()) }),
		}
	}
	partitions := upkeep(models.JobUsagePartitions, 5*time.Minute, h.upkeep.partitions)
	partitions.AtStart = true
	tallies := upkeep(models.JobUsageTallies, 10*time.Minute, h.upkeep.tallies)
	tallies.Every, tallies.After = models.Bucket, tallyAfter
	return []queue.Kind{
		partitions,
		tallies,
		upkeep(models.JobUsageCompact, upkeepTimeout, h.upkeep.compact),
		upkeep(models.JobUsageRetention, upkeepTimeout, h.upkeep.retention),
		upkeep(models.JobAuditRetention, upkeepTimeout, h.upkeep.auditRetention),
		upkeep(models.JobPrivacyErase, upkeepTimeout, h.upkeep.eraseAgain),
	}
}
