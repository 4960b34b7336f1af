-- What processes tell each other, and answers kept to be given again.

-- +goose Up
-- AUTOINCREMENT: the ids of pruned rows are never given again.
CREATE TABLE invalidations (
    id         INTEGER   NOT NULL PRIMARY KEY AUTOINCREMENT,
    subject    TEXT      NOT NULL,
    version    INTEGER   NOT NULL,
    created_at TIMESTAMP NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER))
        CHECK (typeof(created_at) = 'integer')
);
CREATE INDEX invalidations_created_at_idx ON invalidations (created_at);

CREATE TABLE idempotency_records (
    id           TEXT      NOT NULL PRIMARY KEY,
    request_hash TEXT      NOT NULL,
    status       INTEGER   NOT NULL,
    response     BLOB,
    created_at   TIMESTAMP NOT NULL CHECK (typeof(created_at) = 'integer'),
    expires_at   TIMESTAMP NOT NULL CHECK (typeof(expires_at) = 'integer')
);
CREATE INDEX idempotency_records_expires_at_idx ON idempotency_records (expires_at);

-- +goose Down
DROP TABLE idempotency_records;
DROP TABLE invalidations;
