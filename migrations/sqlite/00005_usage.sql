-- Usage: what checks and reports add up to, and how far it is brought in.
-- None of it has foreign keys: the record outlives what it is about, and no record
-- is refused for the absence of anything.
-- BIGINT and INTEGER are the same to SQLite; they tell what PostgreSQL has. A sum
-- beyond 64 bits becomes a float in SQLite: where callers could bring one about, it
-- is refused, as PostgreSQL does.

-- +goose Up
-- Since when the owner is on its plan, or pinned to its version.
ALTER TABLE owners ADD COLUMN plan_since TIMESTAMP NOT NULL DEFAULT 0 CHECK (typeof(plan_since) = 'integer');
UPDATE owners SET plan_since = created_at;

-- Assignments of plan versions to owners, as far as they have usage.
CREATE TABLE usage_segments (
    id           TEXT      NOT NULL,
    owner_id     TEXT      NOT NULL,
    plan_id      TEXT      NOT NULL,
    plan_version INTEGER   NOT NULL,
    since        TIMESTAMP NOT NULL CHECK (typeof(since) = 'integer'),
    PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX usage_segments_owner_id_idx ON usage_segments (owner_id, since);

-- The truth of usage: what every check and report adds up to, in quarters of an hour.
CREATE TABLE usage_rollups (
    bucket         TIMESTAMP NOT NULL CHECK (typeof(bucket) = 'integer'),
    segment_id     TEXT      NOT NULL,
    api_key_id     TEXT      NOT NULL,
    endpoint       TEXT      NOT NULL,
    method         TEXT      NOT NULL,
    meter          TEXT      NOT NULL,
    owner_id       TEXT      NOT NULL,
    requests       BIGINT    NOT NULL,
    allowed        BIGINT    NOT NULL,
    denied_limit   BIGINT    NOT NULL,
    denied_quota   BIGINT    NOT NULL,
    denied_cost    BIGINT    NOT NULL,
    denied_key     BIGINT    NOT NULL,
    denied_access  BIGINT    NOT NULL,
    units          BIGINT    NOT NULL CHECK (typeof(units) = 'integer'),
    billable_units BIGINT    NOT NULL CHECK (typeof(billable_units) = 'integer'),
    reports        BIGINT    NOT NULL,
    status_2xx     BIGINT    NOT NULL,
    status_3xx     BIGINT    NOT NULL,
    status_4xx     BIGINT    NOT NULL,
    status_5xx     BIGINT    NOT NULL,
    bytes_in       BIGINT    NOT NULL CHECK (typeof(bytes_in) = 'integer'),
    bytes_out      BIGINT    NOT NULL CHECK (typeof(bytes_out) = 'integer'),
    PRIMARY KEY (api_key_id, bucket, segment_id, endpoint, method, meter)
) WITHOUT ROWID;
CREATE INDEX usage_rollups_owner_id_idx ON usage_rollups (owner_id, bucket);
CREATE INDEX usage_rollups_bucket_idx ON usage_rollups (bucket);
CREATE INDEX usage_rollups_unmerged_idx ON usage_rollups (bucket) WHERE endpoint <> 'other' OR method <> '';

-- Latencies of reports, counted in fixed buckets that add up.
CREATE TABLE usage_latencies (
    bucket     TIMESTAMP NOT NULL CHECK (typeof(bucket) = 'integer'),
    segment_id TEXT      NOT NULL,
    api_key_id TEXT      NOT NULL,
    endpoint   TEXT      NOT NULL,
    method     TEXT      NOT NULL,
    meter      TEXT      NOT NULL,
    owner_id   TEXT      NOT NULL,
    latency    INTEGER   NOT NULL,
    count      BIGINT    NOT NULL,
    PRIMARY KEY (api_key_id, bucket, segment_id, endpoint, method, meter, latency)
) WITHOUT ROWID;
CREATE INDEX usage_latencies_owner_id_idx ON usage_latencies (owner_id, bucket);
CREATE INDEX usage_latencies_bucket_idx ON usage_latencies (bucket);
CREATE INDEX usage_latencies_unmerged_idx ON usage_latencies (bucket) WHERE endpoint <> 'other' OR method <> '';

-- The same by hour, day and month of UTC, at all endpoints, for long ranges and for lists of the largest.
CREATE TABLE usage_totals (
    level          TEXT      NOT NULL,
    start          TIMESTAMP NOT NULL CHECK (typeof(start) = 'integer'),
    owner_id       TEXT      NOT NULL,
    api_key_id     TEXT      NOT NULL,
    meter          TEXT      NOT NULL,
    requests       BIGINT    NOT NULL,
    allowed        BIGINT    NOT NULL,
    denied_limit   BIGINT    NOT NULL,
    denied_quota   BIGINT    NOT NULL,
    denied_cost    BIGINT    NOT NULL,
    denied_key     BIGINT    NOT NULL,
    denied_access  BIGINT    NOT NULL,
    units          BIGINT    NOT NULL CHECK (typeof(units) = 'integer'),
    billable_units BIGINT    NOT NULL CHECK (typeof(billable_units) = 'integer'),
    reports        BIGINT    NOT NULL,
    status_2xx     BIGINT    NOT NULL,
    status_3xx     BIGINT    NOT NULL,
    status_4xx     BIGINT    NOT NULL,
    status_5xx     BIGINT    NOT NULL,
    bytes_in       BIGINT    NOT NULL CHECK (typeof(bytes_in) = 'integer'),
    bytes_out      BIGINT    NOT NULL CHECK (typeof(bytes_out) = 'integer'),
    PRIMARY KEY (api_key_id, level, start, owner_id, meter)
) WITHOUT ROWID;
CREATE INDEX usage_totals_start_idx ON usage_totals (level, start);
CREATE INDEX usage_totals_owner_id_idx ON usage_totals (owner_id, level, start);

-- The same of all keys together, in quarters of an hour.
CREATE TABLE usage_sums (
    bucket         TIMESTAMP NOT NULL CHECK (typeof(bucket) = 'integer'),
    meter          TEXT      NOT NULL,
    requests       BIGINT    NOT NULL,
    allowed        BIGINT    NOT NULL,
    denied_limit   BIGINT    NOT NULL,
    denied_quota   BIGINT    NOT NULL,
    denied_cost    BIGINT    NOT NULL,
    denied_key     BIGINT    NOT NULL,
    denied_access  BIGINT    NOT NULL,
    units          BIGINT    NOT NULL CHECK (typeof(units) = 'integer'),
    billable_units BIGINT    NOT NULL CHECK (typeof(billable_units) = 'integer'),
    reports        BIGINT    NOT NULL,
    status_2xx     BIGINT    NOT NULL,
    status_3xx     BIGINT    NOT NULL,
    status_4xx     BIGINT    NOT NULL,
    status_5xx     BIGINT    NOT NULL,
    bytes_in       BIGINT    NOT NULL CHECK (typeof(bytes_in) = 'integer'),
    bytes_out      BIGINT    NOT NULL CHECK (typeof(bytes_out) = 'integer'),
    PRIMARY KEY (bucket, meter)
) WITHOUT ROWID;

-- The endpoints of each key that are counted apart, numbered so that there is a last one.
CREATE TABLE usage_endpoints (
    api_key_id TEXT    NOT NULL,
    slot       INTEGER NOT NULL,
    endpoint   TEXT    NOT NULL,
    PRIMARY KEY (api_key_id, slot)
) WITHOUT ROWID;
CREATE UNIQUE INDEX usage_endpoints_endpoint_key ON usage_endpoints (api_key_id, endpoint);

-- What is spent from each quota in a period, to rebuild its counter from.
CREATE TABLE quota_totals (
    subject     TEXT      NOT NULL,
    rule        TEXT      NOT NULL,
    period      TEXT      NOT NULL,
    start       TIMESTAMP NOT NULL CHECK (typeof(start) = 'integer'),
    units       BIGINT    NOT NULL CHECK (typeof(units) = 'integer'),
    reset_units BIGINT    NOT NULL,
    PRIMARY KEY (subject, rule, period, start)
) WITHOUT ROWID;
CREATE INDEX quota_totals_start_idx ON quota_totals (start);

-- Checks that belong to no key.
CREATE TABLE installation_usage (
    bucket   TIMESTAMP NOT NULL CHECK (typeof(bucket) = 'integer'),
    kind     TEXT      NOT NULL,
    requests BIGINT    NOT NULL,
    allowed  BIGINT    NOT NULL,
    PRIMARY KEY (bucket, kind)
) WITHOUT ROWID;

-- When each key was last used, to the minute.
CREATE TABLE key_activity (
    api_key_id   TEXT      NOT NULL,
    last_used_at TIMESTAMP NOT NULL CHECK (typeof(last_used_at) = 'integer'),
    PRIMARY KEY (api_key_id)
) WITHOUT ROWID;

-- How far each stream of a journal is in the database.
CREATE TABLE ingest_cursors (
    stream_id  TEXT      NOT NULL,
    node       TEXT      NOT NULL,
    last_seq   BIGINT    NOT NULL,
    watermark  TIMESTAMP NOT NULL CHECK (typeof(watermark) = 'integer'),
    gaps       BIGINT    NOT NULL,
    drained_at TIMESTAMP CHECK (typeof(drained_at) IN ('integer', 'null')),
    lost_at    TIMESTAMP CHECK (typeof(lost_at) IN ('integer', 'null')),
    created_at TIMESTAMP NOT NULL CHECK (typeof(created_at) = 'integer'),
    updated_at TIMESTAMP NOT NULL CHECK (typeof(updated_at) = 'integer'),
    PRIMARY KEY (stream_id)
) WITHOUT ROWID;

-- Records that a stream lost.
CREATE TABLE ingest_gaps (
    stream_id TEXT      NOT NULL,
    from_seq  BIGINT    NOT NULL,
    to_seq    BIGINT    NOT NULL,
    found_at  TIMESTAMP NOT NULL CHECK (typeof(found_at) = 'integer'),
    PRIMARY KEY (stream_id, from_seq)
) WITHOUT ROWID;

-- Records that the database refused.
CREATE TABLE ingest_rejects (
    stream_id   TEXT      NOT NULL,
    seq         BIGINT    NOT NULL,
    reason      TEXT      NOT NULL,
    payload     BLOB      NOT NULL,
    rejected_at TIMESTAMP NOT NULL CHECK (typeof(rejected_at) = 'integer'),
    PRIMARY KEY (stream_id, seq)
) WITHOUT ROWID;

-- What was counted already, where the same may come again.
CREATE TABLE usage_event_ids (
    id TEXT      NOT NULL,
    at TIMESTAMP NOT NULL CHECK (typeof(at) = 'integer'),
    PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX usage_event_ids_at_idx ON usage_event_ids (at);

-- Which process asked for the work of a time, once.
CREATE TABLE job_ticks (
    kind       TEXT      NOT NULL,
    tick       TIMESTAMP NOT NULL CHECK (typeof(tick) = 'integer'),
    node       TEXT      NOT NULL,
    claimed_at TIMESTAMP NOT NULL CHECK (typeof(claimed_at) = 'integer'),
    PRIMARY KEY (kind, tick)
) WITHOUT ROWID;

-- Single checks and reports, for looking closely. No key is unique: the same request id may come twice.
CREATE TABLE usage_logs (
    at          TIMESTAMP NOT NULL CHECK (typeof(at) = 'integer'),
    request_id  TEXT      NOT NULL,
    kind        INTEGER   NOT NULL,
    owner_id    TEXT      NOT NULL,
    api_key_id  TEXT      NOT NULL,
    segment_id  TEXT      NOT NULL,
    code        TEXT      NOT NULL,
    allowed     BOOLEAN   NOT NULL CHECK (allowed IN (0, 1)),
    degraded    BOOLEAN   NOT NULL CHECK (degraded IN (0, 1)),
    replayed    BOOLEAN   NOT NULL CHECK (replayed IN (0, 1)),
    settle      BOOLEAN   NOT NULL CHECK (settle IN (0, 1)),
    method      TEXT      NOT NULL,
    endpoint    TEXT      NOT NULL,
    meter       TEXT      NOT NULL,
    units       BIGINT    NOT NULL,
    cost        BIGINT    NOT NULL,
    ip          TEXT      NOT NULL,
    user_agent  TEXT      NOT NULL,
    status      INTEGER   NOT NULL,
    latency_ms  BIGINT    NOT NULL,
    bytes_in    BIGINT    NOT NULL,
    bytes_out   BIGINT    NOT NULL,
    limits      TEXT      CHECK (json_valid(limits)),
    sample_rate DOUBLE    NOT NULL
);
CREATE INDEX usage_logs_api_key_id_idx ON usage_logs (api_key_id, at);
CREATE INDEX usage_logs_owner_id_idx ON usage_logs (owner_id, at);
CREATE INDEX usage_logs_request_id_idx ON usage_logs (request_id);
CREATE INDEX usage_logs_at_idx ON usage_logs (at);

-- Refusals by a rule, added up by key, rule, endpoint and minute.
CREATE TABLE rate_limit_violations (
    minute     TIMESTAMP NOT NULL CHECK (typeof(minute) = 'integer'),
    id         TEXT      NOT NULL,
    owner_id   TEXT      NOT NULL,
    api_key_id TEXT      NOT NULL,
    rule       TEXT      NOT NULL,
    code       TEXT      NOT NULL,
    endpoint   TEXT      NOT NULL,
    rule_limit BIGINT    NOT NULL,
    denials    BIGINT    NOT NULL,
    first_at   TIMESTAMP NOT NULL CHECK (typeof(first_at) = 'integer'),
    last_at    TIMESTAMP NOT NULL CHECK (typeof(last_at) = 'integer'),
    request_id TEXT      NOT NULL,
    ips        TEXT      CHECK (json_valid(ips)),
    agents     TEXT      CHECK (json_valid(agents)),
    PRIMARY KEY (minute, id)
) WITHOUT ROWID;
CREATE INDEX rate_limit_violations_api_key_id_idx ON rate_limit_violations (api_key_id, minute);
CREATE INDEX rate_limit_violations_owner_id_idx ON rate_limit_violations (owner_id, minute);

-- Whose personal data was erased, and when: what still comes from before is stored without it.
CREATE TABLE erasures (
    subject_kind TEXT      NOT NULL,
    subject_id   TEXT      NOT NULL,
    erased_at    TIMESTAMP NOT NULL CHECK (typeof(erased_at) = 'integer'),
    PRIMARY KEY (subject_kind, subject_id)
) WITHOUT ROWID;
CREATE INDEX erasures_erased_at_idx ON erasures (erased_at);

-- +goose Down
DROP TABLE erasures;
DROP TABLE rate_limit_violations;
DROP TABLE usage_logs;
DROP TABLE job_ticks;
DROP TABLE usage_event_ids;
DROP TABLE ingest_rejects;
DROP TABLE ingest_gaps;
DROP TABLE ingest_cursors;
DROP TABLE key_activity;
DROP TABLE installation_usage;
DROP TABLE quota_totals;
DROP TABLE usage_endpoints;
DROP TABLE usage_sums;
DROP TABLE usage_totals;
DROP TABLE usage_latencies;
DROP TABLE usage_rollups;
DROP TABLE usage_segments;
ALTER TABLE owners DROP COLUMN plan_since;
