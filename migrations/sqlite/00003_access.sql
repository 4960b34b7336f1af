-- Who may use the management API, and what was changed through it.

-- +goose Up
CREATE TABLE access_tokens (
    id         TEXT      NOT NULL PRIMARY KEY,
    name       TEXT      NOT NULL,
    hash       BLOB      NOT NULL CHECK (typeof(hash) = 'blob' AND length(hash) = 32),
    mask       TEXT      NOT NULL,
    scopes     TEXT      CHECK (json_valid(scopes)),
    expires_at TIMESTAMP CHECK (typeof(expires_at) IN ('integer', 'null')),
    revoked_at TIMESTAMP CHECK (typeof(revoked_at) IN ('integer', 'null')),
    version    INTEGER   NOT NULL CHECK (version >= 1),
    created_at TIMESTAMP NOT NULL CHECK (typeof(created_at) = 'integer'),
    updated_at TIMESTAMP NOT NULL CHECK (typeof(updated_at) = 'integer')
);
CREATE UNIQUE INDEX access_tokens_hash_key ON access_tokens (hash);
CREATE INDEX access_tokens_created_at_idx ON access_tokens (created_at, id);
CREATE INDEX access_tokens_name_idx ON access_tokens (name, id);

-- Objects are named by text, without foreign keys: the record outlives them.
CREATE TABLE audit_logs (
    id           TEXT      NOT NULL PRIMARY KEY,
    at           TIMESTAMP NOT NULL CHECK (typeof(at) = 'integer'),
    actor_kind   TEXT      NOT NULL,
    actor_id     TEXT      NOT NULL,
    actor_name   TEXT      NOT NULL,
    action       TEXT      NOT NULL,
    object_kind  TEXT      NOT NULL,
    object_id    TEXT      NOT NULL,
    before_state TEXT      CHECK (json_valid(before_state)),
    after_state  TEXT      CHECK (json_valid(after_state)),
    ip           TEXT      NOT NULL,
    request_id   TEXT      NOT NULL
);
CREATE INDEX audit_logs_at_idx ON audit_logs (at, id);
CREATE INDEX audit_logs_object_kind_idx ON audit_logs (object_kind, at, id);
CREATE INDEX audit_logs_object_id_idx ON audit_logs (object_id, at, id);
CREATE INDEX audit_logs_actor_id_idx ON audit_logs (actor_id, at, id);
CREATE INDEX audit_logs_action_idx ON audit_logs (action, at, id);

-- +goose Down
DROP TABLE audit_logs;
DROP TABLE access_tokens;
