-- Rules of alerts, alerts, and the times in which none are told.
-- Alerts have no foreign keys: the record outlives what it is about.

-- +goose Up
CREATE TABLE alert_rules (
    id               uuid        NOT NULL PRIMARY KEY,
    name             text        NOT NULL COLLATE "C",
    kind             text        NOT NULL,
    severity         text        NOT NULL,
    enabled          boolean     NOT NULL,
    params           jsonb       NOT NULL,
    owner_id         uuid,
    key_id           uuid,
    plan_id          uuid,
    for_ns           bigint      NOT NULL,
    resolve_after_ns bigint      NOT NULL,
    repeat_every_ns  bigint      NOT NULL,
    destinations     jsonb,
    rest             bigint      NOT NULL DEFAULT 0,
    bursts           bigint      NOT NULL DEFAULT 0,
    checked_at       timestamptz,
    version          bigint      NOT NULL CHECK (version >= 1),
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL
);
CREATE UNIQUE INDEX alert_rules_name_key ON alert_rules (name);
CREATE INDEX alert_rules_created_at_idx ON alert_rules (created_at, id);

CREATE TABLE alerts (
    id               uuid             NOT NULL PRIMARY KEY,
    rule_id          uuid             NOT NULL,
    rule_name        text             NOT NULL,
    kind             text             NOT NULL,
    severity         text             NOT NULL,
    fingerprint      text             NOT NULL COLLATE "C",
    subject          text             NOT NULL,
    owner_id         uuid,
    key_id           uuid,
    quota            text             NOT NULL,
    period           text             NOT NULL,
    period_start     timestamptz,
    period_end       timestamptz,
    state            text             NOT NULL,
    live             boolean          NOT NULL,
    value            double precision NOT NULL,
    threshold        double precision NOT NULL,
    text             text             NOT NULL,
    fired_at         timestamptz,
    seen_at          timestamptz      NOT NULL,
    cleared_at       timestamptz,
    crossing         integer          NOT NULL,
    told             integer          NOT NULL,
    repeats          integer          NOT NULL,
    told_at          timestamptz,
    acknowledged_at  timestamptz,
    suppressed_until timestamptz,
    resolved_at      timestamptz,
    resolution       text             NOT NULL,
    note             text             NOT NULL,
    note_by          text             NOT NULL,
    version          bigint           NOT NULL CHECK (version >= 1),
    created_at       timestamptz      NOT NULL,
    updated_at       timestamptz      NOT NULL
);
-- One alert of a cause at a time, whoever finds it.
CREATE UNIQUE INDEX alerts_fingerprint_key ON alerts (fingerprint) WHERE live;
CREATE INDEX alerts_live_idx ON alerts (rule_id, fingerprint) WHERE live;
CREATE INDEX alerts_created_at_idx ON alerts (created_at, id);
CREATE INDEX alerts_owner_id_idx ON alerts (owner_id, created_at);
CREATE INDEX alerts_key_id_idx ON alerts (key_id, created_at);
CREATE INDEX alerts_resolved_at_idx ON alerts (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX alerts_rule_id_idx ON alerts (rule_id, created_at);

CREATE TABLE maintenance_windows (
    id         uuid        NOT NULL PRIMARY KEY,
    name       text        NOT NULL COLLATE "C",
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    rules      jsonb,
    owner_id   uuid,
    version    bigint      NOT NULL CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX maintenance_windows_created_at_idx ON maintenance_windows (created_at, id);
CREATE INDEX maintenance_windows_ends_at_idx ON maintenance_windows (ends_at);

-- Most calls succeed: rates of errors are added up for those with errors alone.
CREATE INDEX usage_rollups_errors_idx ON usage_rollups (bucket) WHERE status_4xx > 0 OR status_5xx > 0;

-- Rules to begin with. Who does not want them deletes them.
INSERT INTO alert_rules (id, name, kind, severity, enabled, params, for_ns, resolve_after_ns, repeat_every_ns, version, created_at, updated_at)
VALUES
    ('00000000-0000-7000-8000-0000000a1e80', 'quota-80', 'quota', 'warning', true,
        '{"percent": 80}', 0, 0, 0, 1, now(), now()),
    ('00000000-0000-7000-8000-000000a1e100', 'quota-100', 'quota', 'critical', true,
        '{"percent": 100}', 0, 0, 0, 1, now(), now()),
    ('00000000-0000-7000-8000-000000a1e500', 'system-health', 'system', 'critical', true,
        '{"failed_jobs": true, "ingestion_lag_ms": 300000, "ingest_losses": true, "window_ms": 3600000, "destinations_disabled": true}',
        0, 300000000000, 14400000000000, 1, now(), now());

-- +goose Down
DROP INDEX usage_rollups_errors_idx;
DROP TABLE maintenance_windows;
DROP TABLE alerts;
DROP TABLE alert_rules;
