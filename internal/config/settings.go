package config

import (
	"net/netip"
	"time"
)

// Config is the whole configuration, in the order it is printed and documented.
// It is not changed after Load and may be read from any goroutine.
//
// The tags: `key` names the setting in its group, `default` is its value when
// nothing is given, and `min` with `max`, `oneof` or `format` say what it accepts.
// An empty default means that empty is accepted too. The comment of a field is
// its description in docs/configuration.md.
type Config struct {
	// The kind of installation. In `prod`, logs are JSON unless `log.format` says otherwise.
	Environment string `key:"environment" default:"dev" oneof:"dev prod"`

	Server      Server      `key:"server"`
	Worker      Worker      `key:"worker"`
	Data        Data        `key:"data"`
	Database    Database    `key:"database"`
	Redis       Redis       `key:"redis"`
	Queue       Queue       `key:"queue"`
	RateLimit   RateLimit   `key:"ratelimit"`
	Cache       Cache       `key:"cache"`
	Keys        Keys        `key:"keys"`
	Plans       Plans       `key:"plans"`
	Journal     Journal     `key:"journal"`
	Usage       Usage       `key:"usage"`
	Checks      Checks      `key:"checks"`
	Idempotency Idempotency `key:"idempotency"`
	Notify      Notify      `key:"notify"`
	Abuse       Abuse       `key:"abuse"`
	Outreach    Outreach    `key:"outreach"`
	Access      Access      `key:"access"`
	Metrics     Metrics     `key:"metrics"`
	Tracing     Tracing     `key:"tracing"`
	Log         Log         `key:"log"`

	origins map[string]string // by path: where the value came from
}

// Worker is the process that runs jobs.
type Worker struct {
	// Where the worker answers health checks and metrics.
	Addr string `key:"addr" default:"127.0.0.1:8081" format:"hostport"`
}

// Data is the folder this process keeps its files in.
type Data struct {
	// The folder for the SQLite file and the first access token. It is made if absent.
	Dir string `key:"dir" default:"./data" format:"path"`
}

// Database is where keys, owners and plans are kept: PostgreSQL, or a SQLite file in `data.dir`.
type Database struct {
	// A PostgreSQL URL (version 15 or newer). Empty means the SQLite file, for a single `viva serve`.
	URL URL `key:"url" default:"" format:"postgres"`
	// Connections open at once, at most, in each process.
	MaxOpenConns int `key:"max_open_conns" default:"20" min:"1" max:"10000"`
	// Connections kept open while idle. More than `max_open_conns` counts as that many.
	MaxIdleConns int `key:"max_idle_conns" default:"20" min:"0" max:"10000"`
	// The age at which a connection is replaced; `0s` keeps it.
	ConnMaxLifetime time.Duration `key:"conn_max_lifetime" default:"30m" min:"0s" max:"24h"`
	// The longest a single query may take.
	QueryTimeout time.Duration `key:"query_timeout" default:"5s" min:"10ms" max:"5m"`
	// Whether `serve`, `api` and `worker` bring the schema up to date when they start.
	Migrate bool `key:"migrate" default:"true"`
}

// Redis is the memory that several processes share. It may be lost at any time; PostgreSQL is the truth.
type Redis struct {
	// A single server, Sentinel or Cluster (version 7 or newer, or Valkey); see [below](#redis-urls). Empty means memory of this process.
	URL URL `key:"url" default:"" format:"redis"`
	// The first part of every key and channel, so that installations can share a server.
	Namespace string `key:"namespace" default:"viva" format:"namespace"`
	// Connections to each server, at most; `0` means ten for each processor.
	PoolSize int `key:"pool_size" default:"0" min:"0" max:"10000"`
	// The longest that opening a connection may take.
	DialTimeout time.Duration `key:"dial_timeout" default:"1s" min:"10ms" max:"1m"`
}

// Queue is how background jobs are run, by `worker` and `serve`. See [jobs](jobs.md).
type Queue struct {
	// The Redis that jobs stand in, where it is another than `redis.url`.
	RedisURL URL `key:"redis_url" default:"" format:"redis"`
	// Jobs that each process runs at once.
	Concurrency int `key:"concurrency" default:"10" min:"1" max:"1000"`
	// The share of the queue `critical` in the work, while all queues have some.
	CriticalWeight int `key:"critical_weight" default:"10" min:"1" max:"100"`
	// The share of the queue `default`.
	DefaultWeight int `key:"default_weight" default:"5" min:"1" max:"100"`
	// The share of the queue `low`.
	LowWeight int `key:"low_weight" default:"1" min:"1" max:"100"`
	// Whether a queue waits until the more urgent ones are empty, whatever the weights.
	StrictPriority bool `key:"strict_priority" default:"false"`
	// How long running jobs may last after the process is told to stop. What is not done by then is done again elsewhere.
	ShutdownTimeout time.Duration `key:"shutdown_timeout" default:"15s" min:"1s" max:"10m"`
}

// RateLimit is how limits are counted, and what happens when they cannot be.
type RateLimit struct {
	// What a check answers when Redis is out of reach: `local` enforces limits on each process alone, `deny` refuses, `allow` admits.
	OnStoreFailure string `key:"on_store_failure" default:"local" oneof:"local deny allow"`
	// The longest a check waits for Redis.
	StoreTimeout time.Duration `key:"store_timeout" default:"50ms" min:"1ms" max:"5s"`
	// Counters of keys and owners held in the memory of one process, at most. When full, new ones meet `on_store_failure`.
	MaxEntries int `key:"max_entries" default:"10000000" min:"1000" max:"1000000000"`
	// The same for what `limits/check` counts, held apart: identifiers that callers make up leave room for keys.
	LimitsCheckMaxEntries int `key:"limits_check_max_entries" default:"1000000" min:"1000" max:"1000000000"`

	Breaker Breaker `key:"breaker"`
}

// Breaker stops asking a Redis that does not answer.
type Breaker struct {
	// Failures in a row after which Redis is no longer asked.
	Failures int `key:"failures" default:"5" min:"1" max:"1000"`
	// How long until Redis is tried again.
	OpenFor time.Duration `key:"open_for" default:"1s" min:"10ms" max:"1m"`
}

// Cache is the copy of keys each process keeps in memory, to check calls without the database.
type Cache struct {
	// Keys held in memory, at most.
	MaxEntries int `key:"max_entries" default:"1000000" min:"1" max:"100000000"`
	// How long a key is served from memory before it is read again.
	TTL time.Duration `key:"ttl" default:"5m" min:"1s" max:"24h"`
	// How long it is remembered that a key does not exist.
	NegativeTTL time.Duration `key:"negative_ttl" default:"10s" min:"100ms" max:"10m"`
	// Keys remembered not to exist, at most.
	NegativeMaxEntries int `key:"negative_max_entries" default:"100000" min:"1" max:"10000000"`
	// How long known keys keep working while the database is out of reach.
	MaxStale time.Duration `key:"max_stale" default:"10m" min:"1s" max:"168h"`
	// How often the database is asked which keys have changed. A revoked key is refused everywhere within a second.
	PollInterval time.Duration `key:"poll_interval" default:"500ms" min:"50ms" max:"800ms"`
}

// Keys is how API keys are made and stored.
type Keys struct {
	// A secret mixed into the stored hashes of keys. Its bytes are used as given. Keep it safe: without it, none of those keys works again.
	Pepper Secret `key:"pepper" default:"" format:"pepper"`
	// The pepper before this one. Keys stored with it still work, and move to the new one when used.
	PepperPrevious Secret `key:"pepper_previous" default:"" format:"pepper"`
	// What keys begin with in the keyspace `default`, as in `viva_live_…`.
	DefaultPrefix string `key:"default_prefix" default:"viva" format:"prefix"`
}

// Plans is what owners are put on.
type Plans struct {
	// The plan of an owner made together with a key that names neither owner nor plan.
	Default string `key:"default" default:"free" format:"name"`
}

// Journal keeps what was answered until it is in the database. Each process has its own.
type Journal struct {
	// Whether checks are metered at all. Without it nothing is counted, listed or billed.
	Enabled bool `key:"enabled" default:"true"`
	// The folder; empty means `journal` in `data.dir`. Where another process has it, the first free one of `…-2`, `…-3` and so on is taken. It has to outlive the process.
	Dir string `key:"dir" default:"" format:"path"`
	// `always` keeps every answered check through a loss of power; `interval` may lose the last `journal.fsync_interval`. Neither loses any when the process dies.
	Fsync string `key:"fsync" default:"interval" oneof:"interval always"`
	// How often the disk is made sure of under `interval`.
	FsyncInterval time.Duration `key:"fsync_interval" default:"200ms" min:"1ms" max:"1s"`
	// The size of one file, in bytes.
	SegmentBytes int64 `key:"segment_bytes" default:"67108864" min:"1048576" max:"4294967296"`
	// How long what is in the database already is kept, for a database that falls back to an earlier state.
	Keep time.Duration `key:"keep" default:"10m" min:"0s" max:"168h"`
	// The most that is kept of it, in bytes.
	KeepBytes int64 `key:"keep_bytes" default:"1073741824" min:"0" max:"1099511627776"`
	// On a full disk: `memory` holds records in memory until there is space, `refuse` answers 503.
	OnFull string `key:"on_full" default:"memory" oneof:"memory refuse"`
	// The most that is held in memory, in bytes; beyond it checks are refused.
	MaxMemory int64 `key:"max_memory" default:"67108864" min:"1048576" max:"17179869184"`
}

// Usage is what is kept of the calls that were checked, and for how long.
type Usage struct {
	// Single checks kept by each process in a second, at most; of more, a sample is kept. Sums are exact whatever this is.
	RawRowsPerSecond int `key:"raw_rows_per_second" default:"500" min:"0" max:"1000000"`
	// Endpoints of a key that are counted apart; further ones are counted together as `other`.
	EndpointsPerKey int `key:"endpoints_per_key" default:"200" min:"1" max:"10000"`
	// How long single checks are kept.
	LogsKeep time.Duration `key:"logs_keep" default:"720h" min:"24h" max:"87600h"`
	// How long violations are kept.
	ViolationsKeep time.Duration `key:"violations_keep" default:"2160h" min:"24h" max:"87600h"`
	// How long quarters of an hour are kept. Months are kept for three years.
	RollupsKeep time.Duration `key:"rollups_keep" default:"9600h" min:"768h" max:"87600h"`
	// The age from which the endpoints of a quarter of an hour are added together.
	CompactAfter time.Duration `key:"compact_after" default:"2160h" min:"24h" max:"87600h"`
	// The age up to which lists of all keys are quick whatever hour they begin and end at; older ones are where they do so at
	// midnight UTC. It takes as much room as the totals of that time.
	TalliesKeep time.Duration `key:"tallies_keep" default:"2400h" min:"24h" max:"87600h"`
}

// Checks is what can be asked of a check after it was answered.
type Checks struct {
	// How long a check that was asked to be settled can be.
	SettleWithin time.Duration `key:"settle_within" default:"10m" min:"1s" max:"1h"`
}

// Idempotency is how repeated create calls are recognized.
type Idempotency struct {
	// How long the answer to an `Idempotency-Key` is kept.
	Keep time.Duration `key:"keep" default:"24h" min:"1m" max:"168h"`
}

// Notify is how people and programs are told of alerts and other events. See [notifications](notifications.md).
type Notify struct {
	// How long events are collected before they are told together.
	GroupWait time.Duration `key:"group_wait" default:"2s" min:"0s" max:"15s"`
	// Networks or addresses that webhooks may reach although they are not public, also without TLS where a URL names the address.
	AllowNetworks []netip.Prefix `key:"allow_networks" default:""`
	// Whether webhooks may be sent to `http://` URLs, which anybody on the way can read.
	AllowHTTP bool `key:"allow_http" default:"false"`
	// How long a destination may fail without a single success until it is disabled.
	DisableAfter time.Duration `key:"disable_after" default:"72h" min:"1h" max:"8760h"`

	SMTP SMTP `key:"smtp"`
}

// SMTP is the mail server that takes emails. Without one, none can be sent.
type SMTP struct {
	// The server.
	Addr string `key:"addr" default:"" format:"server"`
	// The name to log in with; empty does not log in.
	Username string `key:"username" default:"" format:"line"`
	// Its password.
	Password Secret `key:"password" default:"" format:"line"`
	// Who the emails are from.
	From string `key:"from" default:"" format:"mailbox"`
	// `starttls` encrypts after connecting and refuses a server that cannot, `implicit` encrypts from the start (mostly port 465), `none` leaves all readable.
	TLS string `key:"tls" default:"starttls" oneof:"starttls implicit none"`
}

// Abuse is how many refusals by limits are taken for abuse, and what is done then. See [violations](violations.md).
type Abuse struct {
	Key   AbuseKey   `key:"key"`
	Owner AbuseOwner `key:"owner"`
	IP    AbuseIP    `key:"ip"`
}

// AbuseKey is abuse by one key.
type AbuseKey struct {
	// Refusals of a key in `window` that are too many; `0` never are.
	Denials int64 `key:"denials" default:"100000" min:"0" max:"1000000000000"`
	// The time they are counted in, to the minute.
	Window time.Duration `key:"window" default:"10m" min:"1m" max:"24h"`
	// `alert` tells of it; `suspend` also refuses the key for `suspend_for`.
	Action string `key:"action" default:"alert" oneof:"alert suspend"`
	// How long they are suspended.
	SuspendFor time.Duration `key:"suspend_for" default:"1h" min:"1m" max:"720h"`
}

// AbuseOwner is abuse by all keys of an owner together.
type AbuseOwner struct {
	// Refusals of all keys of an owner in `window` that are too many; `0` never are.
	Denials int64 `key:"denials" default:"500000" min:"0" max:"1000000000000"`
	// The time they are counted in, to the minute.
	Window time.Duration `key:"window" default:"10m" min:"1m" max:"24h"`
	// `alert` tells of it; `suspend` also refuses its keys for `suspend_for`.
	Action string `key:"action" default:"alert" oneof:"alert suspend"`
	// How long they are suspended.
	SuspendFor time.Duration `key:"suspend_for" default:"1h" min:"1m" max:"720h"`
}

// AbuseIP is abuse from one address, as far as violations name it.
type AbuseIP struct {
	// Refusals of violations that name an address in `window` that are too many; `0` never are.
	Denials int64 `key:"denials" default:"100000" min:"0" max:"1000000000000"`
	// The time they are counted in, to the minute.
	Window time.Duration `key:"window" default:"10m" min:"1m" max:"24h"`
	// `alert` tells of it; `suspend` also refuses the keys it used for `suspend_for`.
	Action string `key:"action" default:"alert" oneof:"alert suspend"`
	// How long they are suspended.
	SuspendFor time.Duration `key:"suspend_for" default:"1h" min:"1m" max:"720h"`
}

// Outreach is when owners are told that they come near a quota.
type Outreach struct {
	// Whether they are told at all.
	Enabled bool `key:"enabled" default:"true"`
	// The percentages of a quota that they are told of, each once in a period.
	Thresholds []string `key:"thresholds" default:"80,100" format:"percent"`
}

// Access is who may use the management API.
type Access struct {
	// The first admin token of an empty database, for installations that cannot read `data/admin.header`. Best given as `VIVA_BOOTSTRAP_TOKEN_FILE`.
	BootstrapToken Secret `key:"bootstrap_token" default:"" format:"token" env:"VIVA_BOOTSTRAP_TOKEN"`
	// Failed authentications allowed to one client IP in `failed_auth_window`.
	FailedAuthLimit int `key:"failed_auth_limit" default:"30" min:"1" max:"1000000"`
	// The window of `failed_auth_limit`.
	FailedAuthWindow time.Duration `key:"failed_auth_window" default:"1m" min:"1s" max:"24h"`
	// How long it is kept who changed what.
	AuditKeep time.Duration `key:"audit_keep" default:"8760h" min:"24h" max:"87600h"`
}

// Metrics is what Prometheus is told. See [metrics](metrics.md).
type Metrics struct {
	// Whether `/metrics` answers.
	Enabled bool `key:"enabled" default:"true"`
	// Where it answers, without TLS; empty means at `server.addr`, or at `worker.addr` in a worker. Whoever reaches it can read it: it needs no token.
	Addr string `key:"addr" default:"" format:"hostport"`
}

// Tracing sends traces of requests and jobs to an OpenTelemetry collector. See [tracing](tracing.md).
type Tracing struct {
	// The collector that takes OTLP over HTTP; without a path, `/v1/traces` is meant. Empty traces nothing.
	Endpoint string `key:"endpoint" default:"" format:"collector"`
	// The share of requests and jobs that are traced. Where a caller sends `traceparent`, it decides.
	SampleRatio float64 `key:"sample_ratio" default:"0.01" min:"0" max:"1"`
	// Headers sent to the collector, such as a token.
	Headers Secret `key:"headers" default:"" format:"headers"`
	// What the service is called in traces.
	ServiceName string `key:"service_name" default:"viva" format:"name"`
	// How long sending may take: of a batch, and of what is left when the process stops. What is not taken by then is dropped.
	Timeout time.Duration `key:"timeout" default:"5s" min:"100ms" max:"1m"`
}

// Log is what the process says about itself.
type Log struct {
	// The least serious lines that are written. Each request has one at `info`, and each check at `debug`.
	Level string `key:"level" default:"info" oneof:"debug info warn error"`
	// `json`, `console` (for people), or `auto`: JSON where `environment` is `prod`.
	Format string `key:"format" default:"auto" oneof:"auto json console"`
}

// Server is the HTTP API.
type Server struct {
	// Where the API listens. Port 0 takes a free one.
	Addr string `key:"addr" default:"127.0.0.1:8080" format:"hostport"`
	// The longest that reading the headers of a request may take.
	ReadHeaderTimeout time.Duration `key:"read_header_timeout" default:"5s" min:"10ms" max:"1m"`
	// The longest that reading a whole request may take.
	ReadTimeout time.Duration `key:"read_timeout" default:"15s" min:"10ms" max:"10m"`
	// The longest that answering may take, from the end of the request's headers.
	WriteTimeout time.Duration `key:"write_timeout" default:"30s" min:"10ms" max:"10m"`
	// How long an idle connection is kept.
	IdleTimeout time.Duration `key:"idle_timeout" default:"2m" min:"1s" max:"1h"`
	// How long requests already taken may last after the process is told to stop.
	ShutdownTimeout time.Duration `key:"shutdown_timeout" default:"20s" min:"1s" max:"10m"`
	// The largest body of a request, in bytes.
	MaxBodyBytes int64 `key:"max_body_bytes" default:"1048576" min:"1024" max:"67108864"`
	// Proxies whose `X-Forwarded-For` is believed, as networks or addresses.
	TrustedProxies []netip.Prefix `key:"trusted_proxies" default:""`

	TLS             TLS             `key:"tls"`
	CORS            CORS            `key:"cors"`
	SecurityHeaders SecurityHeaders `key:"security_headers"`
	Docs            Docs            `key:"docs"`
}

// TLS serves HTTPS where both files are given.
type TLS struct {
	// The certificate chain, in PEM.
	CertFile string `key:"cert_file" default:"" format:"path"`
	// Its private key, in PEM.
	KeyFile string `key:"key_file" default:"" format:"path"`
}

// CORS lets pages of other origins call the API from a browser.
type CORS struct {
	// Origins such as `https://app.example.com`, or `*` for all. Empty sends no CORS headers.
	AllowedOrigins []string `key:"allowed_origins" default:"" format:"origin"`
	// Methods those pages may use.
	AllowedMethods []string `key:"allowed_methods" default:"GET,POST,PATCH,DELETE" format:"method"`
	// Request headers those pages may send.
	AllowedHeaders []string `key:"allowed_headers" default:"Authorization,Content-Type,Idempotency-Key,If-Match,X-Request-Id" format:"header"`
	// How long a browser may remember these answers.
	MaxAge time.Duration `key:"max_age" default:"10m" min:"0s" max:"24h"`
}

// SecurityHeaders are the answer headers that restrain browsers.
type SecurityHeaders struct {
	// Whether they are sent.
	Enabled bool `key:"enabled" default:"true"`
	// How long browsers must use HTTPS only (`Strict-Transport-Security`); `0s` sends no such header.
	HSTSMaxAge time.Duration `key:"hsts_max_age" default:"0s" min:"0s" max:"17520h"`
	// Whether that holds for subdomains too.
	HSTSIncludeSubdomains bool `key:"hsts_include_subdomains" default:"false"`
}

// Docs is the API documentation the server shows.
type Docs struct {
	// Whether `/docs` and `/openapi.json` are served.
	Enabled bool `key:"enabled" default:"true"`
}
