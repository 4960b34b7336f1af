-- Keys and the secrets that open them.

-- +goose Up
CREATE TABLE api_keys (
    id              uuid        NOT NULL PRIMARY KEY,
    keyspace_id     uuid        NOT NULL REFERENCES keyspaces (id) ON DELETE RESTRICT,
    owner_id        uuid        NOT NULL REFERENCES owners (id) ON DELETE RESTRICT,
    name            text        NOT NULL COLLATE "C",
    environment     text        NOT NULL CHECK (environment IN ('live', 'test')),
    expires_at      timestamptz,
    revoked_at      timestamptz,
    suspended_at    timestamptz,
    suspended_until timestamptz,
    suspend_reason  text        NOT NULL,
    allowed_ips     jsonb,
    permissions     jsonb,
    methods         jsonb,
    endpoints       jsonb,
    rules           jsonb,
    tags            jsonb,
    metadata        jsonb,
    version         bigint      NOT NULL CHECK (version >= 1),
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL
);
CREATE INDEX api_keys_created_at_idx ON api_keys (created_at, id);
CREATE INDEX api_keys_updated_at_idx ON api_keys (updated_at, id);
CREATE INDEX api_keys_name_idx ON api_keys (name, id);
CREATE INDEX api_keys_owner_id_idx ON api_keys (owner_id, created_at, id);
CREATE INDEX api_keys_keyspace_id_idx ON api_keys (keyspace_id, created_at, id);
CREATE INDEX api_keys_expires_at_idx ON api_keys (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX api_keys_revoked_idx ON api_keys (created_at, id) WHERE revoked_at IS NOT NULL;
CREATE INDEX api_keys_suspended_idx ON api_keys (created_at, id) WHERE suspended_at IS NOT NULL;
CREATE INDEX api_keys_tags_idx ON api_keys USING gin (tags jsonb_path_ops);

CREATE TABLE secrets (
    id         uuid        NOT NULL PRIMARY KEY,
    key_id     uuid        NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    hash       bytea       NOT NULL CHECK (length(hash) = 32),
    pepper_id  text        NOT NULL,
    mask       text        NOT NULL,
    imported   boolean     NOT NULL,
    expires_at timestamptz,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX secrets_hash_key ON secrets (hash);
CREATE INDEX secrets_key_id_idx ON secrets (key_id, created_at, id);

-- +goose Down
DROP TABLE secrets;
DROP TABLE api_keys;
