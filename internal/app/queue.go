package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/controllers"
	"github.com/viva/rate-limiter/internal/logging"
	"github.com/viva/rate-limiter/internal/queue"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/jobs"
)

// sweepLock is the name of the lock of the one process that puts jobs into the queue.
const sweepLock = "jobs"

// queueConnections are what a worker needs beside those of its jobs.
const queueConnections = 16

// openQueue opens what jobs stand in: Redis, or the memory of a process alone.
func openQueue(ctx context.Context, cfg *config.Config, db *repositories.DB, l *lifecycle) (redis.UniversalClient, error) {
	if cfg.Redis.URL == "" {
		embedded, err := queue.OpenEmbedded()
		if err != nil {
			return nil, err
		}
		l.opened("embedded queue", embedded.Close)
		return embedded.Client(), repositories.NewJobs(db).ForgetSent(ctx)
	}
	// Connections of their own: checks of limits wait for none of them.
	setting, settings := "redis.url", cfg.Redis
	if cfg.Queue.RedisURL != "" {
		setting, settings.URL = "queue.redis_url", cfg.Queue.RedisURL
	}
	if settings.PoolSize > 0 {
		settings.PoolSize = max(settings.PoolSize, cfg.Queue.Concurrency+queueConnections)
	}
	client, err := openRedis(setting, &settings)
	if err != nil {
		return nil, err
	}
	l.opened("queue", client.Close)
	return client, nil
}

// work runs jobs of the kinds given, beside whatever else the process does.
func (a *App) work(e *engines, kinds []queue.Kind) error {
	c, store := a.cfg.Queue, repositories.NewJobs(e.db)
	worker, err := queue.New(queue.Options{
		Kinds: kinds, Rows: store, Source: store, Redis: e.queue, Namespace: a.cfg.Redis.Namespace, Node: nodeName(),
		Lock: func(ctx context.Context) (queue.Lock, bool, error) {
			lock, ok, err := e.db.AdvisoryLock(ctx, sweepLock)
			return lock, ok, err
		},
		Concurrency: c.Concurrency, Strict: c.StrictPriority, ShutdownTimeout: c.ShutdownTimeout,
		Weights: queue.Weights{Critical: c.CriticalWeight, Default: c.DefaultWeight, Low: c.LowWeight},
		Now:     time.Now, Log: a.log.Named("jobs"), OnRun: a.metrics.runs(kinds), Trace: a.traces.jobs(),
	})
	if err != nil {
		return err
	}
	a.metrics.whole(a.cfg, e, kinds)
	a.parts.add("jobs", worker.Start, worker.Stop)
	return nil
}

// newJobs makes what shows jobs and, given changes, lets operators settle them.
func newJobs(cfg *config.Config, e *engines, changes jobs.Changes) *jobs.Service {
	return jobs.New(repositories.NewJobs(e.db), queue.NewInspector(e.queue, cfg.Redis.Namespace), changes)
}

// queueProbe asks whether jobs can be handed out. Without, they wait in the
// database: a process that answers checks goes on.
func queueProbe(e *engines, role config.Role, namespace string) controllers.Probe {
	inspector := queue.NewInspector(e.queue, namespace)
	return controllers.Probe{Name: "queue", Check: func(ctx context.Context) error {
		err := inspector.Ping(ctx)
		if err != nil && role != config.RoleWorker {
			return errors.Join(controllers.ErrDegraded, err)
		}
		return err
	}}
}

// logged makes probes that tell the log why something is not ready.
func logged(list []controllers.Probe, log *zap.Logger) []controllers.Probe {
	list = slices.Clone(list)
	for i := range list {
		name, check := list[i].Name, list[i].Check
		list[i].Check = func(ctx context.Context) error {
			err := check(ctx)
			if err != nil {
				log.Warn("not ready", zap.String("dependency", name), zap.Error(err), logging.In(ctx))
			}
			return err
		}
	}
	return list
}
