-- Who may use the management API, and what was changed through it.

-- +goose Up
CREATE TABLE access_tokens (
    id         uuid        NOT NULL PRIMARY KEY,
    name       text        NOT NULL COLLATE "C",
    hash       bytea       NOT NULL CHECK (length(hash) = 32),
    mask       text        NOT NULL,
    scopes     jsonb,
    expires_at timestamptz,
    revoked_at timestamptz,
    version    bigint      NOT NULL CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX access_tokens_hash_key ON access_tokens (hash);
CREATE INDEX access_tokens_created_at_idx ON access_tokens (created_at, id);
CREATE INDEX access_tokens_name_idx ON access_tokens (name, id);

-- Objects are named by text, without foreign keys: the record outlives them.
CREATE TABLE audit_logs (
    id           uuid        NOT NULL PRIMARY KEY,
    at           timestamptz NOT NULL,
    actor_kind   text        NOT NULL,
    actor_id     text        NOT NULL,
    actor_name   text        NOT NULL,
    action       text        NOT NULL,
    object_kind  text        NOT NULL,
    object_id    text        NOT NULL,
    before_state jsonb,
    after_state  jsonb,
    ip           text        NOT NULL,
    request_id   text        NOT NULL
);
CREATE INDEX audit_logs_at_idx ON audit_logs (at, id);
CREATE INDEX audit_logs_object_kind_idx ON audit_logs (object_kind, at, id);
CREATE INDEX audit_logs_object_id_idx ON audit_logs (object_id, at, id);
CREATE INDEX audit_logs_actor_id_idx ON audit_logs (actor_id, at, id);
CREATE INDEX audit_logs_action_idx ON audit_logs (action, at, id);

-- +goose Down
DROP TABLE audit_logs;
DROP TABLE access_tokens;
