-- Rules of alerts, alerts, and the times in which none are told.
-- Alerts have no foreign keys: the record outlives what it is about.

-- +goose Up
CREATE TABLE alert_rules (
    id               TEXT      NOT NULL PRIMARY KEY,
    name             TEXT      NOT NULL,
    kind             TEXT      NOT NULL,
    severity         TEXT      NOT NULL,
    enabled          BOOLEAN   NOT NULL CHECK (enabled IN (0, 1)),
    params           TEXT      NOT NULL CHECK (json_valid(params)),
    owner_id         TEXT,
    key_id           TEXT,
    plan_id          TEXT,
    for_ns           BIGINT    NOT NULL,
    resolve_after_ns BIGINT    NOT NULL,
    repeat_every_ns  BIGINT    NOT NULL,
    destinations     TEXT      CHECK (json_valid(destinations)),
    rest             BIGINT    NOT NULL DEFAULT 0,
    bursts           BIGINT    NOT NULL DEFAULT 0,
    checked_at       TIMESTAMP CHECK (typeof(checked_at) IN ('integer', 'null')),
    version          INTEGER   NOT NULL CHECK (version >= 1),
    created_at       TIMESTAMP NOT NULL CHECK (typeof(created_at) = 'integer'),
    updated_at       TIMESTAMP NOT NULL CHECK (typeof(updated_at) = 'integer')
);
CREATE UNIQUE INDEX alert_rules_name_key ON alert_rules (name);
CREATE INDEX alert_rules_created_at_idx ON alert_rules (created_at, id);

CREATE TABLE alerts (
    id               TEXT      NOT NULL PRIMARY KEY,
    rule_id          TEXT      NOT NULL,
    rule_name        TEXT      NOT NULL,
    kind             TEXT      NOT NULL,
    severity         TEXT      NOT NULL,
    fingerprint      TEXT      NOT NULL,
    subject          TEXT      NOT NULL,
    owner_id         TEXT,
    key_id           TEXT,
    quota            TEXT      NOT NULL,
    period           TEXT      NOT NULL,
    period_start     TIMESTAMP CHECK (typeof(period_start) IN ('integer', 'null')),
    period_end       TIMESTAMP CHECK (typeof(period_end) IN ('integer', 'null')),
    state            TEXT      NOT NULL,
    live             BOOLEAN   NOT NULL CHECK (live IN (0, 1)),
    value            DOUBLE    NOT NULL,
    threshold        DOUBLE    NOT NULL,
    text             TEXT      NOT NULL,
    fired_at         TIMESTAMP CHECK (typeof(fired_at) IN ('integer', 'null')),
    seen_at          TIMESTAMP NOT NULL CHECK (typeof(seen_at) = 'integer'),
    cleared_at       TIMESTAMP CHECK (typeof(cleared_at) IN ('integer', 'null')),
    crossing         INTEGER   NOT NULL,
    told             INTEGER   NOT NULL,
    repeats          INTEGER   NOT NULL,
    told_at          TIMESTAMP CHECK (typeof(told_at) IN ('integer', 'null')),
    acknowledged_at  TIMESTAMP CHECK (typeof(acknowledged_at) IN ('integer', 'null')),
    suppressed_until TIMESTAMP CHECK (typeof(suppressed_until) IN ('integer', 'null')),
    resolved_at      TIMESTAMP CHECK (typeof(resolved_at) IN ('integer', 'null')),
    resolution       TEXT      NOT NULL,
    note             TEXT      NOT NULL,
    note_by          TEXT      NOT NULL,
    version          INTEGER   NOT NULL CHECK (version >= 1),
    created_at       TIMESTAMP NOT NULL CHECK (typeof(created_at) = 'integer'),
    updated_at       TIMESTAMP NOT NULL CHECK (typeof(updated_at) = 'integer')
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
    id               TEXT      NOT NULL PRIMARY KEY,
    name             TEXT      NOT NULL,
    starts_at        TIMESTAMP NOT NULL CHECK (typeof(starts_at) = 'integer'),
    ends_at          TIMESTAMP NOT NULL CHECK (typeof(ends_at) = 'integer'),
    rules            TEXT      CHECK (json_valid(rules)),
    owner_id         TEXT,
    version          INTEGER   NOT NULL CHECK (version >= 1),
    created_at       TIMESTAMP NOT NULL CHECK (typeof(created_at) = 'integer'),
    updated_at       TIMESTAMP NOT NULL CHECK (typeof(updated_at) = 'integer')
);
CREATE INDEX maintenance_windows_created_at_idx ON maintenance_windows (created_at, id);
CREATE INDEX maintenance_windows_ends_at_idx ON maintenance_windows (ends_at);

-- Most calls succeed: rates of errors are added up for those with errors alone.
CREATE INDEX usage_rollups_errors_idx ON usage_rollups (bucket) WHERE status_4xx > 0 OR status_5xx > 0;

-- Rules to begin with. Who does not want them deletes them.
INSERT INTO alert_rules (id, name, kind, severity, enabled, params, for_ns, resolve_after_ns, repeat_every_ns, version, created_at, updated_at)
VALUES
    ('00000000-0000-7000-8000-0000000a1e80', 'quota-80', 'quota', 'warning', 1,
        '{"percent": 80}', 0, 0, 0, 1, CAST(unixepoch('subsec') * 1000000 AS INTEGER), CAST(unixepoch('subsec') * 1000000 AS INTEGER)),
    ('00000000-0000-7000-8000-000000a1e100', 'quota-100', 'quota', 'critical', 1,
        '{"percent": 100}', 0, 0, 0, 1, CAST(unixepoch('subsec') * 1000000 AS INTEGER), CAST(unixepoch('subsec') * 1000000 AS INTEGER)),
    ('00000000-0000-7000-8000-000000a1e500', 'system-health', 'system', 'critical', 1,
        '{"failed_jobs": true, "ingestion_lag_ms": 300000, "ingest_losses": true, "window_ms": 3600000, "destinations_disabled": true}',
        0, 300000000000, 14400000000000, 1, CAST(unixepoch('subsec') * 1000000 AS INTEGER), CAST(unixepoch('subsec') * 1000000 AS INTEGER));

-- +goose Down
DROP INDEX usage_rollups_errors_idx;
DROP TABLE maintenance_windows;
DROP TABLE alerts;
DROP TABLE alert_rules;
