-- Keyspaces, plans and owners: what keys belong to.
-- Names sort and match by code point (COLLATE "C"), as they do in SQLite: one
-- order of lists on both engines, and prefixes that an index serves.

-- +goose Up
CREATE TABLE keyspaces (
    id          uuid        NOT NULL PRIMARY KEY,
    name        text        NOT NULL COLLATE "C",
    prefix      text        NOT NULL,
    description text        NOT NULL,
    imported    boolean     NOT NULL,
    metadata    jsonb,
    version     bigint      NOT NULL CHECK (version >= 1),
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);
CREATE UNIQUE INDEX keyspaces_name_key ON keyspaces (name);
CREATE INDEX keyspaces_created_at_idx ON keyspaces (created_at, id);

CREATE TABLE plans (
    id          uuid        NOT NULL PRIMARY KEY,
    name        text        NOT NULL COLLATE "C",
    description text        NOT NULL,
    current     integer     NOT NULL CHECK (current >= 1),
    archived_at timestamptz,
    metadata    jsonb,
    version     bigint      NOT NULL CHECK (version >= 1),
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);
CREATE UNIQUE INDEX plans_name_key ON plans (name);
CREATE INDEX plans_created_at_idx ON plans (created_at, id);

CREATE TABLE plan_versions (
    id         uuid        NOT NULL PRIMARY KEY,
    plan_id    uuid        NOT NULL REFERENCES plans (id) ON DELETE CASCADE,
    number     integer     NOT NULL CHECK (number >= 1),
    rules      jsonb,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX plan_versions_number_key ON plan_versions (plan_id, number);

CREATE TABLE owners (
    id           uuid        NOT NULL PRIMARY KEY,
    external_id  text        COLLATE "C",
    name         text        NOT NULL COLLATE "C",
    email        text        NOT NULL,
    plan_id      uuid        NOT NULL REFERENCES plans (id) ON DELETE RESTRICT,
    plan_version integer,
    implicit     boolean     NOT NULL,
    rules        jsonb,
    time_zone    text        NOT NULL,
    anchor_day   integer     NOT NULL CHECK (anchor_day BETWEEN 1 AND 31),
    metadata     jsonb,
    archived_at  timestamptz,
    version      bigint      NOT NULL CHECK (version >= 1),
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
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
