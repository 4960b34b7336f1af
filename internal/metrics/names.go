package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metric is one that a [Source] tells.
type Metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func gauge(name, help string, labels ...string) *Metric {
	return &Metric{prometheus.NewDesc(name, help, labels, nil), prometheus.GaugeValue}
}

func counter(name, help string, labels ...string) *Metric {
	return &Metric{prometheus.NewDesc(name, help, labels, nil), prometheus.CounterValue}
}

// Of the process itself.
var (
	BuildInfo              = gauge("viva_build_info", "Which build of the program this is; always 1.", "version", "revision", "goversion")
	DependencyUp           = gauge("viva_dependency_up", "Whether the dependency does its part, asked at the scrape: 1 if so.", "dependency")
	AuthenticationFailures = counter("viva_authentication_failures_total",
		"Requests refused for a missing or wrong access token, or because their address had sent too many.")
)

// Of the cache of keys.
var (
	CacheLookups = counter("viva_key_cache_lookups_total",
		"Keys looked for in memory: hit if one was there, unknown if it was known to be no key, miss if it had to be loaded.", "result")
	CacheLoads = counter("viva_key_cache_loads_total",
		"Keys loaded: found, unknown where the source has none, or failed.", "source", "result")
	CacheEntries = gauge("viva_key_cache_entries", "Keys in memory, and strings known to be no key.", "kind")
	CacheStale   = counter("viva_key_cache_stale_total", "Keys answered from memory although they could not be refreshed in time.")
	HeardAge     = gauge("viva_invalidations_heard_age_seconds",
		"Since when nothing was heard of changes to keys, neither from the database nor from Redis.")
)

// Of the limit stores.
var (
	MemoryEntries  = gauge("viva_limit_memory_entries", "Counters held in the memory of this process.", "store")
	MemoryCapacity = gauge("viva_limit_memory_capacity_entries", "Counters that there is room for in the memory of this process.", "store")
	BreakerOpen    = gauge("viva_limit_store_breaker_open", "Whether checks do without the shared limit store, for it was out of reach: 1 if so.")
	StoreDegraded  = counter("viva_limit_store_degraded_seconds_total", "How long checks did without the shared limit store, an outage under way included.")
	RedisPool      = gauge("viva_redis_pool_connections", "Connections to Redis.", "client", "state")
	RedisTimeouts  = counter("viva_redis_pool_timeouts_total", "Calls that waited in vain for a free connection to Redis.", "client")
)

// Of the journal, and of how far it is in the database.
var (
	JournalRecords  = counter("viva_journal_records_total", "Records appended to the journal.")
	JournalBytes    = gauge("viva_journal_bytes", "Room that the journal takes up on the disk.")
	JournalSegments = gauge("viva_journal_segments", "Files of the journal.")
	JournalHeld     = gauge("viva_journal_held_bytes", "Records held in memory because the disk did not take them.")
	JournalUnsynced = gauge("viva_journal_unsynced_records", "Records that a loss of power would take.")
	JournalBlocked  = gauge("viva_journal_blocked", "Whether the disk takes nothing: 1 if so.")
	LagRecords      = gauge("viva_ingest_lag_records", "Records in the journal of this process that are not yet in the database.")
	LagSeconds      = gauge("viva_ingest_lag_seconds", "Age of the oldest record that is not yet in the database, at most; 0 where there is none.")
)

// Of all processes together, from the database and the queue.
var (
	UndrainedStreams = gauge("viva_ingest_undrained_streams",
		"Streams of journals not wholly in the database of which nothing was heard for a minute: their process is gone or stuck.")
	UsageCompleteAge = gauge("viva_usage_complete_age_seconds", "Since when usage is not complete in the database; 0 where all of it is there.")
	JobsUp           = gauge("viva_jobs_up", "Whether jobs and queues could be asked for: 1 if so.")
	Jobs             = gauge("viva_jobs", "Jobs in the database: waiting for their time, due by now, or failed and given up.", "kind", "state")
	JobsOldestDue    = gauge("viva_jobs_oldest_due_seconds", "How long the oldest job that is due has been.", "kind")
	QueueTasks       = gauge("viva_queue_tasks", "Tasks that stand in a queue.", "queue", "state")
	QueueLatency     = gauge("viva_queue_latency_seconds", "How long the oldest task that is ready has been.", "queue")
	QueuePaused      = gauge("viva_queue_paused", "Whether an operator has paused the queue: 1 if so.", "queue")
	Deliveries       = gauge("viva_deliveries",
		"Deliveries of notifications: pending ones, and those that ended within the last hour; at most 100,000 of both are counted.", "state")
	Destinations = gauge("viva_destinations", "Destinations of notifications: active, failing since their last attempt, or disabled.", "type", "state")
	Alerts       = gauge("viva_alerts", "Alerts whose cause is there and that are not resolved; at most 100,000 are counted.", "kind", "state")
)

// steps are the bounds of a histogram: 1, 2, 5, 10 and so on, from a duration that
// is one of these to another that need not be.
func steps(from, to time.Duration) (bounds []float64) {
	lead := from
	for lead >= 10 {
		lead /= 10
	}
	for d := from; d < to; {
		bounds = append(bounds, d.Seconds())
		if lead == 2 {
			d, lead = d/2*5, 5
			continue
		}
		d *= 2
		if lead *= 2; lead == 10 {
			lead = 1
		}
	}
	return append(bounds, to.Seconds())
}

func histogram(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}
}
