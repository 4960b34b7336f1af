-- What processes tell each other, and answers kept to be given again.

-- +goose Up
-- Ids are given in order but commit out of order: readers go back a few seconds
-- by created_at, the clock of the database, which is one for all of them.
CREATE TABLE invalidations (
    id         bigint      NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject    text        NOT NULL,
    version    bigint      NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX invalidations_created_at_idx ON invalidations (created_at);

CREATE TABLE idempotency_records (
    id           text        NOT NULL PRIMARY KEY,
    request_hash text        NOT NULL,
    status       integer     NOT NULL,
    response     bytea,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL
);
CREATE INDEX idempotency_records_expires_at_idx ON idempotency_records (expires_at);

-- +goose Down
DROP TABLE idempotency_records;
DROP TABLE invalidations;
