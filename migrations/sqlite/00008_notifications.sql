-- Where notifications go, what went there, and how each try ended.

-- +goose Up
CREATE TABLE destinations (
    id                    TEXT      NOT NULL PRIMARY KEY,
    name                  TEXT      NOT NULL,
    type                  TEXT      NOT NULL,
    url                   TEXT      NOT NULL,
    headers               TEXT      CHECK (json_valid(headers)),
    recipients            TEXT      CHECK (json_valid(recipients)),
    to_owner              BOOLEAN   NOT NULL CHECK (to_owner IN (0, 1)),
    events                TEXT      CHECK (json_valid(events)),
    min_severity          TEXT      NOT NULL,
    rate_per_minute       INTEGER   NOT NULL CHECK (rate_per_minute >= 1),
    secret                TEXT      NOT NULL,
    secret_previous       TEXT      NOT NULL,
    secret_previous_until TIMESTAMP CHECK (typeof(secret_previous_until) IN ('integer', 'null')),
    disabled_at           TIMESTAMP CHECK (typeof(disabled_at) IN ('integer', 'null')),
    disabled_reason       TEXT      NOT NULL,
    failing_since         TIMESTAMP CHECK (typeof(failing_since) IN ('integer', 'null')),
    version               INTEGER   NOT NULL CHECK (version >= 1),
    created_at            TIMESTAMP NOT NULL CHECK (typeof(created_at) = 'integer'),
    updated_at            TIMESTAMP NOT NULL CHECK (typeof(updated_at) = 'integer')
);
CREATE UNIQUE INDEX destinations_name_key ON destinations (name);
CREATE INDEX destinations_created_at_idx ON destinations (created_at, id);

-- No key leads from here to destinations: what was sent is kept a while longer
-- than where it went.
CREATE TABLE deliveries (
    id             TEXT      NOT NULL PRIMARY KEY,
    destination_id TEXT      NOT NULL,
    owner_id       TEXT,
    recipient      TEXT      NOT NULL,
    origin_id      TEXT,
    state          TEXT      NOT NULL,
    message        TEXT      NOT NULL CHECK (json_valid(message)),
    attempts       INTEGER   NOT NULL CHECK (attempts >= 0),
    next_at        TIMESTAMP CHECK (typeof(next_at) IN ('integer', 'null')),
    claimed_until  TIMESTAMP CHECK (typeof(claimed_until) IN ('integer', 'null')),
    finished_at    TIMESTAMP CHECK (typeof(finished_at) IN ('integer', 'null')),
    created_at     TIMESTAMP NOT NULL CHECK (typeof(created_at) = 'integer')
);
CREATE INDEX deliveries_created_at_idx ON deliveries (created_at, id);
CREATE INDEX deliveries_destination_idx ON deliveries (destination_id, created_at, id);
CREATE INDEX deliveries_state_idx ON deliveries (state, created_at, id);
CREATE INDEX deliveries_pending_idx ON deliveries (destination_id, recipient) WHERE state = 'pending';
CREATE INDEX deliveries_finished_at_idx ON deliveries (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX deliveries_owner_idx ON deliveries (owner_id) WHERE owner_id IS NOT NULL;

CREATE TABLE delivery_attempts (
    delivery_id    TEXT      NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    number         INTEGER   NOT NULL CHECK (number >= 1),
    destination_id TEXT      NOT NULL,
    at             TIMESTAMP NOT NULL CHECK (typeof(at) = 'integer'),
    done_at        TIMESTAMP CHECK (typeof(done_at) IN ('integer', 'null')),
    took_ms        BIGINT    NOT NULL,
    delivered      BOOLEAN   NOT NULL CHECK (delivered IN (0, 1)),
    status         INTEGER   NOT NULL,
    request        TEXT      NOT NULL,
    response       TEXT      NOT NULL,
    error          TEXT      NOT NULL,
    PRIMARY KEY (delivery_id, number)
) WITHOUT ROWID;
CREATE INDEX delivery_attempts_rate_idx ON delivery_attempts (destination_id, at);

-- +goose Down
DROP TABLE delivery_attempts;
DROP TABLE deliveries;
DROP TABLE destinations;
