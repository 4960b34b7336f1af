package app

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"

	"github.com/viva/rate-limiter/internal/cache"
	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/controllers"
	"github.com/viva/rate-limiter/internal/journal"
	"github.com/viva/rate-limiter/internal/metrics"
	"github.com/viva/rate-limiter/internal/middleware"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/queue"
	"github.com/viva/rate-limiter/internal/services/notifications"
	"github.com/viva/rate-limiter/internal/services/usage"
	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// instruments are all that a process tells Prometheus. They count whether or not
// anybody may read them.
type instruments struct {
	*metrics.Set
	role     config.Role
	requests *metrics.Requests
	checks   *metrics.Checks // nil where no checks are answered
}

func newInstruments(role config.Role, version string) *instruments {
	m := &instruments{Set: metrics.NewSet(version), role: role, requests: metrics.NewRequests()}
	m.Register(m.requests)
	if m.answers() {
		m.checks = metrics.NewChecks(time.Now)
		m.Register(m.checks)
	}
	return m
}

// answers tells whether the process answers checks.
func (m *instruments) answers() bool { return m.role != config.RoleWorker }

// limitMemory tells how full the limits in memory are.
func (m *instruments) limitMemory(cfg *config.RateLimit, ofKeys, ofStated *ratelimit.Memory) {
	if !m.answers() {
		return
	}
	m.Add(func(_ context.Context, tell metrics.Tell) {
		tell(metrics.MemoryEntries, float64(ofKeys.Len()), "keys")
		tell(metrics.MemoryEntries, float64(ofStated.Len()), "limits_check")
		tell(metrics.MemoryCapacity, float64(cfg.MaxEntries), "keys")
		tell(metrics.MemoryCapacity, float64(cfg.LimitsCheckMaxEntries), "limits_check")
	}, metrics.MemoryEntries, metrics.MemoryCapacity)
}

// limitStore has the guard of the shared limit store tell how that answers.
func (m *instruments) limitStore(o *validation.GuardOptions) {
	if !m.answers() {
		return
	}
	store, before := metrics.NewLimitStore(m.Set, time.Now), o.OnChange
	o.OnTake, o.OnChange = store.Taken, func(reachable bool) {
		store.Changed(reachable)
		before(reachable)
	}
}

// connections tells of the pools of connections.
func (m *instruments) connections(e *engines) {
	m.Register(collectors.NewDBStatsCollector(e.db.Pool(), "viva"))
	if e.redis == nil {
		return
	}
	m.Add(func(_ context.Context, tell metrics.Tell) {
		for name, client := range map[string]redis.UniversalClient{"limits": e.redis, "queue": e.queue} {
			pool := client.PoolStats()
			tell(metrics.RedisPool, float64(pool.IdleConns), name, "idle")
			tell(metrics.RedisPool, float64(pool.TotalConns-pool.IdleConns), name, "used")
			tell(metrics.RedisTimeouts, float64(pool.Timeouts), name)
		}
	}, metrics.RedisPool, metrics.RedisTimeouts)
}

// keyCache tells of the cache of keys, and of how it hears of changes.
func (m *instruments) keyCache(keys *cache.Keys, feed *cache.Feed) {
	m.Add(func(_ context.Context, tell metrics.Tell) {
		s := keys.Stats()
		tell(metrics.CacheLookups, float64(s.Hits), "hit")
		tell(metrics.CacheLookups, float64(s.UnknownHits), "unknown")
		tell(metrics.CacheLookups, float64(s.Misses), "miss")
		for source, loads := range map[string]cache.Loads{"redis": s.FromRedis, "database": s.FromSource} {
			tell(metrics.CacheLoads, float64(loads.Found), source, "found")
			tell(metrics.CacheLoads, float64(loads.Unknown), source, "unknown")
			tell(metrics.CacheLoads, float64(loads.Failed), source, "failed")
		}
		tell(metrics.CacheEntries, float64(s.Entries), "keys")
		tell(metrics.CacheEntries, float64(s.Unknown), "unknown")
		tell(metrics.CacheStale, float64(s.Stale))
		tell(metrics.HeardAge, feed.HeardAge(time.Now()).Seconds())
	}, metrics.CacheLookups, metrics.CacheLoads, metrics.CacheEntries, metrics.CacheStale, metrics.HeardAge)
}

// metering tells of the journal, and of how far it is in the database.
func (m *instruments) metering(j *journal.Journal, ingester *usage.Ingester) {
	m.Add(func(_ context.Context, tell metrics.Tell) {
		u := j.Usage()
		tell(metrics.JournalRecords, float64(u.Appended))
		tell(metrics.JournalBytes, float64(u.Bytes))
		tell(metrics.JournalSegments, float64(u.Segments))
		tell(metrics.JournalHeld, float64(u.Held))
		tell(metrics.JournalUnsynced, float64(max(0, u.Appended-u.Synced)))
		tell(metrics.JournalBlocked, metrics.Truth(u.Blocked))
		tell(metrics.LagRecords, float64(u.Missing))
		var lag time.Duration
		if u.Missing > 0 {
			lag = max(0, time.Since(ingester.CompleteUntil()))
		}
		tell(metrics.LagSeconds, lag.Seconds())
	}, metrics.JournalRecords, metrics.JournalBytes, metrics.JournalSegments, metrics.JournalHeld,
		metrics.JournalUnsynced, metrics.JournalBlocked, metrics.LagRecords, metrics.LagSeconds)
}

// attempts has notifications tell how attempts to deliver them end.
func (m *instruments) attempts() func(models.DestinationType, notifications.Outcome, time.Duration) {
	var types []string
	for _, t := range destinationTypes {
		types = append(types, string(t))
	}
	work := metrics.NewAttempts(m.Set, types)
	return func(to models.DestinationType, outcome notifications.Outcome, took time.Duration) {
		work.Ended(string(to), string(outcome), took)
	}
}

// runs has the worker tell how jobs end.
func (m *instruments) runs(kinds []queue.Kind) func(models.JobKind, queue.Outcome, time.Duration) {
	work := metrics.NewRuns(m.Set, namesOf(kinds))
	return func(kind models.JobKind, outcome queue.Outcome, took time.Duration) {
		work.Ended(string(kind), string(outcome), took)
	}
}

func namesOf(kinds []queue.Kind) []string {
	names := make([]string, len(kinds))
	for i := range kinds {
		names[i] = string(kinds[i].Name)
	}
	return names
}

// dependencies asks each at every scrape.
func (m *instruments) dependencies(probes []controllers.Probe) {
	m.Add(func(ctx context.Context, tell metrics.Tell) {
		up := make([]float64, len(probes))
		var asked sync.WaitGroup
		for i, p := range probes {
			asked.Go(func() { up[i] = metrics.Truth(p.Check(ctx) == nil) })
		}
		asked.Wait()
		for i, p := range probes {
			tell(metrics.DependencyUp, up[i], p.Name)
		}
	}, metrics.DependencyUp)
}

// refusals tells of callers who had no valid token.
func (m *instruments) refusals(guard *middleware.Authentication) {
	m.Add(func(_ context.Context, tell metrics.Tell) {
		tell(metrics.AuthenticationFailures, float64(guard.Refused()))
	}, metrics.AuthenticationFailures)
}

// serveMetrics answers scrapes: on the engine, or on a listener of its own.
func (a *App) serveMetrics(ctx context.Context, engine *gin.Engine) (err error) {
	switch handler := a.metrics.Handler(); {
	case !a.cfg.Metrics.Enabled:
	case a.cfg.Metrics.Addr == "":
		engine.GET("/metrics", gin.WrapH(handler))
	default:
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", handler)
		a.scraped, err = a.serveAt(ctx, "metrics", a.cfg.Metrics.Addr, mux, (*http.Server).Serve)
	}
	return err
}
