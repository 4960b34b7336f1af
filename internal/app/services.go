package app

import (
	"time"

	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/cache"
	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/access"
	"github.com/viva/rate-limiter/internal/services/alerts"
	"github.com/viva/rate-limiter/internal/services/audit"
	"github.com/viva/rate-limiter/internal/services/jobs"
	"github.com/viva/rate-limiter/internal/services/keys"
	"github.com/viva/rate-limiter/internal/services/notifications"
	"github.com/viva/rate-limiter/internal/services/owners"
	"github.com/viva/rate-limiter/internal/services/plans"
	"github.com/viva/rate-limiter/internal/services/privacy"
	"github.com/viva/rate-limiter/internal/services/usage"
	"github.com/viva/rate-limiter/internal/services/validation"
)

// services are the domain, joined to the engines.
type services struct {
	changes    *changes
	access     *access.Service
	audit      *audit.Service
	jobs       *jobs.Service
	keys       *keys.Service
	owners     *owners.Service
	plans      *plans.Service
	privacy    *privacy.Service
	validation *validation.Service
	settler    *validation.Settler // nil where metering is off
	reports    *usage.Reports      // the same
	snapshots  usage.Subjects
	usage      *usage.Service

	notifications *notifications.Service
	alerts        *alerts.Service
}

// newServices joins the services to the engines and to a cache that hears of
// every change; l runs its feed and closes it.
func newServices(cfg *config.Config, e *engines, l *lifecycle, m *instruments, log *zap.Logger) (*services, error) {
	metering, err := meter(cfg, e, l, m, log)
	if err != nil {
		return nil, err
	}
	feed := cache.NewFeed(cache.FeedOptions{
		Source: repositories.NewInvalidations(e.db), PollInterval: cfg.Cache.PollInterval, Now: time.Now, Log: log.Named("cache"),
		Redis: e.redis, Namespace: cfg.Redis.Namespace, Timeout: cfg.RateLimit.StoreTimeout,
	})
	l.loop("invalidation feed", feed.Run)
	bounds := cache.Options{
		MaxEntries: cfg.Cache.MaxEntries, TTL: cfg.Cache.TTL, MaxStale: cfg.Cache.MaxStale,
		NegativeMaxEntries: cfg.Cache.NegativeMaxEntries, NegativeTTL: cfg.Cache.NegativeTTL,
	}
	peppers := peppersOf(cfg)
	keyCache := cache.NewKeys(feed, keyReader{
		keys: repositories.NewKeys(e.db), keyspaces: repositories.NewKeyspaces(e.db), peppers: peppers, log: log,
	}, bounds)
	l.opened("key cache", keyCache.Close)
	m.keyCache(keyCache, feed)
	tokenCache := cache.NewTokens(feed, tokenReader{repositories.NewTokens(e.db)}, bounds)
	l.opened("token cache", tokenCache.Close)

	auditing := audit.New(repositories.NewAudit(e.db), clock)
	changes := &changes{
		db: e.db, audit: auditing, invalidations: repositories.NewInvalidations(e.db), publish: feed.Publish, log: log,
	}
	l.loop("upkeep", upkeep{
		invalidations: repositories.NewInvalidations(e.db), idempotency: repositories.NewIdempotency(e.db), log: log,
	}.run)
	keyStore, ownerStore := repositories.NewKeys(e.db), repositories.NewOwners(e.db)
	planStore := repositories.NewPlans(e.db)
	var reports *usage.Reports
	if metering.recorder != nil {
		reports = usage.NewReports(keyStore, metering.recorder, clock)
	}
	return &services{
		changes: changes,
		access:  access.New(repositories.NewTokens(e.db), tokenCache, changes, clock),
		audit:   auditing,
		jobs:    newJobs(cfg, e, changes),
		keys:    newKeys(cfg, e, changes),
		owners:  owners.New(ownerStore, ownerStore, planStore, changes, cfg.Plans.Default, clock),
		plans:   plans.New(planStore, planStore, changes, clock),
		privacy: privacy.New(privacy.Deps{
			Keys: keyStore, Owners: ownerStore, Data: repositories.NewPrivacy(e.db), Changes: changes, Now: clock,
		}),
		validation: validation.New(validation.Deps{
			Keys: keyCache, Limits: e.limits, Stated: e.stated,
			Recorder: metering.recorder, Quotas: metering.quotas, Receipts: metering.receipts, Observer: m.checks, Together: e.together, Now: time.Now,
		}),
		settler:   metering.settler,
		reports:   reports,
		snapshots: keyStore,
		usage: usage.New(usage.Deps{
			Usage: repositories.NewUsage(e.db), Logs: repositories.NewUsageLogs(e.db), Violations: repositories.NewViolations(e.db),
			Progress: repositories.NewStreams(e.db), Keys: keyStore, Owners: ownerStore, Plans: planStore,
			Keep: cfg.Usage.RollupsKeep, Now: clock,
		}),
	}, nil
}

func peppersOf(cfg *config.Config) models.Peppers {
	var peppers models.Peppers
	for _, secret := range []config.Secret{cfg.Keys.Pepper, cfg.Keys.PepperPrevious} {
		if secret != "" {
			peppers = append(peppers, models.NewPepper([]byte(secret)))
		}
	}
	return peppers
}

// clock reads the time as precisely as both databases keep it, so that what is
// answered now is what is read later.
func clock() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
