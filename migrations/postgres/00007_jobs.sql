-- Work that is due, and what is to be told.

-- +goose Up
CREATE TABLE jobs (
    kind       text        NOT NULL,
    subject    text        NOT NULL COLLATE "C",
    generation bigint      NOT NULL,
    due_at     timestamptz NOT NULL,
    sent_at    timestamptz,
    failures   integer     NOT NULL DEFAULT 0,
    last_error text        NOT NULL DEFAULT '',
    failed_at  timestamptz,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (kind, subject)
) WITH (fillfactor = 70);
-- What is to be put into the queue, and what stands there for how long: neither reads the other.
CREATE INDEX jobs_unsent_idx ON jobs (due_at) WHERE sent_at IS NULL AND failed_at IS NULL;
CREATE INDEX jobs_sent_at_idx ON jobs (sent_at) WHERE failed_at IS NULL;
CREATE INDEX jobs_failed_at_idx ON jobs (failed_at) WHERE failed_at IS NOT NULL;

CREATE TABLE notices (
    id           uuid        NOT NULL PRIMARY KEY,
    dedup_key    text        NOT NULL COLLATE "C",
    event        jsonb       NOT NULL,
    destinations jsonb,
    created_at   timestamptz NOT NULL,
    planned_at   timestamptz
);
CREATE UNIQUE INDEX notices_dedup_key_key ON notices (dedup_key);
CREATE INDEX notices_unplanned_idx ON notices (created_at) WHERE planned_at IS NULL;
CREATE INDEX notices_planned_at_idx ON notices (planned_at);

-- +goose Down
DROP TABLE notices;
DROP TABLE jobs;
