-- What each owner, key and endpoint of all keys used in closed stretches of time,
-- so that lists of the largest need not add up every key.
-- +goose Up
-- Grows with every transaction that adds to the sum: whatever was derived from a
-- stretch is up to date as long as its changes are the same.
ALTER TABLE usage_sums ADD COLUMN changes bigint NOT NULL DEFAULT 0;

-- They are made by upkeep, from the totals and rollups that there are: until then,
-- these are read themselves.
CREATE TABLE usage_tallies (
    meter      text        NOT NULL COLLATE "C",
    grouped_by text        NOT NULL,
    since      timestamptz NOT NULL,
    until      timestamptz NOT NULL,
    changes    bigint      NOT NULL,
    data       bytea       NOT NULL,
    PRIMARY KEY (meter, grouped_by, since, until)
);
-- Ids do not compress.
ALTER TABLE usage_tallies ALTER COLUMN data SET STORAGE EXTERNAL;

-- +goose Down
DROP TABLE usage_tallies;
ALTER TABLE usage_sums DROP COLUMN changes;
