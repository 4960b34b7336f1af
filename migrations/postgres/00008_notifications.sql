-- Where notifications go, what went there, and how each try ended.

-- +goose Up
CREATE TABLE destinations (
    id                    uuid        NOT NULL PRIMARY KEY,
    name                  text        NOT NULL COLLATE "C",
    type                  text        NOT NULL,
    url                   text        NOT NULL,
    headers               jsonb,
    recipients            jsonb,
    to_owner              boolean     NOT NULL,
    events                jsonb,
    min_severity          text        NOT NULL,
    rate_per_minute       integer     NOT NULL CHECK (rate_per_minute >= 1),
    secret                text        NOT NULL,
    secret_previous       text        NOT NULL,
    secret_previous_until timestamptz,
    disabled_at           timestamptz,
    disabled_reason       text        NOT NULL,
    failing_since         timestamptz,
    version               bigint      NOT NULL CHECK (version >= 1),
    created_at            timestamptz NOT NULL,
    updated_at            timestamptz NOT NULL
);
CREATE UNIQUE INDEX destinations_name_key ON destinations (name);
CREATE INDEX destinations_created_at_idx ON destinations (created_at, id);

-- No key leads from here to destinations: what was sent is kept a while longer
-- than where it went.
CREATE TABLE deliveries (
    id             uuid        NOT NULL PRIMARY KEY,
    destination_id uuid        NOT NULL,
    owner_id       uuid,
    recipient      text        NOT NULL,
    origin_id      uuid,
    state          text        NOT NULL,
    message        jsonb       NOT NULL,
    attempts       integer     NOT NULL CHECK (attempts >= 0),
    next_at        timestamptz,
    claimed_until  timestamptz,
    finished_at    timestamptz,
    created_at     timestamptz NOT NULL
);
CREATE INDEX deliveries_created_at_idx ON deliveries (created_at, id);
CREATE INDEX deliveries_destination_idx ON deliveries (destination_id, created_at, id);
CREATE INDEX deliveries_state_idx ON deliveries (state, created_at, id);
CREATE INDEX deliveries_pending_idx ON deliveries (destination_id, recipient) WHERE state = 'pending';
CREATE INDEX deliveries_finished_at_idx ON deliveries (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX deliveries_owner_idx ON deliveries (owner_id) WHERE owner_id IS NOT NULL;

CREATE TABLE delivery_attempts (
    delivery_id    uuid        NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    number         integer     NOT NULL CHECK (number >= 1),
    destination_id uuid        NOT NULL,
    at             timestamptz NOT NULL,
    done_at        timestamptz,
    took_ms        bigint      NOT NULL,
    delivered      boolean     NOT NULL,
    status         integer     NOT NULL,
    request        text        NOT NULL,
    response       text        NOT NULL,
    error          text        NOT NULL,
    PRIMARY KEY (delivery_id, number)
);
CREATE INDEX delivery_attempts_rate_idx ON delivery_attempts (destination_id, at);

-- +goose Down
DROP TABLE delivery_attempts;
DROP TABLE deliveries;
DROP TABLE destinations;
