-- Usage: what checks and reports add up to, and how far it is brought in.
-- None of it has foreign keys: the record outlives what it is about, and no record
-- is refused for the absence of anything.
-- Where rows are added to over and over, pages keep room for the next version of
-- each: put elsewhere, it would need a new entry in every index.

-- +goose Up
-- Since when the owner is on its plan, or pinned to its version.
ALTER TABLE owners ADD COLUMN plan_since timestamptz;
UPDATE owners SET plan_since = created_at;
ALTER TABLE owners ALTER COLUMN plan_since SET NOT NULL;

-- Assignments of plan versions to owners, as far as they have usage.
CREATE TABLE usage_segments (
    id           uuid        NOT NULL,
    owner_id     uuid        NOT NULL,
    plan_id      uuid        NOT NULL,
    plan_version integer     NOT NULL,
    since        timestamptz NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX usage_segments_owner_id_idx ON usage_segments (owner_id, since);

-- The truth of usage: what every check and report adds up to, in quarters of an hour.
CREATE TABLE usage_rollups (
    bucket         timestamptz NOT NULL,
    segment_id     uuid        NOT NULL,
    api_key_id     uuid        NOT NULL,
    endpoint       text        NOT NULL COLLATE "C",
    method         text        NOT NULL COLLATE "C",
    meter          text        NOT NULL COLLATE "C",
    owner_id       uuid        NOT NULL,
    requests       bigint      NOT NULL,
    allowed        bigint      NOT NULL,
    denied_limit   bigint      NOT NULL,
    denied_quota   bigint      NOT NULL,
    denied_cost    bigint      NOT NULL,
    denied_key     bigint      NOT NULL,
    denied_access  bigint      NOT NULL,
    units          bigint      NOT NULL,
    billable_units bigint      NOT NULL,
    reports        bigint      NOT NULL,
    status_2xx     bigint      NOT NULL,
    status_3xx     bigint      NOT NULL,
    status_4xx     bigint      NOT NULL,
    status_5xx     bigint      NOT NULL,
    bytes_in       bigint      NOT NULL,
    bytes_out      bigint      NOT NULL,
    PRIMARY KEY (api_key_id, bucket, segment_id, endpoint, method, meter)
) WITH (fillfactor = 70);
CREATE INDEX usage_rollups_owner_id_idx ON usage_rollups (owner_id, bucket);
CREATE INDEX usage_rollups_bucket_idx ON usage_rollups (bucket);
CREATE INDEX usage_rollups_unmerged_idx ON usage_rollups (bucket) WHERE endpoint <> 'other' OR method <> '';

-- Latencies of reports, counted in fixed buckets that add up.
CREATE TABLE usage_latencies (
    bucket     timestamptz NOT NULL,
    segment_id uuid        NOT NULL,
    api_key_id uuid        NOT NULL,
    endpoint   text        NOT NULL COLLATE "C",
    method     text        NOT NULL COLLATE "C",
    meter      text        NOT NULL COLLATE "C",
    owner_id   uuid        NOT NULL,
    latency    integer     NOT NULL,
    count      bigint      NOT NULL,
    PRIMARY KEY (api_key_id, bucket, segment_id, endpoint, method, meter, latency)
) WITH (fillfactor = 70);
CREATE INDEX usage_latencies_owner_id_idx ON usage_latencies (owner_id, bucket);
CREATE INDEX usage_latencies_bucket_idx ON usage_latencies (bucket);
CREATE INDEX usage_latencies_unmerged_idx ON usage_latencies (bucket) WHERE endpoint <> 'other' OR method <> '';

-- The same by hour, day and month of UTC, at all endpoints, for long ranges and for lists of the largest.
CREATE TABLE usage_totals (
    level          text        NOT NULL,
    start          timestamptz NOT NULL,
    owner_id       uuid        NOT NULL,
    api_key_id     uuid        NOT NULL,
    meter          text        NOT NULL COLLATE "C",
    requests       bigint      NOT NULL,
    allowed        bigint      NOT NULL,
    denied_limit   bigint      NOT NULL,
    denied_quota   bigint      NOT NULL,
    denied_cost    bigint      NOT NULL,
    denied_key     bigint      NOT NULL,
    denied_access  bigint      NOT NULL,
    units          bigint      NOT NULL,
    billable_units bigint      NOT NULL,
    reports        bigint      NOT NULL,
    status_2xx     bigint      NOT NULL,
    status_3xx     bigint      NOT NULL,
    status_4xx     bigint      NOT NULL,
    status_5xx     bigint      NOT NULL,
    bytes_in       bigint      NOT NULL,
    bytes_out      bigint      NOT NULL,
    PRIMARY KEY (api_key_id, level, start, owner_id, meter)
) WITH (fillfactor = 70);
CREATE INDEX usage_totals_start_idx ON usage_totals (level, start);
CREATE INDEX usage_totals_owner_id_idx ON usage_totals (owner_id, level, start);

-- The same of all keys together, in quarters of an hour.
CREATE TABLE usage_sums (
    bucket         timestamptz NOT NULL,
    meter          text        NOT NULL COLLATE "C",
    requests       bigint      NOT NULL,
    allowed        bigint      NOT NULL,
    denied_limit   bigint      NOT NULL,
    denied_quota   bigint      NOT NULL,
    denied_cost    bigint      NOT NULL,
    denied_key     bigint      NOT NULL,
    denied_access  bigint      NOT NULL,
    units          bigint      NOT NULL,
    billable_units bigint      NOT NULL,
    reports        bigint      NOT NULL,
    status_2xx     bigint      NOT NULL,
    status_3xx     bigint      NOT NULL,
    status_4xx     bigint      NOT NULL,
    status_5xx     bigint      NOT NULL,
    bytes_in       bigint      NOT NULL,
    bytes_out      bigint      NOT NULL,
    PRIMARY KEY (bucket, meter)
) WITH (fillfactor = 70);

-- The endpoints of each key that are counted apart, numbered so that there is a last one.
CREATE TABLE usage_endpoints (
    api_key_id uuid    NOT NULL,
    slot       integer NOT NULL,
    endpoint   text    NOT NULL COLLATE "C",
    PRIMARY KEY (api_key_id, slot)
);
CREATE UNIQUE INDEX usage_endpoints_endpoint_key ON usage_endpoints (api_key_id, endpoint);

-- What is spent from each quota in a period, to rebuild its counter from.
CREATE TABLE quota_totals (
    subject     text        NOT NULL COLLATE "C",
    rule        text        NOT NULL COLLATE "C",
    period      text        NOT NULL,
    start       timestamptz NOT NULL,
    units       bigint      NOT NULL,
    reset_units bigint      NOT NULL,
    PRIMARY KEY (subject, rule, period, start)
) WITH (fillfactor = 70);
CREATE INDEX quota_totals_start_idx ON quota_totals (start);

-- Checks that belong to no key.
CREATE TABLE installation_usage (
    bucket   timestamptz NOT NULL,
    kind     text        NOT NULL,
    requests bigint      NOT NULL,
    allowed  bigint      NOT NULL,
    PRIMARY KEY (bucket, kind)
) WITH (fillfactor = 70);

-- When each key was last used, to the minute.
CREATE TABLE key_activity (
    api_key_id   uuid        NOT NULL,
    last_used_at timestamptz NOT NULL,
    PRIMARY KEY (api_key_id)
) WITH (fillfactor = 70);

-- How far each stream of a journal is in the database.
CREATE TABLE ingest_cursors (
    stream_id  uuid        NOT NULL,
    node       text        NOT NULL,
    last_seq   bigint      NOT NULL,
    watermark  timestamptz NOT NULL,
    gaps       bigint      NOT NULL,
    drained_at timestamptz,
    lost_at    timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (stream_id)
) WITH (fillfactor = 70);

-- Records that a stream lost.
CREATE TABLE ingest_gaps (
    stream_id uuid        NOT NULL,
    from_seq  bigint      NOT NULL,
    to_seq    bigint      NOT NULL,
    found_at  timestamptz NOT NULL,
    PRIMARY KEY (stream_id, from_seq)
);

-- Records that the database refused.
CREATE TABLE ingest_rejects (
    stream_id   uuid        NOT NULL,
    seq         bigint      NOT NULL,
    reason      text        NOT NULL,
    payload     bytea       NOT NULL,
    rejected_at timestamptz NOT NULL,
    PRIMARY KEY (stream_id, seq)
);

-- What was counted already, where the same may come again.
CREATE TABLE usage_event_ids (
    id uuid        NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX usage_event_ids_at_idx ON usage_event_ids (at);

-- Which process asked for the work of a time, once.
CREATE TABLE job_ticks (
    kind       text        NOT NULL,
    tick       timestamptz NOT NULL,
    node       text        NOT NULL,
    claimed_at timestamptz NOT NULL,
    PRIMARY KEY (kind, tick)
);

-- Single checks and reports, for looking closely. No key is unique: the same request id may come twice.
CREATE TABLE usage_logs (
    at          timestamptz      NOT NULL,
    request_id  text             NOT NULL,
    kind        integer          NOT NULL,
    owner_id    uuid             NOT NULL,
    api_key_id  uuid             NOT NULL,
    segment_id  uuid             NOT NULL,
    code        text             NOT NULL,
    allowed     boolean          NOT NULL,
    degraded    boolean          NOT NULL,
    replayed    boolean          NOT NULL,
    settle      boolean          NOT NULL,
    method      text             NOT NULL COLLATE "C",
    endpoint    text             NOT NULL COLLATE "C",
    meter       text             NOT NULL COLLATE "C",
    units       bigint           NOT NULL,
    cost        bigint           NOT NULL,
    ip          text             NOT NULL,
    user_agent  text             NOT NULL,
    status      integer          NOT NULL,
    latency_ms  bigint           NOT NULL,
    bytes_in    bigint           NOT NULL,
    bytes_out   bigint           NOT NULL,
    limits      jsonb,
    sample_rate double precision NOT NULL
) PARTITION BY RANGE (at);
CREATE TABLE usage_logs_default PARTITION OF usage_logs DEFAULT;
CREATE INDEX usage_logs_api_key_id_idx ON usage_logs (api_key_id, at);
CREATE INDEX usage_logs_owner_id_idx ON usage_logs (owner_id, at);
CREATE INDEX usage_logs_request_id_idx ON usage_logs (request_id);
CREATE INDEX usage_logs_at_idx ON usage_logs (at);

-- Refusals by a rule, added up by key, rule, endpoint and minute.
CREATE TABLE rate_limit_violations (
    minute     timestamptz NOT NULL,
    id         uuid        NOT NULL,
    owner_id   uuid        NOT NULL,
    api_key_id uuid        NOT NULL,
    rule       text        NOT NULL COLLATE "C",
    code       text        NOT NULL,
    endpoint   text        NOT NULL COLLATE "C",
    rule_limit bigint      NOT NULL,
    denials    bigint      NOT NULL,
    first_at   timestamptz NOT NULL,
    last_at    timestamptz NOT NULL,
    request_id text        NOT NULL,
    ips        jsonb,
    agents     jsonb,
    PRIMARY KEY (minute, id)
) PARTITION BY RANGE (minute);
CREATE TABLE rate_limit_violations_default PARTITION OF rate_limit_violations DEFAULT;
CREATE INDEX rate_limit_violations_api_key_id_idx ON rate_limit_violations (api_key_id, minute);
CREATE INDEX rate_limit_violations_owner_id_idx ON rate_limit_violations (owner_id, minute);

-- Whose personal data was erased, and when: what still comes from before is stored without it.
CREATE TABLE erasures (
    subject_kind text        NOT NULL,
    subject_id   uuid        NOT NULL,
    erased_at    timestamptz NOT NULL,
    PRIMARY KEY (subject_kind, subject_id)
);
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
