-- Keys and the secrets that open them.

-- +goose Up
CREATE TABLE api_keys (
    id              TEXT      NOT NULL PRIMARY KEY,
    keyspace_id     TEXT      NOT NULL REFERENCES keyspaces (id) ON DELETE RESTRICT,
    owner_id        TEXT      NOT NULL REFERENCES owners (id) ON DELETE RESTRICT,
    name            TEXT      NOT NULL,
    environment     TEXT      NOT NULL CHECK (environment IN ('live', 'test')),
    expires_at      TIMESTAMP CHECK (typeof(expires_at) IN ('integer', 'null')),
    revoked_at      TIMESTAMP CHECK (typeof(revoked_at) IN ('integer', 'null')),
    suspended_at    TIMESTAMP CHECK (typeof(suspended_at) IN ('integer', 'null')),
    suspended_until TIMESTAMP CHECK (typeof(suspended_until) IN ('integer', 'null')),
    suspend_reason  TEXT      NOT NULL,
    allowed_ips     TEXT      CHECK (json_valid(allowed_ips)),
    permissions     TEXT      CHECK (json_valid(permissions)),
    methods         TEXT      CHECK (json_valid(methods)),
    endpoints       TEXT      CHECK (json_valid(endpoints)),
    rules           TEXT      CHECK (json_valid(rules)),
    tags            TEXT      CHECK (json_valid(tags)),
    metadata        TEXT      CHECK (json_valid(metadata)),
    version         INTEGER   NOT NULL CHECK (version >= 1),
    created_at      TIMESTAMP NOT NULL CHECK (typeof(created_at) = 'integer'),
    updated_at      TIMESTAMP NOT NULL CHECK (typeof(updated_at) = 'integer')
);
CREATE INDEX api_keys_created_at_idx ON api_keys (created_at, id);
CREATE INDEX api_keys_updated_at_idx ON api_keys (updated_at, id);
CREATE INDEX api_keys_name_idx ON api_keys (name, id);
CREATE INDEX api_keys_owner_id_idx ON api_keys (owner_id, created_at, id);
CREATE INDEX api_keys_keyspace_id_idx ON api_keys (keyspace_id, created_at, id);
CREATE INDEX api_keys_expires_at_idx ON api_keys (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX api_keys_revoked_idx ON api_keys (created_at, id) WHERE revoked_at IS NOT NULL;
CREATE INDEX api_keys_suspended_idx ON api_keys (created_at, id) WHERE suspended_at IS NOT NULL;

CREATE TABLE secrets (
    id         TEXT      NOT NULL PRIMARY KEY,
    key_id     TEXT      NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    hash       BLOB      NOT NULL CHECK (typeof(hash) = 'blob' AND length(hash) = 32),
    pepper_id  TEXT      NOT NULL,
    mask       TEXT      NOT NULL,
    imported   BOOLEAN   NOT NULL CHECK (imported IN (0, 1)),
    expires_at TIMESTAMP CHECK (typeof(expires_at) IN ('integer', 'null')),
    created_at TIMESTAMP NOT NULL CHECK (typeof(created_at) = 'integer')
);
CREATE UNIQUE INDEX secrets_hash_key ON secrets (hash);
CREATE INDEX secrets_key_id_idx ON secrets (key_id, created_at, id);

-- +goose Down
DROP TABLE secrets;
DROP TABLE api_keys;
