-- Work that is due, and what is to be told.

-- +goose Up
CREATE TABLE jobs (
    kind       TEXT      NOT NULL,
    subject    TEXT      NOT NULL,
    generation BIGINT    NOT NULL,
    due_at     TIMESTAMP NOT NULL CHECK (typeof(due_at) = 'integer'),
    sent_at    TIMESTAMP CHECK (typeof(sent_at) IN ('integer', 'null')),
    failures   INTEGER   NOT NULL DEFAULT 0,
    last_error TEXT      NOT NULL DEFAULT '',
    failed_at  TIMESTAMP CHECK (typeof(failed_at) IN ('integer', 'null')),
    created_at TIMESTAMP NOT NULL CHECK (typeof(created_at) = 'integer'),
    PRIMARY KEY (kind, subject)
) WITHOUT ROWID;
-- What is to be put into the queue, and what stands there for how long: neither reads the other.
CREATE INDEX jobs_unsent_idx ON jobs (due_at) WHERE sent_at IS NULL AND failed_at IS NULL;
CREATE INDEX jobs_sent_at_idx ON jobs (sent_at) WHERE failed_at IS NULL;
CREATE INDEX jobs_failed_at_idx ON jobs (failed_at) WHERE failed_at IS NOT NULL;

CREATE TABLE notices (
    id           TEXT      NOT NULL PRIMARY KEY,
    dedup_key    TEXT      NOT NULL,
    event        TEXT      NOT NULL CHECK (json_valid(event)),
    destinations TEXT      CHECK (json_valid(destinations)),
    created_at   TIMESTAMP NOT NULL CHECK (typeof(created_at) = 'integer'),
    planned_at   TIMESTAMP CHECK (typeof(planned_at) IN ('integer', 'null'))
);
CREATE UNIQUE INDEX notices_dedup_key_key ON notices (dedup_key);
CREATE INDEX notices_unplanned_idx ON notices (created_at) WHERE planned_at IS NULL;
CREATE INDEX notices_planned_at_idx ON notices (planned_at);

-- +goose Down
DROP TABLE notices;
DROP TABLE jobs;
