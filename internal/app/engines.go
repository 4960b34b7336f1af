package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/cache"
	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/redisstore"
)

// engines are what two settings choose: the database, and Redis or the memory
// of this process. Nothing else in the program knows which.
type engines struct {
	db    *repositories.DB
	redis redis.UniversalClient // nil in the embedded engine
	queue redis.UniversalClient // what jobs stand in
	// limits decides checks of keys; reset forgets what it counted. stated
	// decides those of limits/check, in memory of its own.
	limits limits
	stated validation.Limits
	policy validation.Policy
	// together is how many checks of a batch are decided at a time.
	together int
}

// togetherShared makes about four round trips of a batch of a hundred.
const togetherShared = 32

type limits interface {
	validation.Limits
	validation.Seeds
	validation.Refunds
	Reset(ctx context.Context, group string, rules []ratelimit.Rule) error
}

// openEngines opens what the configuration names and closes it with l.
func openEngines(ctx context.Context, cfg *config.Config, role config.Role, l *lifecycle, m *instruments, t traces, log *zap.Logger) (*engines, error) {
	if cfg.Database.URL == "" {
		lock, err := lockDataDir(cfg.Data.Dir)
		if err != nil {
			return nil, err
		}
		l.opened("data folder", lock.Close)
	}
	db, err := openDatabase(ctx, cfg, t, log)
	if err != nil {
		return nil, err
	}
	l.opened("database", db.Close)
	if cfg.Database.Migrate {
		err = db.Migrate(ctx)
	} else {
		err = migrated(ctx, db)
	}
	if err != nil {
		return nil, err
	}
	e := &engines{db: db, policy: validation.Policy(cfg.RateLimit.OnStoreFailure)}
	// A caller of limits/check makes up its identifiers, so it could fill a store
	// that keys share with it and have their limits refused.
	ofKeys := ratelimit.NewMemory(ratelimit.WithMaxEntries(cfg.RateLimit.MaxEntries))
	ofStated := ratelimit.NewMemory(ratelimit.WithMaxEntries(cfg.RateLimit.LimitsCheckMaxEntries))
	m.limitMemory(&cfg.RateLimit, ofKeys, ofStated)
	if cfg.Redis.URL == "" {
		e.limits = validation.Embedded{Store: ofKeys, Policy: e.policy}
		e.stated = validation.Embedded{Store: ofStated, Policy: e.policy}
		if err := e.beAlone(ctx, role, l); err != nil {
			return nil, err
		}
		e.queue, err = openQueue(ctx, cfg, db, l)
		return e, err
	}
	redis.SetLogger(redisLog{log.Named("redis")})
	if e.redis, err = openRedis("redis.url", &cfg.Redis); err != nil {
		return nil, err
	}
	l.opened("redis", e.redis.Close)
	t.redis(e.redis)
	if e.queue, err = openQueue(ctx, cfg, db, l); err != nil {
		return nil, err
	}
	shared := redisstore.New(e.redis, redisstore.WithNamespace(cfg.Redis.Namespace))
	guarding := validation.GuardOptions{
		Policy:   e.policy,
		Timeout:  cfg.RateLimit.StoreTimeout,
		Failures: cfg.RateLimit.Breaker.Failures,
		OpenFor:  cfg.RateLimit.Breaker.OpenFor,
		OnChange: func(reachable bool) {
			if reachable {
				log.Info("the limit store is in reach again")
			} else {
				log.Error("the limit store is out of reach", zap.String("policy", cfg.RateLimit.OnStoreFailure))
			}
		},
	}
	m.limitStore(&guarding)
	guard := validation.NewGuard(t.limits(shared), ofKeys, guarding)
	e.limits, e.stated, e.together = guard, guard.WithLocal(ofStated), togetherShared
	return e, nil
}

// serveLock is the name of the lock of a process that keeps limits in its memory.
const serveLock = "serve"

// beAlone makes sure that limits kept in this process's memory are the only
// ones over its database.
func (e *engines) beAlone(ctx context.Context, role config.Role, l *lifecycle) error {
	if role != config.RoleServe {
		return fmt.Errorf("the %s process needs redis.url", role)
	}
	lock, ok, err := e.db.AdvisoryLock(ctx, serveLock)
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("another viva serve uses this database: set redis.url on all of them to share limits")
	}
	l.opened("advisory lock", func() error { lock.Release(); return nil })
	l.loop("watch over the advisory lock", lock.Keep)
	return nil
}

// openDatabase opens PostgreSQL, or the SQLite file in the data folder.
func openDatabase(ctx context.Context, cfg *config.Config, t traces, log *zap.Logger) (*repositories.DB, error) {
	o := databaseOptions(cfg, log)
	t.statements(&o, cfg)
	if cfg.Database.URL == "" {
		return repositories.OpenSQLite(ctx, databaseFile(cfg), o)
	}
	return repositories.OpenPostgres(ctx, string(cfg.Database.URL), o)
}

func databaseOptions(cfg *config.Config, log *zap.Logger) repositories.Options {
	return repositories.Options{
		MaxOpenConns: cfg.Database.MaxOpenConns, MaxIdleConns: cfg.Database.MaxIdleConns,
		ConnMaxLifetime: cfg.Database.ConnMaxLifetime, QueryTimeout: cfg.Database.QueryTimeout,
		DefaultPrefix: cfg.Keys.DefaultPrefix, Logger: log.Named("database"), Clock: time.Now,
	}
}

// openRedis opens the servers of the URL; setting names it in errors.
func openRedis(setting string, cfg *config.Redis) (redis.UniversalClient, error) {
	target, err := config.ParseRedisURL(string(cfg.URL))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	o := cache.RedisOptions{
		Addrs: target.Addrs, Cluster: target.Kind == config.RedisCluster, DB: target.DB,
		Username: target.Username, Password: string(target.Password),
		Master: target.Master, SentinelUsername: target.SentinelUsername, SentinelPassword: string(target.SentinelPassword),
		PoolSize: cfg.PoolSize, DialTimeout: cfg.DialTimeout,
	}
	if target.TLS {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return cache.OpenRedis(o)
}
