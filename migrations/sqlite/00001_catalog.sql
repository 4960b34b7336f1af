-- Keyspaces, plans and owners: what keys belong to.
-- Ids are UUIDs in text form, TIMESTAMP columns hold integer microseconds since
-- 1970 UTC, JSON is TEXT. Columns declared JSON or DECIMAL would turn text that
-- looks like a number into one, and lose digits.

-- +goose Up
CREATE TABLE keyspaces (
    id          TEXT      NOT NULL PRIMARY KEY,
    name        TEXT      NOT NULL,
    prefix      TEXT      NOT NULL,
    description TEXT      NOT NULL,
    imported    BOOLEAN   NOT NULL CHECK (imported IN (0, 1)),
    metadata    TEXT      CHECK (json_valid(metadata)),
    version     INTEGER   NOT NULL CHECK (version >= 1),
    created_at  TIMESTAMP NOT NULL CHECK (typeof(created_at) = 'integer'),
    updated_at  TIMESTAMP NOT NULL CHECK (typeof(updated_at) = 'integer')
);
CREATE UNIQUE INDEX keyspaces_name_key ON keyspaces (name);
CREATE INDEX keyspaces_created_at_idx ON keyspaces (created_at, id);

CREATE TABLE plans (
    id          TEXT      NOT NULL PRIMARY KEY,
    name        TEXT      NOT NULL,
    description TEXT      NOT NULL,
    current     INTEGER   NOT NULL CHECK (current >= 1),
    archived_at TIMESTAMP CHECK (typeof(archived_at) IN ('integer', 'null')),
    metadata    TEXT      CHECK (json_valid(metadata)),
    version     INTEGER   NOT NULL CHECK (version >= 1),
    created_at  TIMESTAMP NOT NULL CHECK (typeof(created_at) = 'integer'),
    updated_at  TIMESTAMP NOT NULL CHECK (typeof(updated_at) = 'integer')
);
CREATE UNIQUE INDEX plans_name_key ON plans (name);
CREATE INDEX plans_created_at_idx ON plans (created_at, id);

CREATE TABLE plan_versions (
    id         TEXT      NOT NULL PRIMARY KEY,
    plan_id    TEXT      NOT NULL REFERENCES plans (id) ON DELETE CASCADE,
    number     INTEGER   NOT NULL CHECK (number >= 1),
    rules      TEXT      CHECK (json_valid(rules)),
    created_at TIMESTAMP NOT NULL CHECK (typeof(created_at) = 'integer')
);
CREATE UNIQUE INDEX plan_versions_number_key ON plan_versions (plan_id, number);

CREATE TABLE owners (
    id           TEXT      NOT NULL PRIMARY KEY,
    external_id  TEXT,
    name         TEXT      NOT NULL,
    email        TEXT      NOT NULL,
    plan_id      TEXT      NOT NULL REFERENCES plans (id) ON DELETE RESTRICT,
    plan_version INTEGER,
    implicit     BOOLEAN   NOT NULL CHECK (implicit IN (0, 1)),
    rules        TEXT      CHECK (json_valid(rules)),
    time_zone    TEXT      NOT NULL,
    anchor_day   INTEGER   NOT NULL CHECK (anchor_day BETWEEN 1 AND 31),
    metadata     TEXT      CHECK (json_valid(metadata)),
    archived_at  TIMESTAMP CHECK (typeof(archived_at) IN ('integer', 'null')),
    version      INTEGER   NOT NULL CHECK (version >= 1),
    created_at   TIMESTAMP NOT NULL CHECK (typeof(created_at) = 'integer'),
    updated_at   TIMESTAMP NOT NULL CHECK (typeof(updated_at) = 'integer'),
    -- A pin names a version that exists; no pin (NULL) is not checked.
    FOREIGN KEY (plan_id, plan_version) REFERENCES plan_versions (plan_id, number) ON DELETE RESTRICT
);
CREATE UNIQUE INDEX owners_external_id_key ON owners (external_id);
CREATE INDEX owners_created_at_idx ON owners (created_at, id);
CREATE INDEX owners_updated_at_idx ON owners (updated_at, id);
CREATE INDEX owners_name_idx ON owners (name, id);
CREATE INDEX owners_plan_id_idx ON owners (plan_id, created_at, id);

-- +goose Down
DROP TABLE owners;
DROP TABLE plan_versions;
DROP TABLE plans;
DROP TABLE keyspaces;
