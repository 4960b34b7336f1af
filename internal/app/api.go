package app

import (
	"context"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/internal/cache"
	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/controllers"
	"github.com/viva/rate-limiter/internal/middleware"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// maxFailing is how many addresses with failed authentications are counted.
const maxFailing = 1 << 20

// serveAPI puts the HTTP API in front of the services.
func (a *App) serveAPI(ctx context.Context, o Options, e *engines, s *services, probes []controllers.Probe) error {
	engine := a.newEngine()
	guard := middleware.NewAuthentication(s.access, ratelimit.NewMemory(ratelimit.WithMaxEntries(maxFailing)),
		middleware.FailureLimit{Limit: int64(a.cfg.Access.FailedAuthLimit), Window: a.cfg.Access.FailedAuthWindow},
		a.cfg.Server.TrustedProxies, time.Now)
	a.metrics.refusals(guard)
	controllers.New(engine, controllers.Deps{
		Version: o.Version, Now: time.Now, Guard: guard,
		Keys: s.keys, Owners: s.owners, Plans: s.plans, Privacy: s.privacy, Access: s.access, Audit: s.audit, Jobs: s.jobs, Validation: s.validation,
		Notifications: s.notifications, Alerts: s.alerts,
		Settler: s.settler, Reports: s.reports, Snapshots: s.snapshots, Usage: s.usage,
		Token:        middleware.TokenFrom,
		ForwardedFor: middleware.Proxies(a.cfg.Server.TrustedProxies).ForwardedFor,
		Idempotency: struct {
			*repositories.DB
			repositories.Idempotency
		}{e.db, repositories.NewIdempotency(e.db)},
		IdempotencyKeep: a.cfg.Idempotency.Keep,
		Probes:          probes,
		LogLevel:        logLevelChanges{a.level, s.changes},
		MaxBodyBytes:    a.cfg.Server.MaxBodyBytes,
		Docs:            a.cfg.Server.Docs.Enabled,
	})
	if err := a.serveMetrics(ctx, engine); err != nil {
		return err
	}
	return a.serve(ctx, a.cfg.Server.Addr, engine)
}

// serveHealth answers health checks and scrapes of metrics alone, for a process
// without an API.
func (a *App) serveHealth(ctx context.Context, o Options, probes []controllers.Probe) error {
	engine := a.newEngine()
	controllers.NewHealth(engine, controllers.Deps{Version: o.Version, Now: time.Now, Probes: probes})
	if err := a.serveMetrics(ctx, engine); err != nil {
		return err
	}
	return a.serve(ctx, a.cfg.Worker.Addr, engine)
}

// probes ask each dependency whether it can do its part.
func (e *engines) probes(cfg *config.Config, role config.Role) []controllers.Probe {
	list := []controllers.Probe{{Name: "database", Check: func(ctx context.Context) error { return migrated(ctx, e.db) }}}
	if e.redis != nil {
		list = append(list, controllers.Probe{Name: "redis", Check: e.trusted})
	}
	return append(list, queueProbe(e, role, cfg.Redis.Namespace))
}

// trusted tells whether limits can be trusted to Redis. Where it is out of
// reach, checks go on unless the policy is to refuse them.
func (e *engines) trusted(ctx context.Context) error {
	servers, err := cache.Probe(ctx, e.redis)
	reached := len(servers) > 0 && servers[0].Version != ""
	if err != nil && !reached && e.policy != validation.PolicyDeny {
		return fmt.Errorf("%w: %w", controllers.ErrDegraded, err)
	}
	return err
}
